"""Fetching: from servers that stumble, lie and change; resumed, checked, remembered, or one line.

The servers are real ones on this machine. What they were asked and what they sent is asserted.
"""

import itertools
import os
import pickle
import socket
import threading
from collections import namedtuple

import h5py
import pytest

from hycon.corpus import download, transfer
from hycon.corpus.manifest import Known, record, recorded
from tests.corpus.servers import DROP, PAGE, digest, get, part_of, refusal, sequence

# places


def test_a_folder_a_file_address_and_a_server_all_give_the_same_bytes(whole, serve, tmp_path):
    made = tmp_path / "made it 100%.csd"
    made.write_bytes(whole)
    for number, place in enumerate((made, made.as_uri(), serve(whole))):
        target = tmp_path / f"got-{number}" / "words.csd"
        assert get(target, place) == digest(whole)
        assert target.read_bytes() == whole
        assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


def test_the_next_place_is_asked_when_one_has_no_intact_file(whole, serve, target, tmp_path):
    (tmp_path / "short.csd").write_bytes(whole[:-100])
    servers = [
        serve(b"", itertools.repeat({"status": 404, "body": b"gone"})),
        serve(PAGE),
        serve(whole[:-100]),
        serve(whole, itertools.repeat({"length": len(whole) + 50}), ranges=False),
        serve(b""),
        serve(whole),
    ]
    places = [tmp_path / "nowhere", tmp_path / "short.csd", "http://127.0.0.1:9/x", *servers]
    get(target, *places, sha256=digest(whole))
    assert target.read_bytes() == whole
    # the last two are asked for the rest first: another length was claimed of what came
    assert [len(server.log) for server in servers] == [1, 1, 1, 3, 2, 2]


def test_when_no_place_has_it_each_is_named_with_its_reason_and_nothing_is_left(
    whole, serve, target, tmp_path
):
    gone = serve(b"", itertools.repeat({"status": 404}))
    page, other = serve(PAGE), serve(whole)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    closed = f"http://127.0.0.1:{port}/x"
    places = [tmp_path / "nowhere", gone, page, "ftp://old.example.org/x", other, closed]
    message = refusal(target, *places, sha256="0" * 64, size=len(whole))
    found = f"found sha256 {digest(whole)} ({len(whole)} bytes), expected sha256 {'0' * 64}"
    for part in (
        f"{target}: could not be fetched: {tmp_path}/nowhere (no such file); ",
        f"{gone.address} (status 404)",
        f"{page.address} (is an HTML page, not the file)",
        "ftp://old.example.org/x (ftp://old.example.org is not an address that can be fetched)",
        f"{other.address} ({found} ({len(whole)} bytes) by corpora.yaml)",
        f"{closed} (Connection refused, 2 times)",
        "If another version is meant, change sha256 in corpora.yaml.",
        f"Put the file there (words.csd, sha256 {'0' * 64} ({len(whole)} bytes)), or name "
        "a folder or an address that has it: --config mirror=FOLDER",
    ):
        assert part in message
    assert not list(target.parent.iterdir())


def test_a_failed_fetch_leaves_an_older_file_alone_and_one_that_succeeds_replaces_it(
    whole, serve, target
):
    target.parent.mkdir()
    target.write_bytes(b"older")
    refusal(target, "nowhere")
    assert target.read_bytes() == b"older"
    get(target, serve(whole))
    assert target.read_bytes() == whole


def test_redirects_are_followed_among_servers_and_nowhere_else(whole, serve, target, tmp_path):
    (tmp_path / "secret.csd").write_bytes(whole)
    there = serve(whole)

    def moved(location):
        return serve(b"", itertools.repeat({"status": 302, "headers": {"Location": location}}))

    message = refusal(target, moved(f"file://{tmp_path}/secret.csd"), moved("http://["))
    assert "(redirects from http: to file:, which is not followed)" in message
    assert "(redirects to an invalid address)" in message
    assert "(redirects more than 10 times)" in refusal(target, moved("/again"))
    with pytest.raises(transfer.Refused, match="from https: to http:, which is not followed"):
        download._redirected("https://a.example.org/x", "http://a.example.org/x")
    get(target, moved(there.address))
    assert target.read_bytes() == whole


