"""One value in one file, as kdb+ lays it out: vectors to be mapped, everything else serialised."""

import os
import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tickloop.analytics.q.enumerations import known_domain
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.file_paths import refused
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.values import (
    DTYPES,
    Atom,
    Attribute,
    Enumerated,
    List,
    QType,
    Value,
    Vector,
    collect,
    symbols,
)
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.core.errors import StoreError, WireError
from tickloop.tickerplant.kdb_anymap import AnyMap
from tickloop.tickerplant.kdb_anymap import Value as Loose
from tickloop.tickerplant.kdb_file import KdbFile, open_kdb_file, read_object
from tickloop.tickerplant.kdb_layout import ANYMAP, PAGE_START, Shape, enum_header, vector_header
from tickloop.tickerplant.kdb_nested import Nested
from tickloop.tickerplant.kdb_zip import STORED, Packed, Packing, pack
from tickloop.tickerplant.q_codec import encode

_ATTRIBUTES = {
    "": Attribute.NONE, "s": Attribute.SORTED, "u": Attribute.UNIQUE, "p": Attribute.PARTED,
    "g": Attribute.GROUPED,
}  # fmt: skip
_LEVEL = 6
_COUNT_AT = 8  # within a header of a vector


def write_value(path: Path, value: Value, packing: Packing | None = None) -> None:
    """Write a value to a file; directories are made, and a file there is replaced whole."""
    written = packed(_image(value), packing)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, written)
    except OSError as error:
        raise refused(path, error) from None


def write_column(path: Path, value: Value, packing: Packing | None = None) -> None:
    """Write a column of a splayed table: lists of one simple type with their ends beside them."""
    nested = _nested(value)
    if nested is None:
        write_value(path, value, packing)
        return
    kind, ends, raw = nested
    _replace(path.with_name(path.name + "#"), packed([raw], packing))
    head = vector_header(ANYMAP + int(kind), len(ends))
    _replace(path, packed([head, ends.tobytes()], packing))


def packed(parts: list[bytes], packing: Packing | None) -> list[bytes]:
    """Compress a file's bytes if it is to be compressed; 'nyi if it cannot be that way."""
    if packing is None or packing.algorithm == STORED:
        return parts
    try:
        return [pack(b"".join(parts), packing)]
    except StoreError as error:
        raise QError("nyi", str(error)) from None


def append_column(session: Interpreter, path: Path, value: Value) -> None:
    """Append to a column; fixed-width values are added at the file's end, others written anew."""
    known = opened(path)
    layout = known.layout
    if known.packed is not None:
        # Blocks cannot be added in place: the column is written anew, packed as it was.
        from tickloop.analytics.q.rows import join

        write_column(path, join([column_of(session, known), value]), packing_of(known.packed))
        return
    fixed = isinstance(value, Vector) and layout.shape is Shape.VECTOR
    if isinstance(value, Vector) and fixed and layout.type == value.type:
        _append(path, 0, layout.start, layout.count, value.data)
    elif isinstance(value, Enumerated) and layout.shape is Shape.PAGE and layout.width == 8:
        if value.domain.name != layout.domain:
            raise QError("type", f"the column is enumerated by {layout.domain}")
        _append(path, PAGE_START - 16, layout.start, layout.count, value.data.astype("<i8"))
    else:
        from tickloop.analytics.q.rows import join

        write_column(path, join([column_of(session, known), value]))


def packing_of(known: Packed) -> Packing:
    """Give how a file was packed; its level is not kept, so the usual one is taken."""
    return Packing(known.block_bytes.bit_length() - 1, known.algorithm, _LEVEL)


def _append(
    path: Path,
    header_at: int,
    start: int,
    count: int,
    data: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]",
) -> None:
    with path.open("r+b") as file:
        file.seek(start + count * data.dtype.itemsize)
        file.truncate()
        file.write(data.tobytes())
        # The count comes last: until then the rows that were there are all there is.
        file.flush()
        file.seek(header_at + 3)
        file.write(bytes([0]))
        file.seek(header_at + _COUNT_AT)
        file.write(struct.pack("<q", count + len(data)))


