"""Every durable write passes this door, so a test can stand a forgetful disk behind it."""

import ctypes
import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

Piece = bytes | bytearray | memoryview | npt.NDArray[np.generic]

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_PIECES_MAX = 1024  # IOV_MAX of Linux


class FileDoor(Protocol):
    """The few operations that journal, symbol file and partitions write with.

    Nothing is durable before `sync` of the file *and* `sync_directory` of the directory that
    names it. Errors are OSError, as the system gives them.
    """

    def open_append(self, path: Path) -> int:
        """Open for appending, creating an empty file if there is none."""
        ...

    def create(self, path: Path) -> int:
        """Open for writing from byte 0; what was in the file is gone."""
        ...

    def write(self, fd: int, pieces: Sequence[Piece]) -> int:
        """Write all pieces one after the other; give the number of bytes."""
        ...

    def sync(self, fd: int) -> None:
        """Return when the file's bytes are on stable storage."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Return when the directory's names are on stable storage."""
        ...

    def make_directory(self, path: Path) -> None:
        """Make one directory; one that is there already is fine."""
        ...

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or directory another name, replacing a file that has it."""
        ...

    def exchange(self, one: Path, other: Path) -> None:
        """Swap two names in one step, so that neither is ever missing."""
        ...

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        ...

    def unlink(self, path: Path) -> None:
        """Remove a file's name."""
        ...

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        ...

    def close(self, fd: int) -> None:
        """Close; says nothing about stable storage."""
        ...


class OsFileDoor:
    """The operating system's files."""

    def open_append(self, path: Path) -> int:
        """Open for appending, creating an empty file if there is none."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def create(self, path: Path) -> int:
        """Open for writing from byte 0; what was in the file is gone."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, fd: int, pieces: Sequence[Piece]) -> int:
        """Write all pieces one after the other; give the number of bytes."""
        if len(pieces) == 1 and type(pieces[0]) is bytes:
            # One row a message is the plant's most frequent write: no views for it.
            size = len(pieces[0])
            if (written := os.write(fd, pieces[0])) == size:
                return size
            pieces = [pieces[0][written:]]
            return written + self.write(fd, pieces)
        views = [view for view in map(as_bytes, pieces) if view.nbytes]
        total = sum(view.nbytes for view in views)
        first = 0
        while first < len(views):
            written = os.writev(fd, views[first : first + _PIECES_MAX])
            while first < len(views) and written >= views[first].nbytes:
                written -= views[first].nbytes
                first += 1
            if written:
                views[first] = views[first][written:]
        return total

    def sync(self, fd: int) -> None:
        """Return when the file's bytes are on stable storage."""
        os.fdatasync(fd)

    def sync_directory(self, path: Path) -> None:
        """Return when the directory's names are on stable storage."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def make_directory(self, path: Path) -> None:
        """Make one directory; one that is there already is fine."""
        path.mkdir(exist_ok=True)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file or directory another name, replacing a file that has it."""
        source.rename(target)

    def exchange(self, one: Path, other: Path) -> None:
        """Swap two names in one step, so that neither is ever missing.

        On a file system without that step it takes three renames: for a moment `other` is
        missing, and a crash there leaves it under its name with `.swap` added.
        """
        if _exchange(one, other):
            return
        aside = other.with_name(other.name + ".swap")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(fd, size)

    def unlink(self, path: Path) -> None:
        """Remove a file's name."""
        path.unlink()

    def remove_directory(self, path: Path) -> None:
        """Remove an empty directory."""
        path.rmdir()

    def close(self, fd: int) -> None:
        """Close; says nothing about stable storage."""
        os.close(fd)


OS_DOOR = OsFileDoor()


def as_bytes(piece: Piece) -> memoryview:
    """View a piece as bytes without copying; arrays must be contiguous."""
    if isinstance(piece, np.ndarray):
        return piece.reshape(-1).view(np.uint8).data
    return memoryview(piece).cast("B")


def remove_tree(door: FileDoor, path: Path) -> None:
    """Remove a directory and all below it, through the door."""
    with os.scandir(path) as entries:
        found = [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for child, is_directory in found:
        if is_directory:
            remove_tree(door, child)
        else:
            door.unlink(child)
    door.remove_directory(path)


def _exchange(one: Path, other: Path) -> bool:
    """Call renameat2(2); False where the system or the file system does not know the exchange."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))
