"""A computational sequence is read from its own file only, and no further than a stated limit."""

import tracemalloc
import zlib

import h5py
import numpy as np
import pytest

from hycon.corpus.sequences import open_sequence
from hycon.errors import HyConError
from hycon.untrusted import hdf5

DCPL = h5py.h5p.DATASET_CREATE


@pytest.fixture
def other(tmp_path):
    """Return the path of another file of the reader, with a video in it."""
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["video/intervals"], file["video/features"] = np.ones((2, 2)), np.full((2, 2), 7.0)
    (tmp_path / "secret.bin").write_bytes(np.full(4, 7.0).tobytes())
    return path


def make(folder, change):
    """Write a sequence of one video that lacks its features, which `change` adds."""
    path = folder / "evil.csd"
    with h5py.File(path, "w") as file:
        video = file.create_group("sequence/data/v1")
        video["intervals"] = np.array([[0.0, 1.0], [1.0, 2.0]])
        change(video)
    return path


def read(path):
    with open_sequence(path) as sequence:
        return {video: sequence.read(video)[1] for video in sequence.videos}


def refusal(path):
    """Return the one line that reading every video of a sequence ends in."""
    with pytest.raises(HyConError) as caught:
        read(path)
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith(f"{path}: ")
    return message


def fine(video):
    video["features"] = np.ones((2, 2))


def linked(place, link):
    """Return a change that puts a link in place of the features, or beside a video or the root."""

    def change(video):
        if place != "features":
            fine(video)
        group = {"features": video, "video": video.parent, "root": video.file}[place]
        group["features" if place == "features" else "link"] = link(video)

    return change


def nothing(video):
    return h5py.SoftLink("/nowhere")


def loop(video):
    return h5py.SoftLink("/sequence/data/v1/features")


def inside(video):
    return h5py.SoftLink("/sequence/data/v1/intervals")


@pytest.mark.parametrize("place", ["features", "video", "root"])
@pytest.mark.parametrize("link", [nothing, loop, inside])
def test_soft_links_are_refused_wherever_they_lead(tmp_path, place, link):
    name = "features" if place == "features" else "link"
    message = refusal(make(tmp_path, linked(place, link)))
    assert f"{name} is a link, expected data in the file itself" in message


@pytest.mark.parametrize(
    ("place", "target"), [("features", "/video/features"), ("video", "/video"), ("root", "/")]
)
def test_links_to_another_file_are_refused(tmp_path, other, place, target):
    change = linked(place, lambda _: h5py.ExternalLink(str(other), target))
    assert "is a link, expected data in the file itself" in refusal(make(tmp_path, change))


def test_a_data_group_in_another_file_is_refused(tmp_path, other):
    with h5py.File(tmp_path / "evil.csd", "w") as file:
        file.create_group("root")["data"] = h5py.ExternalLink(str(other), "/")
    assert "data is a link" in refusal(tmp_path / "evil.csd")


def test_datasets_whose_bytes_lie_in_another_file_are_refused(tmp_path, other):
    def external(video):
        part = (str(tmp_path / "secret.bin"), 0, 32)
        video.create_dataset("features", shape=(2, 2), dtype="f8", external=[part])

    def virtual(video):
        layout = h5py.VirtualLayout((2, 2), "f8")
        layout[:] = h5py.VirtualSource(str(other), "video/features", (2, 2))
        video.create_virtual_dataset("features", layout)

    for change in (external, virtual):
        message = refusal(make(tmp_path, change))
        assert "features is in another file, expected data in the file itself" in message


def test_types_that_refer_to_something_else_are_refused(tmp_path):
    for kind in (
        *(h5py.vlen_dtype("f4"), h5py.string_dtype(), h5py.ref_dtype, h5py.regionref_dtype),
        *(np.dtype([("a", "f4")]), np.dtype("V4"), np.dtype("c8")),
    ):
        message = refusal(
            make(tmp_path, lambda video, kind=kind: video.create_dataset("features", (2, 1), kind))
        )
        assert "expected numbers or texts of a fixed length" in message


def filtered(*numbers):
    """Return a change that adds features packed with filters by number."""

    def change(video):
        plist = h5py.h5p.create(DCPL)
        plist.set_chunk((2, 2))
        for number in numbers:
            plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL, (9,))
        space = h5py.h5s.create_simple((2, 2))
        h5py.h5d.create(video.id, b"features", h5py.h5t.NATIVE_DOUBLE, space, plist)

    return change


