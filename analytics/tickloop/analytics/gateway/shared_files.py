"""Files of shared names: one q object for each, replaced in one step, and scripts beside them."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.words import RESERVED

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*|(?:\.[A-Za-z][A-Za-z0-9_]*){2,4}")
_PART = re.compile(r"\..*\.(\d+)\.part")
_DEPTH = 4
_SPLAYED = ".d"

Seen = tuple[tuple[str, int, int, int], ...]


def full_name(name: str) -> str:
    """Check a name that is to be shared: `name` or `.namespace.name`."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise QError("type", f"{name!r} seen, a name such as vwapby or .risk.limits expected")
    return name


class SharedFiles:
    """A directory of shared names, which need not exist."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directories: list[Path] = [root]

    def directories_seen(self) -> tuple[int, ...]:
        """Give when entries of the directories changed last: cheap, and enough for saved names."""
        found = []
        for path in self._directories:
            try:
                found.append(path.stat().st_mtime_ns)
            except OSError:
                found.append(-1)
        return tuple(found)

    def seen(self) -> Seen:
        """Give what distinguishes the files as they are from what they were."""
        self._directories = [self._root]
        return tuple(sorted(self._walk(self._root, 1)))

    def _walk(self, directory: Path, depth: int) -> Iterator[tuple[str, int, int, int]]:
        try:
            entries = list(os.scandir(directory))
        except OSError:
            return
        for entry in entries:
            if entry.name.startswith(".") and entry.name != _SPLAYED:
                continue
            with contextlib.suppress(OSError):
                if entry.is_dir():
                    if depth < _DEPTH:
                        self._directories.append(Path(entry.path))
                        yield from self._walk(Path(entry.path), depth + 1)
                    continue
                found = entry.stat()
                yield entry.path, found.st_mtime_ns, found.st_ino, found.st_size

    def objects(self) -> dict[str, Path]:
        """Give the objects and splayed tables by their names."""
        return dict(sorted(self._objects(self._root, "", 1)))

    def _objects(self, directory: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
        if not directory.is_dir():
            return
        for path in directory.iterdir():
            if not _WORD.fullmatch(path.name) or path.name in RESERVED:
                continue
            if path.is_file() or (path / _SPLAYED).exists():
                yield prefix + path.name, path
            elif depth < _DEPTH:
                yield from self._objects(path, f"{prefix or '.'}{path.name}.", depth + 1)

    def scripts(self) -> list[Path]:
        """Give the scripts in the order in which they run."""
        return sorted(path for path in self._root.glob("*.q") if path.is_file())

    def write(self, name: str, raw: bytes) -> None:
        """Write an object aside and put it in place: readers see the old one or the new one."""
        path = self._path(name)
        aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _clear(path.parent)
            if path.is_dir():
                raise QError("share", f"{name} is a namespace or a splayed table already")
            with aside.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            _sync_directory(path.parent)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise QError("share", f"{path}: {error.strerror or error}") from error

    def remove(self, name: str) -> None:
        """Remove an object."""
        path = self._path(name)
        try:
            path.unlink()
            _sync_directory(path.parent)
        except FileNotFoundError:
            raise QError("share", f"no shared object has the name {name}") from None
        except OSError as error:
            raise QError("share", f"{path}: {error.strerror or error}") from error

    def _path(self, name: str) -> Path:
        return self._root.joinpath(*full_name(name).removeprefix(".").split("."))


def _clear(directory: Path) -> None:
    """Remove what writers left that were ended before they put it in place."""
    for path in directory.glob(".*.part"):
        found = _PART.fullmatch(path.name)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            path.unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