def test_no_name_is_taken_from_a_server_and_a_password_is_told_to_nobody(
    whole, serve, target, manifest
):
    named = {"headers": {"Content-Disposition": 'attachment; filename="../evil"'}}
    server = serve(whole, [{"status": 404}, named])
    address = server.address.replace("http://", "http://me:secret@")
    said = []
    message = refusal(target, address)
    get(target, address, manifest=manifest, corpus="mosi", say=said.append)
    assert "secret" not in f"{message} {said} {manifest.read_text()}"
    assert server.log[1].headers["Authorization"]
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]
    assert recorded(manifest, "mosi", "words.csd").source == server.address


# formats


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("words.csd", PAGE, "is an HTML page, not the file"),
        ("words.csd", b"", "is empty"),
        ("words.csd", b"\x89HDF\r\n\x1a\n", "is not a computational sequence, or is cut short"),
        ("words.hdf5", b"not it", "is not a computational sequence, or is cut short"),
        ("folds.json", b" \n" + PAGE, "is an HTML page, not the file"),
        ("folds.json", b'{"train": [', "is not JSON, or is cut short"),
        ("folds.json", b"[" * 100_000, "is not JSON, or is cut short"),
        ("features.pkl", PAGE, "is an HTML page, not the file"),
        ("features.pkl", b"\x80\x04\x95\x10", "is not a pickle, or is cut short"),
        ("features.pkl", b"Not found.", "is not a pickle, or is cut short"),
    ],
)
def test_what_is_not_of_its_format_is_refused_wherever_it_is(
    name, body, reason, serve, tmp_path, manifest
):
    assert f"({reason})" in refusal(tmp_path / "raw" / name, serve(body))
    there = tmp_path / name
    there.write_bytes(body)
    message = refusal(there, manifest=manifest, corpus="mosi")
    again = "delete or move the file to have it fetched again"
    assert message == f"{there}: {reason}; {again}"
    assert there.read_bytes() == body
    assert not manifest.exists()


