"""Open files: text, bytes and messages appended through a handle, and logs replayed."""

from pathlib import Path
from typing import TYPE_CHECKING

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.file_paths import file_of, path_of, refused, session_of
from tickloop.analytics.q.kinds import whole_atom
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.values import (
    NIL,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    items_of,
    long,
    name_of,
    text_of,
    vector,
)
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.core.errors import WireError
from tickloop.tickerplant import q_values
from tickloop.tickerplant.q_codec import encode
from tickloop.tickerplant.q_decode import decode_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator

# A log is a list whose count is never written: its messages follow its head.
_HEAD_BYTES = 8
_COUNT_ALL, _COUNT_VALID = -1, -2


@register("hopen", rank=1, session=True)
def hopen(session: Interpreter, target: Value) -> Value:
    """Open a file to append to, and give a handle; this engine opens no connections."""
    name = text_of(target) or name_of(target)
    if name is None or not _is_file(name):
        raise QError("access", "queries open no connections; a file symbol opens a file")
    whole = session_of(session)
    path = path_of(session, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise refused(path, error) from None
    number = max(whole.handles, default=2) + 1
    whole.handles[number] = path
    return Atom(QType.INT, number)


def _is_file(name: str) -> bool:
    """Tell a file from a host and port, which have a second colon."""
    return name.startswith(":") and ":" not in name[1:]


@register("hclose", rank=1, session=True)
def hclose(session: Interpreter, handle: Value) -> Value:
    """Close a handle."""
    number = whole_atom(handle)
    if session_of(session).handles.pop(number or 0, None) is None:
        raise QError("type", f"{number} is no open handle")
    return NIL


def append_to(path: Path, message: Value, *, with_ends: bool) -> None:
    """Append text or bytes to a file, lines ended if asked for, or messages serialised."""
    parts = message.items if isinstance(message, List) else (message,)
    end = b"\n" if with_ends else b""
    texts = [_raw(part) for part in parts]
    if None not in texts:
        written = b"".join([text + end for text in texts if text is not None])
    elif isinstance(message, List | Table | Dictionary | Vector):
        written = b"".join([encode(to_wire(item)) for item in items_of(message)])
    else:
        raise type_error("a file's handle takes text, bytes, or a list of messages")
    with path.open("ab") as file:
        file.write(written)


def _raw(part: Value) -> bytes | None:
    if isinstance(part, Vector) and part.type in (QType.CHAR, QType.BYTE):
        return part.data.tobytes()
    text = text_of(part)
    return None if text is None else text.encode("utf-8", "surrogateescape")


@register("-11!", rank=1, session=True)
def replay(session: Interpreter, source: Value) -> Value:
    """Run the messages of a log: all, the first n, or none but count those that are whole."""
    limit, file = _COUNT_ALL, source
    if isinstance(source, List):
        number = whole_atom(source.items[0])
        if number is None or len(source) != 2:
            raise type_error("a log, or (n;log), needed")
        limit, file = number, source.items[1]
    path = file_of(session, file)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise refused(path, error) from None
    if limit == _COUNT_VALID:
        return _counted(raw)
    ran = 0
    for message, _ in _messages(raw):
        if limit != _COUNT_ALL and ran >= limit:
            break
        _run(session, from_wire(message, lambda text, _: session.evaluate_text(text)))
        ran += 1
    return long(ran)


def _counted(raw: bytes) -> Value:
    count, end = 0, _HEAD_BYTES
    for _, stop in _messages(raw):
        count, end = count + 1, stop
    return long(count) if end >= len(raw) else vector(QType.LONG, [count, end])


def _messages(raw: bytes) -> "Iterator[tuple[q_values.Value, int]]":
    """Give a log's whole messages, and where each ends."""
    place = _HEAD_BYTES
    while place < len(raw):
        try:
            message, place = decode_prefix(raw, place)
        except WireError:
            return
        yield message, place


def _run(session: Interpreter, message: Value) -> None:
    handler = session_of(session).names.plain.get(".z.ps")
    if handler is not None:
        session.apply(handler, (message,))
    else:
        call(session, "value", message)
