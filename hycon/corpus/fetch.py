"""Fetching a corpus's files from folders and servers: resumed, checked, remembered, atomic."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hycon.atomic_io import exclusive
from hycon.corpus.download import PATIENCE, Patience, Say, bare, discard, download
from hycon.corpus.formats import complaint, mistaken
from hycon.corpus.manifest import Known, record, recorded
from hycon.corpus.transfer import (
    Differs,
    Refused,
    amount,
    copy,
    digest_of,
    length,
    local_path,
    writing,
)
from hycon.errors import HyConError


def fetch(
    target: Path,
    sources: Sequence[str],
    sha256: str | None = None,
    size: int | None = None,
    manifest: Path | None = None,
    corpus: str = "",
    say: Say = lambda _: None,
    patience: Patience = PATIENCE,
) -> str:
    """Fetch a file to `target` from the first source that has it intact; return its SHA-256.

    With a manifest, an existing file is checked like a fetched one, and no source is asked. Without
    one, it is fetched again. An interrupted download resumes where that is safe.

    Args:
        target: path of the file.
        sources: paths, file:// or http(s):// addresses of the file, in order of preference.
        sha256: expected digest; None uses the manifest's, if it has one.
        size: expected size in bytes, None if unknown.
        manifest: record of fetched files.
        corpus: the corpus's name in the manifest.
        say: receives a line of progress.
        patience: attempts, pauses and timeouts.

    Raises:
        HyConError: no source has the file (names each with its reason), `target` is another file,
            the disk is full, or the manifest cannot be read.
    """
    file = _File(target, manifest, corpus, _expected(target, sha256, size, manifest, corpus), say)
    if manifest is not None and target.exists():
        return _accept(file)
    with exclusive(target, lambda: say(f"{target}: waits for another process that fetches it")):
        if manifest is not None and target.exists():
            return _accept(file)
        return _bring(file, sources, patience)


@dataclass(frozen=True)
class _Expected:
    """Expected digest and size of a file, where they come from, and how to change them."""

    sha256: str | None
    size: int | None
    origin: str
    remedy: str

    def __str__(self) -> str:
        size = None if self.size is None else f"{self.size} bytes"
        if self.sha256 is None:
            return size or ""
        return f"sha256 {self.sha256}" + (f" ({size})" if size else "")


@dataclass(frozen=True)
class _File:
    target: Path
    manifest: Path | None
    corpus: str
    expected: _Expected
    say: Say

    @property
    def part(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def copied(self) -> Path:
        return self.target.with_name(f"{self.target.name}.copy")


def _expected(
    target: Path, sha256: str | None, size: int | None, manifest: Path | None, corpus: str
) -> _Expected:
    known = recorded(manifest, corpus, target.name) if manifest is not None else None
    if known and sha256 in (None, known.sha256) and size is None:
        size = known.size
    if sha256 or not known:
        remedy = f"change {'sha256' if sha256 else 'size'} in corpora.yaml"
        return _Expected(sha256, size, "corpora.yaml", remedy)
    origin = f"{manifest} (from {known.source})"
    return _Expected(known.sha256, size, origin, f"take {corpus}/{target.name} out of {manifest}")


def _accept(file: _File) -> str:
    """Check and record an existing file."""
    if not file.target.is_file():
        raise HyConError(f"{file.target}: is not a file; delete or move it to have it fetched")
    try:
        found = _verify(file.target, file, "placed manually")
    except Refused as refusal:
        other = ""
        if isinstance(refusal, Differs):
            other = f"; if another version is meant, {file.expected.remedy}"
        raise HyConError(
            f"{file.target}: {refusal}; delete or move the file to have it fetched again{other}"
        ) from None
    file.say(f"{file.target}: exists, sha256 {found.sha256}")
    _remember(file, found)
    return found.sha256


def _bring(file: _File, sources: Sequence[str], patience: Patience) -> str:
    """Bring the file from the first place that has it intact."""
    refusals = []
    for address in sources:
        file.say(f"{file.target}: from {bare(address)}")
        try:
            arrived, found = _from(address, file, patience)
        except Refused as refusal:
            refusals.append((address, refusal))
            continue
        _remember(file, found)
        with writing(file.target):
            arrived.replace(file.target)
        # a copy that was killed may have been left, too
        file.copied.unlink(missing_ok=True)
        discard(file.part)
        file.say(f"{file.target}: sha256 {found.sha256}")
        return found.sha256
    raise _gave_up(file, refusals)


def _gave_up(file: _File, refusals: list[tuple[str, Refused]]) -> HyConError:
    target, expected = file.target.absolute(), file.expected
    tried = "; ".join(f"{bare(address)} ({refusal})" for address, refusal in refusals)
    lines = [f"{target}: could not be fetched: {tried or 'no place was named'}."]
    if any(isinstance(refusal, Differs) for _, refusal in refusals):
        lines.append(f"If another version is meant, {expected.remedy}.")
    if kept := length(file.part):
        lines.append(f"{amount(kept)} of it are kept in {file.part.name} for the next run.")
    what = f"{target.name}, {expected}" if str(expected) else target.name
    lines.append(
        f"Put the file there ({what}), or name a folder or an address that has it: "
        "--config mirror=FOLDER"
    )
    return HyConError(" ".join(lines))


def _from(address: str, file: _File, patience: Patience) -> tuple[Path, Known]:
    """Fetch and check the file from one source; return its temporary path and digest."""
    if not re.match("https?://", address, re.IGNORECASE):
        try:
            copy(local_path(address), file.copied, file.expected.size)
            # not where on this machine: the manifest goes into git
            return file.copied, _verify(file.copied, file, "a folder")
        except BaseException:
            file.copied.unlink(missing_ok=True)
            raise
    left_over = length(file.part) > 0
    expected = file.expected
    download(address, file.part, expected.size, expected.sha256 is not None, file.say, patience)
    try:
        return file.part, _verify(file.part, file, bare(address))
    except Refused:
        discard(file.part)
        if not left_over:
            raise
    file.say(f"{file.target}: the partial file was damaged; starting again")
    return _from(address, file, patience)


def _verify(path: Path, file: _File, source: str) -> Known:
    """Return digest and size of a file; raise Refused if they are not the expected ones."""
    if problem := mistaken(path):
        raise Refused(problem)
    expected = file.expected
    try:
        digest = digest_of(path, file.target.name)
    except OSError as error:
        raise Refused(f"cannot be read: {error.strerror}") from None
    found = Known(digest, length(path), source)
    if expected.sha256 not in (None, found.sha256) or expected.size not in (None, found.size):
        raise Differs(
            f"found sha256 {found.sha256} ({found.size} bytes), expected {expected} "
            f"by {expected.origin}"
        )
    if problem := complaint(path, file.target.suffix):
        raise Refused(problem)
    return found


def _remember(file: _File, found: Known) -> None:
    if file.manifest is None:
        return
    known = recorded(file.manifest, file.corpus, file.target.name)
    if known is None or known.sha256 != found.sha256:
        record(file.manifest, file.corpus, file.target.name, found)
