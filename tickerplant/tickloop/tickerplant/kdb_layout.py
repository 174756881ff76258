"""What the first bytes of a kdb+ file say: shape, type, attribute, count, where values lie."""

import struct
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tickloop.core.errors import StoreError
from tickloop.core.schema import Kind

HEAD_BYTES = 4096
VECTOR_START = 16
PAGE_START = 4096
_PAGE_HEADER = 4080
_PAGE_DOMAIN = 16
_EMPTY_INDEX_MAX = 512  # an empty parted column of a real database has an index of 80 bytes

ENUM = 20
ENUM_LAST = 76
ANYMAP = 77
TEXT = 87
NESTED_LAST = 96

# Type numbers of fixed-width vectors, and how their values look in memory.
DTYPES: dict[int, str] = {
    1: "|u1", 2: "|V16", 4: "|u1", 5: "<i2", 6: "<i4", 7: "<i8", 8: "<f4", 9: "<f8", 10: "|u1",
    12: "<i8", 13: "<i4", 14: "<i4", 15: "<f8", 16: "<i8", 17: "<i4", 18: "<i4", 19: "<i4",
}  # fmt: skip
KINDS: dict[int, Kind] = {
    1: Kind.FLAG, 2: Kind.GUID, 4: Kind.BYTE, 5: Kind.SHORT, 6: Kind.INT, 7: Kind.LONG,
    8: Kind.REAL, 9: Kind.FLOAT, 10: Kind.CHAR, 11: Kind.SYMBOL, 12: Kind.INSTANT,
    13: Kind.MONTH, 14: Kind.DATE, 15: Kind.DATETIME, 16: Kind.SPAN, 17: Kind.MINUTE,
    18: Kind.SECOND, 19: Kind.MILLI, ENUM: Kind.SYMBOL, TEXT: Kind.TEXT,
}  # fmt: skip
ATTRIBUTES = ("", "s", "u", "p", "g")


class Shape(Enum):
    """How a file is laid out, decided by its first bytes."""

    OBJECT = "ff 01"  # a serialised value: symbol lists, dictionaries, flat tables, atoms
    VECTOR = "fe 20"  # fixed-width values from byte 16; 77+n: end offsets into `col#`
    OLD_ENUM = "fe name"  # int32 indexes, kdb+ before 3.6
    PAGE = "fd 20"  # values from byte 4096: enumerations since 3.6, any map
    LEGACY = "ff 20"  # 32-bit kdb+ of 2009


