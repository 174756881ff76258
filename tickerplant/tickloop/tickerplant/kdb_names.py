"""Lists of names on disk: the `sym` file, other domains, and `.d` (which columns, in order)."""

import os
from collections.abc import Sequence
from pathlib import Path

from tickloop.core.errors import StoreError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.file_door import OS_DOOR, FileDoor
from tickloop.tickerplant.kdb_layout import is_leaf
from tickloop.tickerplant.mapped_file import map_fd, open_at

HEADER_BYTES = 8
_PREFIX = b"\xff\x01\x0b"
# kdb+ itself leaves the count of an appended `sym` file as it was (real files say 0 or 10 where
# dozens of names follow) and reads names to the end of the file. So the count stays 0 and a
# symbol is appended by one write, which a crash may cut but never mix with older names.
_EMPTY = _PREFIX + bytes(5)


def encode_name(name: str) -> bytes:
    """Spell a name as kdb+ stores it; bytes that are no UTF-8 survive the round trip."""
    return name.encode("utf-8", "surrogateescape") + b"\0"


def parse_names(raw: bytes, name: str) -> tuple[list[str], int]:
    """Read names to the end of the file; give them and the byte after the last whole one.

    The count in the header is not read: kdb+ does not keep it. StoreError if the file does not
    begin as a list of symbols.
    """
    if _EMPTY.startswith(raw) and len(raw) < HEADER_BYTES:
        return [], 0  # a crash came between creating the file and its first bytes
    if len(raw) < HEADER_BYTES or raw[:3] != _PREFIX:
        raise StoreError(
            f"{name}: first bytes {raw[:8].hex(' ') or '(none)'}, ff 01 0b (a list of symbols)"
            " expected; restore the file from a copy of the database"
        )
    end = max(raw.rfind(b"\0") + 1, HEADER_BYTES)
    body = raw[HEADER_BYTES : end - 1] if end > HEADER_BYTES else None
    return ([] if body is None else body.decode("utf-8", "surrogateescape").split("\0")), end


def read_names(path: Path | str, directory_fd: int | None = None) -> list[str]:
    """Read a file of names; a last name that a crash cut is left out."""
    return parse_names(_content(path, directory_fd), str(path))[0]


def _content(path: Path | str, directory_fd: int | None = None) -> bytes:
    fd, size = open_at(path, directory_fd)
    try:
        return map_fd(fd, size).tobytes()
    finally:
        os.close(fd)


def parse_column_order(raw: bytes, name: str) -> tuple[str, ...]:
    """Read a `.d` file; StoreError for a name that would lead out of the table's directory."""
    names, end = parse_names(raw, name)
    bad = [column for column in names if not is_leaf(column) or column.endswith("#")]
    if not names or bad or end != len(raw) or len(set(names)) != len(names):
        raise StoreError(f"{name}: {names} is no list of columns of one table")
    return tuple(names)


def names_file(names: Sequence[str]) -> bytes:
    """Make a file of names with a true count, as `.d` has it."""
    body = b"".join(map(encode_name, names))
    return _PREFIX + b"\0" + len(names).to_bytes(4, "little") + body


def extend_names(path: Path, symbols: Symbols, *, door: FileDoor = OS_DOOR) -> int:
    """Append the names that `symbols` has and the file lacks, durably; give how many.

    What a crash left of a cut last name is removed first. StoreError if the file's names are
    not the first ones of `symbols`: then ids would mean other names.
    """
    known: list[str] = []
    size = end = 0
    if path.exists():
        raw = _content(path)
        known, end = parse_names(raw, str(path))
        size = len(raw)
    for number, (on_disk, ours) in enumerate(zip(known, symbols, strict=False)):
        if on_disk != ours:
            raise StoreError(
                f"{path}: symbol {number} is {on_disk!r} on disk and {ours!r} here; this database"
                " belongs to another symbol list"
            )
    if len(known) > len(symbols):
        raise StoreError(
            f"{path}: {len(known)} symbols on disk, only {len(symbols)} known here; load the"
            " symbols from this file before writing to its database"
        )
    added = symbols.names_from(len(known))
    if added or end != size or not size:
        _append(path, added, cut_to=end, size=size, door=door)
    return len(added)


def _append(path: Path, added: Sequence[str], *, cut_to: int, size: int, door: FileDoor) -> None:
    fd = door.open_append(path)
    try:
        if cut_to != size:
            door.truncate(fd, cut_to)
        head = [] if cut_to else [_EMPTY]
        door.write(fd, [b"".join([*head, *map(encode_name, added)])])
        door.sync(fd)
    finally:
        door.close(fd)
    door.sync_directory(path.parent)