def test_no_filter_is_loaded_as_a_plugin_and_none_packs_twice(tmp_path):
    assert "no plugin is loaded" in refusal(make(tmp_path, filtered(32008)))
    assert "is packed more than once" in refusal(make(tmp_path, filtered(1, 1)))
    assert "is packed more than once" in refusal(make(tmp_path, filtered(1, 32000)))


def packed(data, rows=2**20):
    """Return a change that adds features whose only piece is these bytes."""

    def change(video):
        dataset = video.create_dataset(
            "features", (2, 2), "f8", chunks=(rows, 2), maxshape=(None, 2), compression="gzip"
        )
        dataset.id.write_direct_chunk((0, 0), data)

    return change


@pytest.fixture(scope="module")
def bomb():
    """Return 130 kB that unpack to 128 MB."""
    engine = zlib.compressobj(9)
    zeros = bytes(2**24)
    return b"".join(engine.compress(zeros) for _ in range(8)) + engine.flush()


def test_a_piece_that_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path, bomb, monkeypatch):
    monkeypatch.setattr(hdf5, "LARGEST", 2**24)
    path = make(tmp_path, packed(bomb))
    tracemalloc.start()
    try:
        assert "has a piece that does not unpack to its 16777216 bytes" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
    assert not hdf5._unpacks_to(bomb, 2**24)
    assert hdf5._unpacks_to(zlib.compress(bytes(2**24)), 2**24)
    assert not hdf5._unpacks_to(zlib.compress(bytes(2**24))[:-9], 2**24)
    assert not hdf5._unpacks_to(b"no zlib", 2**24)


@pytest.mark.parametrize(
    ("shape", "kind", "options", "said"),
    [
        ((2, 2**28), "f8", {}, f"claims {2**32} bytes, the limit is {2**30}"),
        ((2, 2**28), "f8", {"fillvalue": 1.0}, f"claims {2**32} bytes, the limit is {2**30}"),
        ((10**7 + 1, 1), "i1", {}, "claims 10000001 rows, the limit is 10000000"),
        ((10**12, 0), "f4", {"chunks": None}, "claims 1000000000000 rows, the limit is 10000000"),
        ((2, 2), "f8", {"chunks": (2**27, 2), "maxshape": (None, 2)}, "has pieces of 2147483648"),
    ],
)
def test_a_size_that_is_claimed_is_refused_before_it_is_read(tmp_path, shape, kind, options, said):
    named = {"chunks": (1, min(shape[1], 2**16))} | options
    change = make(tmp_path, lambda video: video.create_dataset("features", shape, kind, **named))
    assert f"video v1: features {said}" in refusal(change)


def test_a_dataset_that_many_videos_share_is_not_read_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "LARGEST", 2**20)

    def change(video):
        video.create_dataset("features", (2, 2**16), "f8", chunks=(2, 2**10))
        for number in range(2000):
            video.parent[f"w{number}"] = video

    message = refusal(make(tmp_path, change))
    assert "all that was read of the file is more than 1000 times its size" in message


def test_a_video_of_hours_packed_by_gzip_in_one_piece_passes(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "LARGEST", 2**25)  # so that its one piece is looked into
    frames = np.zeros((100_000, 74), np.float32)
    frames[:, 0] = np.random.default_rng(1).normal(size=len(frames))
    path = tmp_path / "long.csd"
    with h5py.File(path, "w") as file:
        video = file.create_group("sequence/data/v1")
        video["intervals"] = np.stack([np.arange(len(frames))] * 2, axis=1) / 100
        video.create_dataset("features", data=frames, chunks=frames.shape, compression="gzip")
    np.testing.assert_array_equal(read(path)["v1"], frames)


def test_a_name_that_is_no_text_is_refused_and_control_characters_are_not_printed(tmp_path):
    def bytes_of_another_code(video):
        fine(video)
        h5py.h5g.create(video.parent.id, b"\xff\xfe")

    def colours(video):
        fine(video)
        video.parent.create_group("\x1b[2J\n..")

    assert "expected UTF-8" in refusal(make(tmp_path, bytes_of_another_code))
    assert "video ?[2J .. lacks intervals or features" in refusal(make(tmp_path, colours))