class Trap:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", [Trap(), {"train": [Trap()]}, [1]])
def test_a_pickle_is_looked_at_and_never_opened(protocol, content, serve, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    get(tmp_path / "features.pkl", serve(pickle.dumps(content, protocol)))
    assert not (tmp_path / "unpickled").exists()


def test_a_sequence_whose_data_lie_in_another_file_is_refused(whole, target, tmp_path):
    with h5py.File(tmp_path / "link.csd", "w") as file:
        file["root"] = h5py.ExternalLink(tmp_path / "made.csd", "/root")
    assert "is not a computational sequence" in refusal(target, tmp_path / "link.csd")


# what is there


def test_no_place_is_asked_when_the_file_is_there(whole, serve, target, manifest):
    server = serve(whole)
    named = {"manifest": manifest, "corpus": "mosi"}
    get(target, server, **named)
    assert len(server.log) == 1
    written = manifest.stat()
    assert get(target, server, **named) == digest(whole)
    assert len(server.log) == 1
    assert manifest.stat() == written
    known = Known(digest(whole), len(whole), server.address)
    assert recorded(manifest, "mosi", "words.csd") == known


def test_a_file_put_there_by_hand_is_checked_and_remembered(whole, serve, target, manifest):
    target.parent.mkdir()
    target.write_bytes(whole)
    server = serve(whole)
    named = {"sha256": digest(whole), "manifest": manifest, "corpus": "mosi"}
    assert get(target, server, **named) == digest(whole)
    assert server.log == []
    known = Known(digest(whole), len(whole), "placed manually")
    assert recorded(manifest, "mosi", "words.csd") == known
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


def test_another_file_than_the_catalogue_names_is_refused_with_both_digests(
    whole, serve, target, manifest
):
    target.parent.mkdir()
    target.write_bytes(whole)
    server = serve(whole)
    named = {"sha256": "0" * 64, "size": 5, "manifest": manifest, "corpus": "mosi"}
    assert refusal(target, server, **named) == (
        f"{target}: found sha256 {digest(whole)} ({len(whole)} bytes), expected sha256 {'0' * 64} "
        "(5 bytes) by corpora.yaml; delete or move the file to have it fetched again; if another "
        "version is meant, change sha256 in corpora.yaml"
    )
    assert server.log == []
    assert target.read_bytes() == whole
    assert not manifest.exists()


def test_another_file_than_the_manifest_remembers_is_refused_with_its_source(
    whole, serve, target, manifest, tmp_path
):
    server = serve(whole)
    named = {"manifest": manifest, "corpus": "mosi"}
    get(target, server, **named)
    other = sequence(tmp_path / "other.csd", seed=1)
    target.write_bytes(other)
    expected = f"sha256 {digest(whole)} ({len(whole)} bytes) by {manifest} (from {server.address})"
    remedy = f"if another version is meant, take mosi/words.csd out of {manifest}"
    message = refusal(target, server, **named)
    assert f"found sha256 {digest(other)} ({len(other)} bytes), expected {expected}; " in message
    assert message.endswith(remedy)
    target.unlink()
    server.body = other
    message = refusal(target, server, **named)
    assert f"{server.address} (found sha256 {digest(other)}" in message
    assert remedy[1:] in message
    assert not list(target.parent.iterdir())


def test_the_catalogue_has_the_last_word_and_the_manifest_follows(whole, serve, target, manifest):
    record(manifest, "mosi", "words.csd", Known("0" * 64, 5, "http://example.org"))
    server = serve(whole)
    get(target, server, sha256=digest(whole), manifest=manifest, corpus="mosi")
    known = Known(digest(whole), len(whole), server.address)
    assert recorded(manifest, "mosi", "words.csd") == known


def test_a_manifest_that_cannot_be_read_stops_before_anything_is_asked(
    whole, serve, target, manifest
):
    manifest.write_text("{")
    server = serve(whole)
    assert refusal(target, server, manifest=manifest).startswith(f"{manifest}: not valid JSON")
    assert server.log == []


def test_a_folder_where_the_file_should_be_is_named(target, manifest):
    target.mkdir(parents=True)
    assert refusal(target, manifest=manifest) == (
        f"{target}: is not a file; delete or move it to have it fetched"
    )


def test_of_two_who_fetch_the_same_file_one_waits_and_takes_it(whole, serve, target, manifest):
    server = serve(whole, [{"stop": DROP, "hold": 0.3}])
    digests, said = [], []

    def run():
        named = {"manifest": manifest, "corpus": "mosi", "say": said.append}
        digests.append(get(target, server, **named))

    both = [threading.Thread(target=run) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert digests == [digest(whole)] * 2
    assert f"{target}: waits for another process that fetches it" in said
    assert len(server.log) == 2
    assert [path.name for path in target.parent.iterdir()] == ["words.csd"]


# room and progress


def test_too_small_a_disk_is_told_before_anything_is_written(
    whole, serve, target, tmp_path, monkeypatch
):
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 2000, 2000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage)
    needs = f"needs {len(whole) / 1000:.3g} kB, 2 kB free at {target.parent}; make room there"
    assert refusal(target, serve(whole)) == f"{part_of(target)}: {needs}"
    assert refusal(target, tmp_path / "made.csd") == f"{target}.copy: {needs}"
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("place", ["server", "folder"])
def test_a_disk_that_is_full_is_not_the_places_fault(whole, serve, target, place, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    target.parent.mkdir()
    for suffix in (".part", ".copy"):
        target.with_name(f"words.csd{suffix}").symlink_to("/dev/full")
    monkeypatch.setattr("hycon.corpus.download.discard", lambda _: None)
    source = serve(whole) if place == "server" else target.parent.parent / "made.csd"
    message = refusal(target, source)
    assert "cannot be written (No space left on device); make room or give access" in message


def test_without_a_terminal_progress_is_a_line_that_starts_where_it_went_on(
    whole, serve, target, capsys, monkeypatch
):
    monkeypatch.setattr(transfer, "SECONDS_BETWEEN_LINES", 0.0)
    get(target, serve(whole, [{"stop": DROP}]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("words.csd:  1")
    assert "B/s" in lines[0]
    assert lines[-1].startswith("sha256 of words.csd: 100%")
