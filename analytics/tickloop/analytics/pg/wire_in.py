"""What clients send, cut and checked: a message that is not well formed is a PgError."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from tickloop.analytics.pg.failures import PgError, SqlState

PROTOCOL = 3 << 16
SSL_REQUEST = 80_877_103
GSS_REQUEST = 80_877_104
CANCEL_REQUEST = 80_877_102
STARTUP_BYTES_MAX = 10_000
LOGIN_MESSAGE_BYTES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Startup:
    """Who connects to what, and how; `minor` and `unknown` are what a newer client would like."""

    parameters: dict[str, str]
    minor: int
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """A wish to stop what another connection runs."""

    process: int
    secret: int


@dataclass(frozen=True, slots=True)
class Encryption:
    """A question whether the connection can be encrypted: `S` for TLS, `G` for GSSAPI."""

    kind: str


@dataclass(frozen=True, slots=True)
class Query:
    """Statements to run one after the other."""

    text: str


@dataclass(frozen=True, slots=True)
class Parse:
    """A statement to prepare; oids of 0 are left open."""

    name: str
    text: str
    oids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bind:
    """Values for a prepared statement."""

    portal: str
    statement: str
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """A question about a statement (`S`) or portal (`P`)."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Execute:
    """Give a portal's rows, at most `limit` of them if that is not 0."""

    portal: str
    limit: int


@dataclass(frozen=True, slots=True)
class Close:
    """Forget a statement (`S`) or portal (`P`)."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A message without content: Sync `S`, Flush `H`, Terminate `X`, or one for a copy in."""

    kind: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A password or a SASL message."""

    payload: bytes


Message = Query | Parse | Bind | Describe | Execute | Close | Signal | Secret


def bad(text: str) -> NoReturn:
    """Refuse a message."""
    raise PgError(SqlState.PROTOCOL_VIOLATION, text)


class _Reader:
    """Takes values off the front of a message."""

    def __init__(self, raw: bytes, what: str) -> None:
        self._raw = raw
        self._what = what
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._raw):
            bad(
                f"{self._what}: {size} bytes wanted at byte {self._at} of {len(self._raw)};"
                " the message is cut short"
            )
        piece = self._raw[self._at : end]
        self._at = end
        return piece

    def int16(self) -> int:
        return int(struct.unpack("!h", self.take(2))[0])

    def count(self) -> int:
        return int(struct.unpack("!H", self.take(2))[0])

    def int32(self) -> int:
        return int(struct.unpack("!i", self.take(4))[0])

    def oid(self) -> int:
        return int(struct.unpack("!I", self.take(4))[0])

    def text(self) -> str:
        end = self._raw.find(b"\0", self._at)
        if end < 0:
            bad(f"{self._what}: a text without its final NUL at byte {self._at}")
        raw = self._raw[self._at : end]
        self._at = end + 1
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise PgError(
                SqlState.NOT_IN_ENCODING,
                f'invalid byte sequence for encoding "UTF8": 0x{raw[error.start]:02x}',
            ) from error

    def value(self) -> bytes | None:
        size = self.int32()
        return None if size == -1 else self.take(size)

    def rest(self) -> bytes:
        return self.take(len(self._raw) - self._at)

    def end(self) -> None:
        if self._at != len(self._raw):
            bad(f"{self._what}: {len(self._raw) - self._at} bytes after its end")


def startup(raw: bytes) -> Startup | Cancel | Encryption:
    """Read the first message, without its length."""
    reader = _Reader(raw, "startup")
    code = reader.int32()
    if code == CANCEL_REQUEST:
        return Cancel(reader.int32(), reader.int32())
    if code in (SSL_REQUEST, GSS_REQUEST):
        return Encryption("S" if code == SSL_REQUEST else "G")
    if code >> 16 != PROTOCOL >> 16:
        bad(
            f"protocol {code >> 16}.{code & 0xFFFF} seen, 3.0 expected: this port speaks"
            " PostgreSQL's protocol (psql, psycopg, asyncpg, JDBC, Grafana)"
        )
    parameters: dict[str, str] = {}
    while name := reader.text():
        parameters[name] = reader.text()
    unknown = tuple(name for name in parameters if name.startswith("_pq_."))
    return Startup(parameters, code & 0xFFFF, unknown)


def message(kind: bytes, raw: bytes) -> Message:
    """Read a message of a kind, without its length."""
    read = _READERS.get(kind)
    if read is None:
        bad(f"message of kind {kind!r} seen, one of {b''.join(sorted(_READERS))!r} expected")
    return read(raw)


def _query(raw: bytes) -> Message:
    reader = _Reader(raw, "Query")
    found = Query(reader.text())
    reader.end()
    return found


def _parse(raw: bytes) -> Message:
    reader = _Reader(raw, "Parse")
    name, text = reader.text(), reader.text()
    found = Parse(name, text, tuple(reader.oid() for _ in range(reader.count())))
    reader.end()
    return found


def _bind(raw: bytes) -> Message:
    reader = _Reader(raw, "Bind")
    portal, statement = reader.text(), reader.text()
    formats = tuple(reader.int16() for _ in range(reader.count()))
    values = tuple(reader.value() for _ in range(reader.count()))
    result_formats = tuple(reader.int16() for _ in range(reader.count()))
    reader.end()
    if any(code not in (0, 1) for code in (*formats, *result_formats)):
        bad(f"Bind: formats {formats} and {result_formats} seen, 0 (text) or 1 (binary) expected")
    return Bind(portal, statement, formats, values, result_formats)


def _about(what: str, made: Callable[[str, str], Message]) -> Callable[[bytes], Message]:
    def read(raw: bytes) -> Message:
        reader = _Reader(raw, what)
        kind = reader.take(1)
        if kind not in (b"S", b"P"):
            bad(f"{what}: kind {kind!r} seen, S (statement) or P (portal) expected")
        found = made(kind.decode(), reader.text())
        reader.end()
        return found

    return read


def _execute(raw: bytes) -> Message:
    reader = _Reader(raw, "Execute")
    found = Execute(reader.text(), max(0, reader.int32()))
    reader.end()
    return found


def _signal(kind: str) -> Callable[[bytes], Message]:
    return lambda raw: Signal(kind)


_READERS: dict[bytes, Callable[[bytes], Message]] = {
    b"Q": _query,
    b"P": _parse,
    b"B": _bind,
    b"D": _about("Describe", Describe),
    b"E": _execute,
    b"C": _about("Close", Close),
    b"S": _signal("S"),
    b"H": _signal("H"),
    b"X": _signal("X"),
    b"d": _signal("d"),
    b"c": _signal("c"),
    b"f": _signal("f"),
    b"F": _signal("F"),
    b"p": Secret,
}


def sasl_initial(raw: bytes) -> tuple[str, bytes]:
    """Read a client's choice of a SASL mechanism and its first message."""
    reader = _Reader(raw, "SASLInitialResponse")
    mechanism = reader.text()
    return mechanism, reader.value() or b""
