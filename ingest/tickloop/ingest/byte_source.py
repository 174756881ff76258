"""Bytes of a file in blocks, plain or gzip: everything before damage is given out, then named."""

import zlib
from collections.abc import Iterator
from pathlib import Path

from tickloop.core.errors import FeedError

GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_READ = 1 << 16


def is_gzip(path: Path) -> bool:
    """Tell by its first bytes, not its name, whether a file is gzip."""
    with path.open("rb") as file:
        return file.read(2) == GZIP_MAGIC


class ByteSource:
    """Fills buffers from a file; `damage` says what ended it early, if anything did."""

    def __init__(self, path: Path) -> None:
        self.damage: FeedError | None = None
        self._path = path
        self._pieces = self._unzipped() if is_gzip(path) else self._plain()
        self._rest = memoryview(b"")

    def fill(self, view: memoryview) -> int:
        """Fill a view; fewer bytes than it holds means that the source has ended."""
        filled = 0
        while filled < len(view):
            if not self._rest:
                piece = next(self._pieces, b"")
                if not piece:
                    break
                self._rest = memoryview(piece)
            taken = min(len(self._rest), len(view) - filled)
            view[filled : filled + taken] = self._rest[:taken]
            self._rest = self._rest[taken:]
            filled += taken
        return filled

    def _plain(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while piece := file.read(1 << 20):
                yield piece

    def _unzipped(self) -> Iterator[bytes]:
        """Unzip member after member; a damaged one gives all that comes before the damage."""
        member = zlib.decompressobj(_GZIP_WINDOW)
        read = 0
        with self._path.open("rb") as file:
            while piece := file.read(_READ):
                if member.eof:
                    # Archives are padded with zeros; anything else must be another member.
                    piece = piece.lstrip(b"\0")
                    if not piece:
                        continue
                    member = zlib.decompressobj(_GZIP_WINDOW)
                while piece:
                    saved = member.copy()
                    try:
                        yield member.decompress(piece)
                    except zlib.error as error:
                        good, salvage = _before_damage(saved, piece)
                        self.damage = self._error(f"damaged gzip data ({error})", read + good)
                        if salvage:
                            yield salvage
                        return
                    read += len(piece) - len(member.unused_data)
                    piece = member.unused_data.lstrip(b"\0")
                    if piece:
                        member = zlib.decompressobj(_GZIP_WINDOW)
        if not member.eof:
            self.damage = self._error("gzip data without its end", read)

    def _error(self, seen: str, offset: int) -> FeedError:
        return FeedError(
            f"{self._path.name}: {seen} at compressed byte {offset}, a whole gzip stream expected;"
            " what unzips before it was kept: get the file again for the rest"
        )


def _before_damage(member: "zlib._Decompress", piece: bytes) -> tuple[int, bytes]:
    """Unzip the bytes before damage by feeding ever smaller parts; give how many were good."""
    salvage = []
    good = 0
    size = len(piece)
    while size:
        saved = member.copy()
        try:
            salvage.append(member.decompress(piece[good : good + size]))
        except zlib.error:
            member = saved
            size //= 2
            continue
        good += size
        size = min(size, len(piece) - good)
    return good, b"".join(salvage)