@dataclass(frozen=True, slots=True)
class Layout:
    """A file's header: `count` values of `width` bytes lie from byte `start` on.

    For shape OBJECT `type` is signed (atoms are negative) and `count` is what the header says,
    which for symbol lists may be stale.
    """

    shape: Shape
    type: int
    attribute: str
    count: int
    start: int
    width: int
    domain: str = ""

    @property
    def is_enum(self) -> bool:
        """Whether values are indexes into a domain of symbols."""
        return ENUM <= self.type <= ENUM_LAST

    @property
    def is_nested(self) -> bool:
        """Whether values are places in a companion file."""
        return ANYMAP <= self.type <= NESTED_LAST

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The dtype of the values that lie in this file: items, indexes or places."""
        if self.is_enum:
            return np.dtype("<i8" if self.width == 8 else "<i4")
        return np.dtype("<i8" if self.is_nested else DTYPES[self.type])


def parse_layout(head: bytes, size: int, *, name: str, packed: bool = False) -> Layout:
    """Read a header from a file's first HEAD_BYTES bytes; `size` is the whole (unpacked) file.

    `packed` says that the file came out of a compressed container: compressing may set the
    count to zero, and then the size tells it. StoreError if the header is damaged, unknown, or
    promises more than the file holds.
    """
    parse = _PARSERS.get(head[:2]) or (_old_enum if head[:1] == b"\xfe" else None)
    if parse is None:
        raise StoreError(
            f"{name}: first bytes {head[:8].hex(' ') or '(none)'} are no kdb+ file's; expected"
            " ff 01, fe 20, fe + domain, fd 20 or kxzipped"
        )
    try:
        layout = parse(head, size, name)
    except (struct.error, IndexError) as error:
        raise StoreError(f"{name}: {size} bytes end within the header; write it again") from error
    if layout.shape is Shape.OBJECT:
        return layout
    return _bounded(layout, size, name, packed=packed)


def _bounded(layout: Layout, size: int, name: str, *, packed: bool) -> Layout:
    room = (size - layout.start) // layout.width
    count = layout.count
    if packed and count == 0:
        count = _lost_count(layout, size, name)
    if not 0 <= count <= max(room, 0):
        raise StoreError(
            f"{name}: the header says {count} values of {layout.width} bytes from byte"
            f" {layout.start}, the file has {size} bytes; it was cut or is damaged"
        )
    return Layout(
        layout.shape, layout.type, layout.attribute, count, layout.start, layout.width,
        layout.domain,
    )  # fmt: skip


def _lost_count(layout: Layout, size: int, name: str) -> int:
    """Tell a packed file's count by its size, as compressing may have set the header's to zero."""
    room = size - layout.start
    if layout.attribute in ("", "s"):
        return room // layout.width
    if room <= _EMPTY_INDEX_MAX:
        return 0
    raise StoreError(
        f"{name}: the header lost its count, and {room} bytes of values and index of attribute"
        f" {layout.attribute} do not tell it; write the column again without the attribute"
    )


def _attribute(number: int, name: str) -> str:
    if number >= len(ATTRIBUTES):
        raise StoreError(f"{name}: attribute byte {number} seen, 0 to 4 expected")
    return ATTRIBUTES[number]


def _width(type_number: int, name: str) -> int:
    if ENUM <= type_number <= NESTED_LAST:
        return 8
    if type_number not in DTYPES:
        raise StoreError(f"{name}: vector type {type_number} is not one that kdb+ maps")
    return np.dtype(DTYPES[type_number]).itemsize


def _object(head: bytes, size: int, name: str) -> Layout:
    type_number = struct.unpack_from("<b", head, 2)[0]
    has_count = 0 <= type_number < ENUM
    attribute, count = struct.unpack_from("<Bi", head, 3) if has_count else (0, 1)
    return Layout(Shape.OBJECT, type_number, _attribute(attribute, name), count, 8, 1)


def _vector(head: bytes, size: int, name: str) -> Layout:
    type_number, attribute, count = struct.unpack_from("<2xBB4xq", head)
    return Layout(
        Shape.VECTOR, type_number, _attribute(attribute, name), count, VECTOR_START,
        _width(type_number, name),
    )  # fmt: skip


def _old_enum(head: bytes, size: int, name: str) -> Layout:
    end = head.find(b"\0", 1)
    if end < 0:
        raise StoreError(f"{name}: no end of the domain's name within {len(head)} bytes")
    domain = _leaf(head[1:end], name)
    # The value's own header (attribute at 11, count at 16) moves up by eights for names that
    # would run into it. No file with a long name was seen, so both readings of the rule are
    # tried, and the one whose count the file bears out is taken.
    candidates = sorted({16 + 8 * max(0, (end - 3) // 8), max(16, (end + 8) & ~7)})
    fits: list[Layout] = []
    for at in candidates:
        (count,) = struct.unpack_from("<q", head, at)
        attribute = ATTRIBUTES[head[at - 5]] if head[at - 5] < len(ATTRIBUTES) else ""
        layout = Layout(Shape.OLD_ENUM, ENUM, attribute, count, at + 8, 4, domain)
        if count * 4 == size - at - 8:
            return layout
        fits.append(layout)
    return fits[0]


def _page(head: bytes, size: int, name: str) -> Layout:
    type_number, attribute, count = struct.unpack_from("<2xBB4xq", head, _PAGE_HEADER)
    domain = ""
    if ENUM <= type_number <= ENUM_LAST:
        text = head[_PAGE_DOMAIN:_PAGE_HEADER]
        domain = _leaf(text[: text.index(b"\0")] if b"\0" in text else b"", name)
    return Layout(
        Shape.PAGE, type_number, _attribute(attribute, name), count, PAGE_START,
        _width(type_number, name), domain,
    )  # fmt: skip


def _legacy(head: bytes, size: int, name: str) -> Layout:
    type_number, count = struct.unpack_from("<8xII", head)
    return Layout(
        Shape.LEGACY, type_number, "", count, VECTOR_START, _width(type_number, name)
    )  # fmt: skip


def _leaf(raw: bytes, name: str) -> str:
    """Take a name from a file as a file name inside the database, never as a path out of it."""
    text = raw.decode("utf-8", "surrogateescape")
    if not is_leaf(text):
        raise StoreError(f"{name}: {text!r} is no file name within the database")
    return text


def is_leaf(text: str) -> bool:
    """Tell whether a name stays within the directory that it is looked up in."""
    return text not in ("", ".", "..") and not any(mark in text for mark in "/\\\0")


_PARSERS = {b"\xff\x01": _object, b"\xfe\x20": _vector, b"\xfd\x20": _page, b"\xff\x20": _legacy}


def vector_header(type_number: int, count: int, *, attribute: str = "") -> bytes:
    """Make the 16 bytes before a fixed-width vector (shape VECTOR)."""
    return struct.pack("<BBBB4xq", 0xFE, 0x20, type_number, ATTRIBUTES.index(attribute), count)


def enum_header(domain: str, count: int, *, attribute: str = "") -> bytes:
    """Make the page before enumerated symbols (shape PAGE); what `p` promises follows them."""
    head = bytearray(PAGE_START)
    head[:2] = b"\xfd\x20"
    name = domain.encode("utf-8", "surrogateescape")
    head[_PAGE_DOMAIN : _PAGE_DOMAIN + len(name)] = name
    struct.pack_into(
        "<BBBB4xq", head, _PAGE_HEADER, 0xFD, 0, ENUM, ATTRIBUTES.index(attribute), count
    )
    return bytes(head)
