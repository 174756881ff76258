"""A LOBSTER day on disk: finds the message file, its order book file, its symbol and its date."""

import gzip
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Protocol, Self, cast
from zipfile import BadZipFile, ZipFile

from tickloop.core.errors import FeedError
from tickloop.ingest.numberlines import STREAM_ERRORS, ByteStream

_ZIP_MAGIC = b"PK"
_GZIP_MAGIC = b"\x1f\x8b"
_NAME = re.compile(r"(?:^|SampleFile_)(?P<symbol>[^_/\\]+)_(?P<date>\d{4}-\d{2}-\d{2})_")
_LEVELS = re.compile(r"_message_(?P<levels>\d{1,4})\.csv")
_MESSAGE = re.compile(rb"\d+(?:\.\d+)?(?:,-?\d+){5}\s")
EXAMPLE = "34200.004241176,1,16113575,18,5853300,1"
_LEVELS_MAX = 1000
LEVELS_DEFAULT = 10


class ByteFile(ByteStream, Protocol):
    """An open binary file."""

    def readline(self, size: int = -1, /) -> bytes:
        """Read through the next line end."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *details: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Member:
    """One csv: a file, plain or gzipped, or a file within a zip."""

    path: Path
    inside: str = ""

    @property
    def name(self) -> str:
        """What people call it."""
        return self.inside or self.path.name

    def open(self) -> ByteFile:
        """Open its bytes unpacked; FeedError with the reason if that fails."""
        try:
            if self.inside:
                # The member keeps the archive's file open, and closes it when it is closed.
                with ZipFile(self.path) as archive:
                    return cast("ByteFile", archive.open(self.inside))
            if _head(self.path) == _GZIP_MAGIC:
                return cast("ByteFile", gzip.open(self.path))
            return cast("ByteFile", self.path.open("rb"))
        except (*STREAM_ERRORS, RuntimeError, NotImplementedError) as error:
            raise FeedError(f"{self.path}: {self.name} cannot be opened: {error}") from error


@dataclass(frozen=True, slots=True)
class LobsterDay:
    """The files of one instrument's day; `book` is None where there is no order book file."""

    messages: Member
    book: Member | None
    symbol: str  # empty if no name tells
    session: date | None


def refuse_other_files(member: Member) -> None:
    """Raise FeedError if the first line is no LOBSTER message: a better name would not help."""
    try:
        with member.open() as stream:
            line = stream.readline(200)
    except STREAM_ERRORS as error:
        raise FeedError(f"{member.path}: {member.name} cannot be read: {error}") from error
    if not _MESSAGE.match(line):
        raise FeedError(
            f"{member.path}: first line {line[:60]!r} seen, a LOBSTER message"
            f" (time,type,order id,size,price,direction, such as {EXAMPLE}) expected; name the feed"
            " that it is"
        )


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(2)


def find_day(path: Path) -> LobsterDay:
    """Find what belongs to a path: a message csv, plain or gzipped, or the zip as downloaded."""
    try:
        magic = _head(path)
    except OSError as error:
        raise FeedError(f"{path}: cannot be read: {error.strerror}") from error
    if not magic:
        raise FeedError(f"{path}: the file is empty; expected a LOBSTER message csv or zip")
    if magic == _ZIP_MAGIC:
        messages, book = _in_zip(path)
    else:
        messages, book = Member(path), _beside(path)
    symbol, session = _named(messages.name)
    if not symbol:
        symbol, session = _named(path.name)
    return LobsterDay(messages, book, symbol, session)


def _in_zip(path: Path) -> tuple[Member, Member | None]:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (*STREAM_ERRORS, BadZipFile) as error:
        raise FeedError(f"{path}: not a whole zip file ({error}); download it again") from error
    messages = [name for name in names if "_message_" in name and name.endswith(".csv")]
    if len(messages) != 1:
        raise FeedError(
            f"{path}: {len(messages)} files named *_message_*.csv in the zip, expected 1;"
            f" it holds {', '.join(names[:5]) or 'nothing'}: unpack it and give one message file"
        )
    book = messages[0].replace("_message_", "_orderbook_")
    return Member(path, messages[0]), Member(path, book) if book in names else None


def _beside(path: Path) -> Member | None:
    if "_message_" not in path.name:
        return None
    stem = path.name.replace("_message_", "_orderbook_").removesuffix(".gz")
    for name in (stem, f"{stem}.gz"):
        if (path.parent / name).is_file():
            return Member(path.parent / name)
    return None


def _named(name: str) -> tuple[str, date | None]:
    found = _NAME.search(Path(name).name)
    if found is None:
        return "", None
    try:
        return found["symbol"], date.fromisoformat(found["date"])
    except ValueError:
        return found["symbol"], None


def levels_of(book: Member) -> int:
    """Count a book file's levels from its first line: four numbers each, 0 if they are not."""
    with book.open() as stream:
        try:
            line = stream.readline(1 << 20)
        except STREAM_ERRORS:
            return 0
    fields = line.count(b",") + 1
    return fields // 4 if fields % 4 == 0 and fields <= 4 * _LEVELS_MAX else 0


def levels_named(messages: Member) -> int:
    """Read a message file's number of levels off its name; LEVELS_DEFAULT if it does not tell."""
    found = _LEVELS.search(messages.name)
    levels = int(found["levels"]) if found else 0
    return levels if 0 < levels <= _LEVELS_MAX else LEVELS_DEFAULT
