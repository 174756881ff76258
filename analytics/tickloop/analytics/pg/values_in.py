"""Parameters as they arrive, text or binary, as the text that SQL literals are made of."""

import struct
from collections.abc import Callable
from datetime import timedelta

from tickloop.analytics.pg import oids
from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.statements import Parameter, ParameterValue
from tickloop.analytics.pg.text_fields import interval
from tickloop.core.clock import EPOCH_DATE, to_datetime

_INFINITE = 2**63 - 1
_INFINITE_DAY = 2**31 - 1
_ITEMS_MAX = 1_000_000


def parameter(oid: int, raw: bytes | None, *, binary: bool) -> Parameter:
    """Read a parameter of a type; a type that is left open takes text as it is."""
    found = oids.parameter_type(oid)
    duck = oids.duck_of(oid)
    if raw is None:
        return Parameter(duck, None)
    if not binary:
        text = _text(raw)
        is_array = found is not None and found[1]
        return Parameter(duck, items_of_text(text) if is_array else text)
    if found is None:
        raise PgError(
            SqlState.UNKNOWN_PARAMETER_TYPE, f"a binary value of type {oid} cannot be read"
        )
    kind, is_array = found
    try:
        return Parameter(duck, _items(raw, kind.oid) if is_array else _one(raw, kind.oid))
    except (struct.error, ValueError, OverflowError) as error:
        raise PgError(
            SqlState.INVALID_BINARY, f"{len(raw)} bytes are no {kind.name} in binary: {error}"
        ) from error


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise PgError(
            SqlState.NOT_IN_ENCODING,
            f'invalid byte sequence for encoding "UTF8": 0x{raw[error.start]:02x}',
        ) from error
    if "\0" in text:
        raise PgError(SqlState.NOT_IN_ENCODING, 'invalid byte sequence for encoding "UTF8": 0x00')
    return text


def _one(raw: bytes, oid: int) -> str:
    return _READERS.get(oid, _text)(raw)


def _number(form: str) -> Callable[[bytes], str]:
    return lambda raw: repr(struct.unpack(form, raw)[0])


def _boolean(raw: bytes) -> str:
    return "true" if struct.unpack("!?", raw)[0] else "false"


def _bytes(raw: bytes) -> str:
    return "\\x" + raw.hex()


def _date(raw: bytes) -> str:
    days = struct.unpack("!i", raw)[0]
    if abs(days) >= _INFINITE_DAY:
        return "infinity" if days > 0 else "-infinity"
    return (EPOCH_DATE + timedelta(days=days)).isoformat()


def _time(raw: bytes) -> str:
    micros = struct.unpack("!q", raw)[0]
    return f"{micros // 3_600_000_000:02d}:{micros // 60_000_000 % 60:02d}:{micros // 1_000_000 % 60:02d}.{micros % 1_000_000:06d}"  # noqa: E501  # fmt: skip


def _timestamp(raw: bytes) -> str:
    micros = struct.unpack("!q", raw)[0]
    if abs(micros) >= _INFINITE:
        return "infinity" if micros > 0 else "-infinity"
    return to_datetime(micros * 1000).isoformat(sep=" ")


def _interval(raw: bytes) -> str:
    micros, days, months = struct.unpack("!qii", raw)
    return interval(months, days, micros * 1000).decode()


def _numeric(raw: bytes) -> str:
    count, weight, sign, scale = struct.unpack_from("!hhHH", raw)
    if sign >= 0xC000:
        return {0xD000: "Infinity", 0xF000: "-Infinity"}.get(sign, "NaN")
    digits = "".join(f"{group:04d}" for group in struct.unpack(f"!{count}H", raw[8:])) or "0"
    # The last group counts 10,000 ** (weight - count + 1); wanted are `scale` decimal places.
    shift = 4 * (weight - count + 1) + scale
    whole = int(digits) * 10**shift if shift >= 0 else int(digits) // 10**-shift
    text = f"{whole:0{scale + 1}d}"
    text = f"{text[:-scale]}.{text[-scale:]}" if scale else text
    return f"-{text}" if sign else text


def _uuid(raw: bytes) -> str:
    text = struct.pack("!16s", raw).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _items(raw: bytes, oid: int) -> tuple[ParameterValue, ...]:
    """Read a binary array of one dimension."""
    dimensions, _, _ = struct.unpack_from("!iiI", raw)
    if dimensions == 0:
        return ()
    if dimensions != 1:
        raise ValueError(f"an array of {dimensions} dimensions seen, 1 expected")
    count, _ = struct.unpack_from("!ii", raw, 12)
    at = 20
    if not 0 <= count <= min(_ITEMS_MAX, (len(raw) - at) // 4):
        raise ValueError(f"{count} items in {len(raw)} bytes")
    items: list[ParameterValue] = []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", raw, at)
        at += 4
        if size < 0:
            items.append(None)
            continue
        if at + size > len(raw):
            raise ValueError(f"an item of {size} bytes at byte {at}")
        items.append(_one(raw[at : at + size], oid))
        at += size
    return tuple(items)


def items_of_text(text: str) -> tuple[ParameterValue, ...]:
    """Read an array such as {1,NULL,"a b"}."""
    body = text.strip()
    if not (body.startswith("{") and body.endswith("}")):
        raise PgError(SqlState.INVALID_TEXT, f'malformed array literal: "{text}"')
    items: list[ParameterValue] = []
    at, end = 1, len(body) - 1
    while at < end:
        value, quoted, at = _array_item(body, at, end)
        items.append(None if not quoted and value.upper() == "NULL" else value)
        if at < end and body[at] != ",":
            raise PgError(SqlState.INVALID_TEXT, f'malformed array literal: "{text}"')
        at += 1
    return tuple(items)


def _array_item(body: str, at: int, end: int) -> tuple[str, bool, int]:
    while at < end and body[at].isspace():
        at += 1
    if at < end and body[at] == '"':
        return _quoted_item(body, at + 1, end)
    if at < end and body[at] == "{":
        raise PgError(SqlState.FEATURE_NOT_SUPPORTED, "arrays have one dimension here")
    stop = at
    while stop < end and body[stop] != ",":
        stop += 2 if body[stop] == "\\" else 1
    return body[at:stop].replace("\\", "").strip(), False, stop


def _quoted_item(body: str, at: int, end: int) -> tuple[str, bool, int]:
    characters = []
    while at < end and body[at] != '"':
        at += body[at] == "\\"
        characters.append(body[at])
        at += 1
    at += 1
    while at < end and body[at].isspace():
        at += 1
    return "".join(characters), True, at


_READERS: dict[int, Callable[[bytes], str]] = {
    oids.BOOL.oid: _boolean,
    oids.BYTEA.oid: _bytes,
    oids.INT2.oid: _number("!h"),
    oids.INT4.oid: _number("!i"),
    oids.INT8.oid: _number("!q"),
    oids.OID.oid: _number("!I"),
    oids.FLOAT4.oid: _number("!f"),
    oids.FLOAT8.oid: _number("!d"),
    oids.DATE.oid: _date,
    oids.TIME.oid: _time,
    oids.TIMESTAMP.oid: _timestamp,
    oids.TIMESTAMPTZ.oid: _timestamp,
    oids.INTERVAL.oid: _interval,
    oids.NUMERIC.oid: _numeric,
    oids.UUID.oid: _uuid,
}
