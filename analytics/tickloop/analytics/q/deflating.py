"""Bytes made smaller: .Q.gz packs as gzip does, -18! gives a value as a compressed message."""

import gzip
import zlib

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.values import (
    Atom,
    Nil,
    QType,
    Value,
    Vector,
    boolean,
    is_atom,
    items_of,
)
from tickloop.tickerplant.q_compress import compress_message

_BYTES_MAX = 1 << 31


@register(".Q.gz", rank=1)
def gzipped(value: Value) -> Value:
    """Unpack bytes; pack those of (level;bytes); say that :: can be had."""
    if isinstance(value, Nil):
        return boolean(True)
    if isinstance(value, Vector) and value.type in (QType.CHAR, QType.BYTE):
        return Vector(value.type, _array(_unpacked(value.data.tobytes())))
    parts = [] if is_atom(value) else items_of(value)
    if len(parts) != 2 or not isinstance(parts[0], Atom) or not isinstance(parts[1], Vector):
        raise type_error("text or bytes needed, or (level;text) with a level from 1 to 9")
    level, text = int(parts[0].value), parts[1]
    if not 1 <= level <= 9:
        raise QError("domain", f"level {level} seen, 1 to 9 expected")
    # No time of packing in it: the same bytes give the same bytes.
    return Vector(text.type, _array(gzip.compress(text.data.tobytes(), level, mtime=0)))


def _unpacked(raw: bytes) -> bytes:
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        found = reader.decompress(raw, _BYTES_MAX)
    except zlib.error as error:
        raise QError("gz", f"{error}: bytes that gzip made expected") from None
    if reader.unconsumed_tail:
        raise QError("limit", f"more than {_BYTES_MAX} bytes come out of these {len(raw)}")
    return found


def _array(raw: bytes) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    return np.frombuffer(bytearray(raw), dtype=np.uint8)


@register("-18!", rank=1, session=True)
def compressed_message(session: Interpreter, value: Value) -> Value:
    """Give a value as the bytes of a compressed message, plain where that saves too little."""
    plain = call(session, "-8!", value)
    assert isinstance(plain, Vector)
    packed = compress_message(plain.data.tobytes())
    return plain if packed is None else Vector(QType.BYTE, _array(packed))
