"""Whether what lies there is what Snakemake made: by content, not by memory.

Snakemake remembers which parameters and code each output was made with, and does not look into the
output again. After a checkout by git or DVC, or an edit by hand, its memory may be of one version
and the file of another. Here each output's SHA-256 is kept beside that memory; an output that is
neither as its job left it nor of that digest is marked as incomplete, so that Snakemake makes it
anew.
"""

import base64
from contextlib import suppress
from pathlib import Path
from typing import Any

from hycon.files import sha256_of, write_json
from hycon.progress import progress
from hycon.reading import read_json

# DVC keeps the first with Snakemake's records; the second is of this machine, so that files are not
# read again at every start
KEPT, SEEN = "outputs.json", "seen.json"
PRECISION = 1e-4  # seconds; Snakemake keeps the time of an output as a float


class Outputs:
    """The outputs that Snakemake has a record of, in the current folder.

    Args:
        folder: Snakemake's own.
    """

    def __init__(self, folder: Path = Path(".snakemake")) -> None:
        self.folder = folder
        self.kept: dict[str, str] = _read(folder / KEPT)
        self.seen: dict[str, list[Any]] = _read(folder / SEEN)

    def check(self) -> list[str]:
        """Mark every output that is not what Snakemake made, unmark every one that is again.

        Returns:
            The paths of those that are not.
        """
        known = self._recorded()
        if not known:
            return []
        records = _persistence(self.folder)
        strange = []
        for path in progress(known, "checking outputs", unit="files"):
            if not Path(path).is_file() or _untouched(path, records):
                continue
            if self._digest(path) == self.kept.get(path):
                records._unmark_incomplete(path)
            else:
                records._mark_incomplete(path, None)
                strange.append(path)
        self._write_seen()
        return strange

    def remember(self) -> None:
        """Keep the digest of each output as its job left it; of others, the one that is kept."""
        known = self._recorded()
        records = _persistence(self.folder)
        for path in progress(known, "remembering outputs", unit="files"):
            if Path(path).is_file() and _untouched(path, records):
                self.kept[path] = self._digest(path)
        self.kept = {path: self.kept[path] for path in known if path in self.kept}
        write_json(self.folder / KEPT, self.kept)
        self._write_seen()

    def _recorded(self) -> list[str]:
        """Return the paths of all outputs that Snakemake has a record of."""
        root = self.folder / "metadata"
        files = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        # a record is named by the path in base 64; of long ones parts are folders that begin with @
        found = []
        for path in files:
            name = "".join(part.removeprefix("@") for part in path.parts)
            with suppress(ValueError):  # another hand's file among the records
                found.append(base64.urlsafe_b64decode(name).decode())
        return sorted(found)

    def _digest(self, path: str) -> str:
        """Return an output's SHA-256, read anew only if size or time have changed."""
        file = Path(path)
        now = [file.stat().st_size, file.stat().st_mtime_ns]
        before = self.seen.get(path)
        if not isinstance(before, list) or len(before) != 3 or before[:2] != now:
            self.seen[path] = [*now, sha256_of(file)]
        return self.seen[path][2]

    def _write_seen(self) -> None:
        write_json(self.folder / SEEN, self.seen)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _persistence(folder: Path) -> Any:
    """Return Snakemake's own access to its records."""
    from snakemake.persistence.file import FilePersistence

    return FilePersistence(nolock=True, path=folder)


def _untouched(path: str, records: Any) -> bool:
    """Return whether an output is as old as Snakemake's record says: its job wrote it last."""
    record = records._read_record(path)
    written = record.endtime if record else None
    return written is not None and abs(Path(path).stat().st_mtime - written) < PRECISION
