"""Any kdb+ column file: opened by its header, mapped where it is plain, unpacked where packed."""

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tickloop.core.schema import Kind
from tickloop.tickerplant.kdb_anymap import AnyMap
from tickloop.tickerplant.kdb_layout import (
    ANYMAP,
    HEAD_BYTES,
    KINDS,
    PAGE_START,
    Layout,
    Shape,
    parse_layout,
)
from tickloop.tickerplant.kdb_names import parse_names
from tickloop.tickerplant.kdb_nested import Nested
from tickloop.tickerplant.kdb_object import decode_object, object_rows
from tickloop.tickerplant.kdb_zip import (
    ALGORITHMS,
    ENCRYPTED_MAGIC,
    MAGIC,
    Packed,
    open_packed,
    refuse_encrypted,
)
from tickloop.tickerplant.mapped_file import Bytes, map_fd, open_at, read_head
from tickloop.tickerplant.q_values import Value

Array = npt.NDArray[np.generic]
Rows = Array | Nested | AnyMap


@dataclass(eq=False)
class KdbFile:
    """One column file. Opening it read the header only; values are pages of the file.

    `values()` of a fixed-width column is a read-only view of the mapping (int64 or int32 indexes
    into `layout.domain` for symbols). A packed column is unpacked at the first use and kept.
    """

    name: str
    layout: Layout
    file_bytes: int
    compression: str  # algorithm's name; empty where the file is plain
    _source: Bytes | Packed
    _companions: dict[str, Bytes] = field(default_factory=dict)
    _rows: Rows | None = None

    @property
    def packed(self) -> Packed | None:
        """The container around a compressed file."""
        return self._source if isinstance(self._source, Packed) else None

    @property
    def rows(self) -> int:
        """How many rows the column has."""
        if self.layout.shape is Shape.OBJECT:
            return len(self.values())
        return self.layout.count

    @property
    def kind(self) -> Kind | None:
        """What the column holds; None for lists that are no text."""
        if self.layout.shape is Shape.OBJECT and self.layout.type == 0:
            return Kind.TEXT
        if self.layout.is_enum:
            return Kind.SYMBOL
        if self.layout.type == ANYMAP:
            values = self.values()
            return Kind.TEXT if isinstance(values, AnyMap) and values.is_text else None
        return KINDS.get(self.layout.type)

    def values(self) -> Rows:
        """Give the column's values; StoreError if they are not what the header promised."""
        if self._rows is None:
            self._rows = self._read()
        return self._rows

    def _read(self) -> Rows:
        image = self._source.unpack() if isinstance(self._source, Packed) else self._source
        layout = self.layout
        if layout.shape is Shape.OBJECT:
            return object_rows(image, layout, self.name)
        stop = layout.start + layout.count * layout.width
        values = image[layout.start : stop].view(layout.dtype)
        if layout.type == ANYMAP:
            heap = self._companion("#", None)
            names, _ = parse_names(self._companion("##", None).tobytes(), f"{self.name}##")
            return AnyMap(self.name, _as_long(values), heap[PAGE_START:], names)
        if layout.is_nested:
            ends = _as_long(values)
            raw = self._companion("#", int(ends[-1]) if len(ends) else 0)
            return Nested(self.name, layout.type, ends, raw)
        return values

    def _companion(self, suffix: str, plain_bytes: int | None) -> Bytes:
        """Give a companion's bytes; text of `plain_bytes` may by chance begin like a container."""
        raw = self._companions[suffix]
        if plain_bytes == len(raw):
            return raw
        source = _unwrapped(raw, raw[: len(MAGIC)].tobytes(), f"{self.name}{suffix}")
        return source.unpack() if isinstance(source, Packed) else source


def _as_long(values: Array) -> npt.NDArray[np.int64]:
    return values.view(np.int64)


def open_kdb_file(name: Path | str, directory_fd: int | None = None) -> KdbFile:
    """Open a column file by name, within a directory's descriptor if one is given.

    StoreError if it is absent, no kdb+ file, encrypted, or shorter than its header says.
    """
    text = str(name)
    raw, head = _mapped(name, directory_fd)
    source = _unwrapped(raw, head, text)
    packed = isinstance(source, Packed)
    plain_bytes = len(raw)
    if isinstance(source, Packed):
        plain_bytes, head = source.plain_bytes, source.head(HEAD_BYTES)
    layout = parse_layout(head, plain_bytes, name=text, packed=packed)
    compression = ALGORITHMS[source.algorithm] if isinstance(source, Packed) else ""
    companions = {}
    if layout.is_nested:
        suffixes = ("#", "##") if layout.type == ANYMAP else ("#",)
        companions = {suffix: _mapped(f"{name}{suffix}", directory_fd)[0] for suffix in suffixes}
    return KdbFile(text, layout, len(raw), compression, source, companions)


def read_object(name: Path | str) -> Value:
    """Read a file that holds one value, such as a flat table or a dictionary.

    StoreError if it holds a column instead, or is damaged.
    """
    raw, head = _mapped(name, None)
    source = _unwrapped(raw, head, str(name))
    return decode_object(source.unpack() if isinstance(source, Packed) else source, str(name))


def plain_bytes(name: Path | str) -> Bytes:
    """Map a file's bytes, those of a compressed one unpacked."""
    raw, head = _mapped(name, None)
    source = _unwrapped(raw, head, str(name))
    return source.unpack() if isinstance(source, Packed) else source


def _mapped(name: Path | str, directory_fd: int | None) -> tuple[Bytes, bytes]:
    """Map a file and read its first bytes without touching the mapping."""
    fd, size = open_at(name, directory_fd)
    try:
        return map_fd(fd, size), read_head(fd, HEAD_BYTES)
    finally:
        os.close(fd)


def _unwrapped(raw: Bytes, head: bytes, name: str) -> Bytes | Packed:
    """Open a container if the bytes are one."""
    if head.startswith(ENCRYPTED_MAGIC):
        raise refuse_encrypted(name)
    return open_packed(raw, name) if head.startswith(MAGIC) else raw