def _replace(path: Path, parts: Sequence[bytes]) -> None:
    # A mapped file keeps its old pages, so values read from it stay as they are.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                file.write(part)
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _image(value: Value) -> list[bytes]:
    if isinstance(value, Enumerated):
        data = value.data.astype("<i8")
        return [
            enum_header(value.domain.name, len(data)),
            np.where(data < 0, -(2**63), data).tobytes(),
        ]
    if isinstance(value, Vector) and value.type is not QType.SYMBOL:
        # The index that u, p and g need on disk is not documented, so only s is written.
        mark = "s" if value.attribute is Attribute.SORTED else ""
        return [vector_header(int(value.type), len(value), attribute=mark), value.data.tobytes()]
    return [b"\xff\x01", encode(to_wire(value))]


def _nested(
    value: Value,
) -> "tuple[QType, np.ndarray[tuple[int], np.dtype[np.int64]], bytes] | None":
    """Give the type, ends in bytes and bytes of a list of simple vectors of one type."""
    if not isinstance(value, List) or not len(value):
        return None
    vectors = [item for item in value.items if isinstance(item, Vector)]
    kinds = {item.type for item in vectors}
    if len(vectors) < len(value) or len(kinds) > 1 or QType.SYMBOL in kinds:
        return None
    sizes = np.array([item.data.nbytes for item in vectors], dtype=np.int64)
    return kinds.pop(), np.cumsum(sizes), b"".join([item.data.tobytes() for item in vectors])


def opened(path: Path) -> KdbFile:
    """Open a file; an error named as the path if it is not there or no file of kdb+."""
    try:
        return open_kdb_file(path)
    except OSError as error:
        raise refused(path, error) from None
    except StoreError as error:
        if not path.exists():
            raise refused(path, FileNotFoundError(2, "No such file or directory")) from None
        raise QError(str(path), str(error)) from None


def read_value(session: Interpreter, path: Path) -> Value:
    """Read the value in a file; vectors are mapped, not read."""
    known = opened(path)
    if known.layout.shape is not Shape.OBJECT:
        return column_of(session, known)
    try:
        return from_wire(read_object(path), lambda source, namespace: session.evaluate_text(source))
    except (StoreError, WireError) as error:
        raise QError(str(path), str(error)) from None


def column_of(session: Interpreter, known: KdbFile) -> Value:
    """Give a column as a value."""
    layout = known.layout
    if layout.shape is Shape.OBJECT:
        return read_value(session, Path(known.name))
    values = known.values()
    if isinstance(values, Nested):
        return _rows_of(values)
    if isinstance(values, AnyMap):
        return List(tuple([_loose(item) for item in values.items(0, len(values))]))
    attribute = _ATTRIBUTES[layout.attribute]
    if layout.is_enum:
        return Enumerated(known_domain(session, layout.domain), values, attribute)
    kind = QType(layout.type)
    return Vector(kind, values.view(DTYPES[kind]), attribute)


def _rows_of(nested: Nested) -> List:
    kind = QType(nested.type - ANYMAP)
    dtype = DTYPES[kind]
    starts = np.concatenate([[0], nested.ends[:-1]]).tolist() if len(nested) else []
    raw = nested.raw
    return List(
        tuple(
            [
                Vector(kind, raw[start:stop].view(dtype))
                for start, stop in zip(starts, nested.ends.tolist(), strict=True)
            ]
        )
    )


_BY_DTYPE = {"b": QType.BOOLEAN, "u": QType.BYTE, "V": QType.GUID}


def _loose(item: Loose) -> Value:
    """Make a value of an any-map's row, whose arrays do not tell temporal types."""
    if isinstance(item, bytes):
        return Vector(QType.CHAR, np.frombuffer(bytearray(item), dtype=np.uint8))
    if isinstance(item, np.ndarray):
        kinds = [kind for kind, dtype in DTYPES.items() if dtype == item.dtype]
        kind = _BY_DTYPE.get(item.dtype.kind) or kinds[0]
        return Vector(kind, np.ascontiguousarray(item, dtype=DTYPES[kind]))
    if isinstance(item, dict):
        raise QError("nyi", "a dictionary in a row of a mapped list")
    if item and all(isinstance(part, str) for part in item):
        return symbols([str(part) for part in item])
    return collect([part if isinstance(part, Atom) else _loose(part) for part in item])  # type: ignore[arg-type]
