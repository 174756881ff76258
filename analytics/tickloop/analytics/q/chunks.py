"""Files in pieces: functions applied to a file's lines a chunk at a time."""

from pathlib import Path

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.file_paths import file_of, refused
from tickloop.analytics.q.file_verbs import lines_of
from tickloop.analytics.q.kinds import whole_atom
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.values import List, Value, chars, long

_CHUNK_BYTES = 131_000


@register(".Q.fs", ".Q.fps", rank=2, session=True)
def by_lines(session: Interpreter, function: Value, file: Value) -> Value:
    """Apply a function to the lines of a file, some at a time; give the bytes read."""
    return _streamed(session, function, file_of(session, file), _CHUNK_BYTES)


@register(".Q.fsn", ".Q.fpn", rank=3, session=True)
def by_lines_of(session: Interpreter, function: Value, file: Value, size: Value) -> Value:
    """Apply a function to the lines of a file, so many bytes at a time; give the bytes read."""
    limit = whole_atom(size)
    if limit is None or limit < 1:
        raise type_error("a number of bytes needed")
    return _streamed(session, function, file_of(session, file), limit)


def _streamed(session: Interpreter, function: Value, path: Path, limit: int) -> Value:
    total, rest = 0, b""
    try:
        with path.open("rb") as source:
            while part := source.read(limit):
                total += len(part)
                whole, mark, rest_of_part = (rest + part).rpartition(b"\n")
                rest = rest_of_part
                if mark:
                    _apply(session, function, whole + mark)
    except OSError as error:
        raise refused(path, error) from None
    if rest:
        _apply(session, function, rest)
    return long(total)


def _apply(session: Interpreter, function: Value, raw: bytes) -> None:
    session.apply(function, (List(tuple([chars(line) for line in lines_of(raw)])),))
