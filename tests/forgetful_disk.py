"""A disk that forgets what was not synced: every crash of a recorded run can be looked at."""

import errno
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tickloop.tickerplant.file_door import OsFileDoor, Piece, as_bytes


class PowerCut(Exception):  # noqa: N818 - it is an event, not an error of the program
    """The power went; nothing after this happened."""


@dataclass
class _File:
    """Bytes as the program sees them and as stable storage holds them."""

    live: bytearray = field(default_factory=bytearray)
    stable: bytes = b""


@dataclass
class _Directory:
    """Names as the program sees them and as stable storage holds them."""

    live: dict[str, "_Node"] = field(default_factory=dict)
    stable: dict[str, "_Node"] = field(default_factory=dict)


_Node = _File | _Directory


class ForgetfulDisk(OsFileDoor):
    """A file door over a real directory that also tracks what a power cut would leave.

    The program works on real files below `root` (readers may map them). Stable storage is a
    model: file bytes count after `sync`, names after `sync_directory` of their directory, and
    nothing else does. What was below `root` at the start counts as stable.

    `cut_at=n` raises PowerCut in place of operation n (0-based) and of every later one;
    `fail_at=n` raises `failure` (disk full by default) in place of operation n only.
    """

    def __init__(
        self,
        root: Path,
        *,
        cut_at: int | None = None,
        fail_at: int | None = None,
        failure: OSError | None = None,
    ) -> None:
        self.root = root
        self.operations: list[str] = []
        self._cut_at = cut_at
        self._fail_at = fail_at
        self._failure = failure or OSError(errno.ENOSPC, "No space left on device")
        self._open: dict[int, _File] = {}
        self._lock = threading.RLock()
        self._tree = _scan(root)

    # -- the door ---------------------------------------------------------------------------

    def open_append(self, path: Path) -> int:
        with self._step(f"open_append {self._name(path)}"):
            fd = super().open_append(path)
            self._open[fd] = self._file(path)
            return fd

    def create(self, path: Path) -> int:
        with self._step(f"create {self._name(path)}"):
            fd = super().create(path)
            self._open[fd] = self._file(path)
            self._open[fd].live.clear()
            return fd

    def write(self, fd: int, pieces: Sequence[Piece]) -> int:
        with self._step(f"write {sum(as_bytes(piece).nbytes for piece in pieces)}"):
            written = super().write(fd, pieces)
            for piece in pieces:
                self._open[fd].live += as_bytes(piece)
            return written

    def sync(self, fd: int) -> None:
        with self._step("sync"):
            self._open[fd].stable = bytes(self._open[fd].live)

    def sync_directory(self, path: Path) -> None:
        with self._step(f"sync_directory {self._name(path)}"):
            directory = self._directory(path)
            directory.stable = dict(directory.live)

    def make_directory(self, path: Path) -> None:
        with self._step(f"make_directory {self._name(path)}"):
            super().make_directory(path)
            self._directory(path.parent).live.setdefault(path.name, _Directory())

    def rename(self, source: Path, target: Path) -> None:
        with self._step(f"rename {self._name(source)} {self._name(target)}"):
            super().rename(source, target)
            node = self._directory(source.parent).live.pop(source.name)
            self._directory(target.parent).live[target.name] = node

    def exchange(self, one: Path, other: Path) -> None:
        with self._step(f"exchange {self._name(one)} {self._name(other)}"):
            super().exchange(one, other)
            left, right = self._directory(one.parent).live, self._directory(other.parent).live
            left[one.name], right[other.name] = right[other.name], left[one.name]

    def truncate(self, fd: int, size: int) -> None:
        with self._step(f"truncate {size}"):
            super().truncate(fd, size)
            live = self._open[fd].live
            del live[size:]
            live.extend(bytes(size - len(live)))

    def unlink(self, path: Path) -> None:
        with self._step(f"unlink {self._name(path)}"):
            super().unlink(path)
            del self._directory(path.parent).live[path.name]

    def remove_directory(self, path: Path) -> None:
        with self._step(f"remove_directory {self._name(path)}"):
            super().remove_directory(path)
            del self._directory(path.parent).live[path.name]

    def close(self, fd: int) -> None:
        with self._lock:  # closing is no event for stable storage, so it is not counted
            super().close(fd)
            del self._open[fd]

    # -- what a power cut leaves ------------------------------------------------------------

    def leave(self, into: Path, *, lucky: random.Random | None = None) -> Path:
        """Write what a power cut now leaves below the new directory `into`.

        Without `lucky` all that was not synced is gone. With it, unsynced names and beginnings
        of unsynced bytes survive at random, as they may on a real disk.
        """
        into.mkdir(parents=True)
        with self._lock:
            _leave(self._tree, into, lucky)
        return into

    # -- inside -----------------------------------------------------------------------------

    def _step(self, what: str) -> threading.RLock:
        with self._lock:
            number = len(self.operations)
            if self._cut_at is not None and number >= self._cut_at:
                raise PowerCut(f"power cut before operation {number}: {what}")
            self.operations.append(what)
            if number == self._fail_at:
                raise self._failure
        return self._lock

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _directory(self, path: Path) -> _Directory:
        node: _Node = self._tree
        for part in path.relative_to(self.root).parts:
            assert isinstance(node, _Directory)
            node = node.live[part]
        assert isinstance(node, _Directory)
        return node

    def _file(self, path: Path) -> _File:
        node = self._directory(path.parent).live.setdefault(path.name, _File())
        assert isinstance(node, _File)
        return node


def _scan(path: Path) -> _Directory:
    directory = _Directory()
    for child in path.iterdir():
        if child.is_dir():
            directory.live[child.name] = _scan(child)
        else:
            content = child.read_bytes()
            directory.live[child.name] = _File(bytearray(content), content)
    directory.stable = dict(directory.live)
    return directory


def _leave(directory: _Directory, into: Path, lucky: random.Random | None) -> None:
    names = dict(directory.stable)
    if lucky is not None:
        for name in sorted({*directory.live, *directory.stable}):
            if directory.live.get(name) is not directory.stable.get(name) and lucky.random() < 0.5:
                names.pop(name, None)
                if name in directory.live:
                    names[name] = directory.live[name]
    for name, node in names.items():
        if isinstance(node, _Directory):
            (into / name).mkdir()
            _leave(node, into / name, lucky)
        else:
            (into / name).write_bytes(_surviving(node, lucky))


def _surviving(file: _File, lucky: random.Random | None) -> bytes:
    if lucky is None or bytes(file.live) == file.stable:
        return file.stable
    if not bytes(file.live).startswith(file.stable):
        return bytes(file.live) if lucky.random() < 0.5 else file.stable
    return bytes(file.live[: lucky.randint(len(file.stable), len(file.live))])
