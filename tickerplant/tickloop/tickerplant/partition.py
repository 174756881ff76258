"""One table's partition on disk: columns opened by name, mapped, and checked to belong together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tickloop.core.errors import StoreError
from tickloop.core.schema import Kind
from tickloop.tickerplant.kdb_file import KdbFile, Rows, open_kdb_file
from tickloop.tickerplant.kdb_names import parse_column_order
from tickloop.tickerplant.mapped_file import map_fd, open_at
from tickloop.tickerplant.parted import FILE_NAME, Parted, decode_parted, parted_of

_Identity = tuple[int, int, int]


class PartitionReplacedError(StoreError):
    """The partition was written anew since it was opened; open it again."""


class Partition:
    """A table's columns in one partition (or of one splayed table), opened when first asked for.

    No descriptor is held. What was mapped stays valid when the partition is replaced; a column
    opened after that raises PartitionReplacedError, so columns of two versions never mix.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._identity: _Identity | None = None
        self._files: dict[str, KdbFile] = {}
        self._parted: Parted | None = None
        self._parted_read = False
        with self._opened() as fd:
            self.names = parse_column_order(_read(".d", fd), str(directory / ".d"))

    @contextmanager
    def _opened(self) -> Iterator[int]:
        try:
            fd = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            if self._identity is not None:
                raise PartitionReplacedError(f"{self.directory}: is gone; open it again") from error
            raise StoreError(f"{self.directory}: no table there: {error}") from error
        try:
            status = os.fstat(fd)
            identity = (status.st_dev, status.st_ino, status.st_ctime_ns)
            if self._identity not in (None, identity):
                raise PartitionReplacedError(
                    f"{self.directory}: was written anew since it was opened; open it again"
                )
            self._identity = identity
            yield fd
        finally:
            os.close(fd)

    @property
    def rows(self) -> int:
        """How many rows the partition has."""
        return self.file(self.names[0]).rows

    def file(self, name: str) -> KdbFile:
        """Open a column's file; StoreError if it is absent, damaged or of another length."""
        if name not in self._files:
            if name not in self.names:
                raise StoreError(
                    f"{self.directory}: no column {name!r}; it has {', '.join(self.names)}"
                )
            with self._opened() as fd:
                self._files[name] = _open_column(name, fd, self.directory)
            if name != self.names[0]:
                self._check_length(self._files[name])
        return self._files[name]

    def _check_length(self, file: KdbFile) -> None:
        if file.rows != self.rows:
            raise StoreError(
                f"{self.directory}: column {file.name} has {file.rows} rows, {self.names[0]} has"
                f" {self.rows}; a write was cut short, restore the partition"
            )

    def column(self, name: str) -> Rows:
        """Give a column's values: mapped arrays, symbols as indexes, or lists."""
        return self.file(name).values()

    def kind(self, name: str) -> Kind | None:
        """Tell what a column holds; None for lists that are no text."""
        return self.file(name).kind

    @property
    def parted(self) -> Parted | None:
        """Which rows each symbol has; None where a symbol's rows are not together.

        Read from our index; for a database that kdb+ parted, made from the symbol column.
        """
        if not self._parted_read:
            self._parted = self._find_parted()
            self._parted_read = True
        return self._parted

    def _find_parted(self) -> Parted | None:
        with self._opened() as fd:
            raw = _read(FILE_NAME, fd) if _exists(FILE_NAME, fd) else None
        if raw is not None:
            return decode_parted(raw, rows=self.rows, name=str(self.directory / FILE_NAME))
        if "sym" not in self.names or self.file("sym").layout.attribute != "p":
            return None
        ids = self.column("sym")
        return parted_of(ids) if isinstance(ids, np.ndarray) else None


def _read(name: str, directory_fd: int) -> bytes:
    fd, size = open_at(name, directory_fd)
    try:
        return map_fd(fd, size).tobytes()
    finally:
        os.close(fd)


def _exists(name: str, directory_fd: int) -> bool:
    try:
        os.stat(name, dir_fd=directory_fd)
    except FileNotFoundError:
        return False
    return True


def _open_column(name: str, directory_fd: int, directory: Path) -> KdbFile:
    try:
        return open_kdb_file(name, directory_fd)
    except StoreError as error:
        raise StoreError(f"{directory}: {error}") from error
