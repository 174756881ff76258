"""What the server says, as bytes."""

import struct
from collections.abc import Iterable, Sequence

from tickloop.analytics.pg.failures import PgError
from tickloop.analytics.pg.oids import WireType

SSL_NO = b"N"
SSL_YES = b"S"
AUTHENTICATED = b"R\x00\x00\x00\x08\x00\x00\x00\x00"
PARSE_COMPLETE = b"1\x00\x00\x00\x04"
BIND_COMPLETE = b"2\x00\x00\x00\x04"
CLOSE_COMPLETE = b"3\x00\x00\x00\x04"
NO_DATA = b"n\x00\x00\x00\x04"
EMPTY_QUERY = b"I\x00\x00\x00\x04"
PORTAL_SUSPENDED = b"s\x00\x00\x00\x04"
COPY_DONE = b"c\x00\x00\x00\x04"


def _message(kind: bytes, payload: bytes) -> bytes:
    return kind + struct.pack("!i", len(payload) + 4) + payload


def _text(text: str) -> bytes:
    return text.replace("\0", "").encode(errors="replace") + b"\0"


def sasl_mechanisms(names: Iterable[str]) -> bytes:
    """Ask for a password by one of these mechanisms."""
    listed = b"".join(map(_text, names)) + b"\0"
    return _message(b"R", struct.pack("!i", 10) + listed)


def sasl_continue(payload: bytes) -> bytes:
    """Answer a client's first SASL message."""
    return _message(b"R", struct.pack("!i", 11) + payload)


def sasl_final(payload: bytes) -> bytes:
    """Prove to the client that the server knows the password too."""
    return _message(b"R", struct.pack("!i", 12) + payload)


def parameter_status(name: str, value: str) -> bytes:
    """Tell a setting that clients follow."""
    return _message(b"S", _text(name) + _text(value))


def key(process: int, secret: int) -> bytes:
    """Tell what a cancel request must show."""
    return _message(b"K", struct.pack("!iI", process, secret))


def protocol_offer(unknown: Sequence[str]) -> bytes:
    """Say that only protocol 3.0 is spoken, and which options are not known."""
    listed = b"".join(map(_text, unknown))
    return _message(b"v", struct.pack("!ii", 3 << 16, len(unknown)) + listed)


def ready(state: bytes) -> bytes:
    """Say that the next statement may come: idle I, in a transaction T, in a failed one E."""
    return _message(b"Z", state)


def command_complete(tag: str) -> bytes:
    """Say that a statement is done."""
    return _message(b"C", _text(tag))


def parameter_description(oids: Sequence[int]) -> bytes:
    """Tell a statement's parameters."""
    return _message(b"t", struct.pack(f"!H{len(oids)}I", len(oids), *oids))


def row_description(columns: Sequence[tuple[str, WireType]], formats: Sequence[int]) -> bytes:
    """Tell a result's columns."""
    parts = [struct.pack("!H", len(columns))]
    for (name, wire), code in zip(columns, formats, strict=True):
        parts.append(_text(name))
        parts.append(struct.pack("!IhIhih", 0, 0, wire.oid, wire.size, wire.modifier, code))
    return _message(b"T", b"".join(parts))


def text_row(values: Sequence[str | None]) -> bytes:
    """Spell one row of texts."""
    parts = [struct.pack("!H", len(values))]
    for value in values:
        raw = None if value is None else value.encode()
        parts.append(b"\xff\xff\xff\xff" if raw is None else struct.pack("!i", len(raw)) + raw)
    return _message(b"D", b"".join(parts))


def copy_out(columns: int, *, binary: bool) -> bytes:
    """Begin a copy to the client."""
    codes = [int(binary)] * columns
    return _message(b"H", struct.pack(f"!bH{columns}h", int(binary), columns, *codes))


def copy_data(payload: bytes) -> bytes:
    """Spell a piece of a copy."""
    return _message(b"d", payload)


def failure(error: PgError, *, severity: str = "ERROR") -> bytes:
    """Tell what went wrong; FATAL where the connection ends with it."""
    return _message(b"E", _report(severity, error))


def notice(error: PgError) -> bytes:
    """Tell what the client should know although it went well."""
    return _message(b"N", _report("WARNING", error))


def _report(severity: str, error: PgError) -> bytes:
    fields = [
        ("S", severity),
        ("V", severity),
        ("C", error.state.value),
        ("M", error.message),
        ("D", error.detail),
        ("H", error.hint),
        ("P", "" if error.position is None else str(error.position)),
    ]
    return b"".join(code.encode() + _text(value) for code, value in fields if value) + b"\0"
