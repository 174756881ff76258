"""Whole lines out of a recorded file, gzipped or not; what precedes damage is kept."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tickloop.core.errors import FeedError

GZIP_MAGIC = b"\x1f\x8b"
READ_BYTES = 1 << 18
CHUNK_BYTES = 1 << 22
LINE_BYTES_MAX = 1 << 24


@dataclass(frozen=True, slots=True)
class Lines:
    """Consecutive lines of a file, the first at byte `offset` of its uncompressed content."""

    offset: int
    text: bytes
    cut: bool = False  # the file ends here, without a line feed
    too_long: int = 0  # lines past LINE_BYTES_MAX that were left out before these


def _inflated(path: Path, blocks: Iterator[bytes]) -> Iterator[bytes]:
    # Members follow one another, as `cat a.gz b.gz` makes them.
    inflater = zlib.decompressobj(wbits=31)
    done = 0
    for block in blocks:
        pending = block
        while True:
            try:
                text = inflater.decompress(pending, CHUNK_BYTES)
            except zlib.error as error:
                raise FeedError(
                    f"{path}: the gzip stream is damaged after {done} uncompressed bytes"
                    f" ({error}); they were kept, what follows is lost: fetch the file again"
                ) from error
            done += len(text)
            yield text
            pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if not pending and len(text) < CHUNK_BYTES:
                break
            if inflater.eof:
                inflater = zlib.decompressobj(wbits=31)
    if not inflater.eof:
        raise FeedError(
            f"{path}: the gzip stream is cut after {done} uncompressed bytes, before its end"
            " mark; they were kept: fetch the file again"
        )


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            yield block


def uncompressed(path: Path) -> Iterator[bytes]:
    """Read a file in blocks, inflating it if it is gzip; FeedError names damage where it is met."""
    try:
        with path.open("rb") as file:
            head = file.read(2)
        if not head:
            raise FeedError(f"{path}: the file is empty, recorded frames expected")
        if head == GZIP_MAGIC:
            yield from _inflated(path, _blocks(path))
        elif path.suffix == ".gz":
            raise FeedError(
                f"{path}: begins with {head.hex(' ')}, a .gz file with 1f 8b expected;"
                " drop the suffix if it is plain text"
            )
        else:
            yield from _blocks(path)
    except OSError as error:
        raise FeedError(f"{path}: cannot be read: {error.strerror or error}") from error


class _Gathering:
    """Blocks to whole lines, in chunks of about CHUNK_BYTES."""

    def __init__(self) -> None:
        self.offset = 0
        self.too_long = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._dropping = False

    def add(self, block: bytes) -> Iterator[Lines]:
        """Take in a block; yield the lines that it completes once there are enough."""
        if self._dropping:
            end = block.find(b"\n")
            self.offset += len(block) if end < 0 else end + 1
            if end < 0:
                return
            self._dropping = False
            block = block[end + 1 :]
        self._parts.append(block)
        self._size += len(block)
        if self._size >= CHUNK_BYTES:
            yield from self._whole()

    def _whole(self) -> Iterator[Lines]:
        text = b"".join(self._parts)
        end = text.rfind(b"\n") + 1
        if end:
            yield self._take(text[:end], cut=False)
        rest = text[end:]
        if len(rest) > LINE_BYTES_MAX:
            self.too_long += 1
            self.offset += len(rest)
            self._dropping = True
            rest = b""
        self._parts, self._size = [rest], len(rest)

    def _take(self, text: bytes, *, cut: bool) -> Lines:
        lines = Lines(self.offset, text, cut, self.too_long)
        self.offset += len(text)
        self.too_long = 0
        return lines

    def rest(self, *, damaged: bool) -> Iterator[Lines]:
        """Yield what is left at the end of the file, or before damage, which cuts lines anyway."""
        yield from self._whole()
        tail = b"".join(self._parts)
        if tail or self.too_long:
            yield self._take(tail, cut=not damaged)


def recorded_lines(path: Path) -> Iterator[Lines]:
    """Read a file's lines in chunks; raises FeedError at damage, after the lines before it."""
    gathering = _Gathering()
    damage: FeedError | None = None
    try:
        for block in uncompressed(path):
            yield from gathering.add(block)
    except FeedError as error:
        damage = error
    yield from gathering.rest(damaged=damage is not None)
    if damage is not None:
        raise damage
