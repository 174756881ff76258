"""System commands: \\d \\t \\ts \\P \\c \\v \\f \\a \\l and their kin."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.file_paths import session_of
from tickloop.analytics.q.registry import BUILTINS
from tickloop.analytics.q.values import (
    NIL,
    Atom,
    Dictionary,
    QType,
    Table,
    Value,
    chars,
    is_keyed_table,
    items_of,
    long,
    name_of,
    symbol,
    symbols,
    type_of,
    vector,
)
from tickloop.core.clock import monotonic_ns

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

T = TypeVar("T")


def command(session: "Session", text: str) -> Value:
    """Run a system command, spelled without its backslash."""
    word, _, rest = text.strip().partition(" ")
    rest = rest.strip() if word.partition(":")[0] in _TAKES_TEXT else _uncommented(rest)
    name, _, count = word.partition(":")
    handler = _COMMANDS.get(name)
    if handler is None:
        raise QError("nyi", f"\\{word} is not part of this engine; it runs no commands of the host")
    return handler(session, rest, _repetitions(count))


# What follows these is q text, or the name of a file.
_TAKES_TEXT = ("t", "ts", "cd", "l")


def _uncommented(text: str) -> str:
    """Take away what stands behind a slash that follows a blank."""
    return re.split(r"(?:^|\s)/", text, maxsplit=1)[0].strip()


def _repetitions(count: str) -> int:
    if not count:
        return 1
    if not count.isdigit():
        raise QError("type", f"{count} is no number of repetitions")
    return int(count)


def _timed(session: "Session", text: str, count: int) -> int:
    start = monotonic_ns()
    for _ in range(count):
        session.evaluate_text(text)
    return (monotonic_ns() - start) // 1_000_000


def _time(session: "Session", text: str, count: int) -> Value:
    """Give the milliseconds that a text takes; a number alone sets the timer's interval."""
    if not text:
        return Atom(QType.INT, session.timer_ms)
    if text.isdigit():
        session.timer_ms = int(text)
        return NIL
    return long(_timed(session, text, count))


def _time_and_space(session: "Session", text: str, count: int) -> Value:
    return measured(lambda: _timed(session, text, count))[0]


def measured(run: Callable[[], T]) -> tuple[Value, T]:
    """Give the milliseconds and the most bytes that something takes, and what it gives."""
    import tracemalloc

    tracemalloc.start()
    start = monotonic_ns()
    try:
        found = run()
        taken = (monotonic_ns() - start) // 1_000_000
        return vector(QType.LONG, [taken, tracemalloc.get_traced_memory()[1]]), found
    finally:
        tracemalloc.stop()


def _directory(session: "Session", text: str, count: int) -> Value:
    """Go to a namespace, or say which it is."""
    if not text:
        return symbol(session.namespace or ".")
    if not text.startswith("."):
        raise QError("type", "a namespace is spelled with a leading dot: \\d .name")
    session.namespace = "" if text == "." else text
    return NIL


def _precision(session: "Session", text: str, count: int) -> Value:
    if not text:
        return Atom(QType.INT, session.precision)
    session.precision = _whole(text) or 17
    return NIL


def _console(session: "Session", text: str, count: int) -> Value:
    if not text:
        return vector(QType.INT, [session.rows, session.columns])
    sizes = text.split()
    if len(sizes) != 2:
        raise QError("type", "\\c takes rows and columns")
    session.rows = min(max(_whole(sizes[0]), 10), 2000)
    session.columns = min(max(_whole(sizes[1]), 10), 2000)
    return NIL


def _whole(text: str) -> int:
    if not text.isdigit():
        raise QError("type", f"{text} is no whole number")
    return int(text)


def _names(session: "Session", text: str, keep: Callable[[Value], bool]) -> Value:
    namespace = text or session.namespace
    if namespace == ".":
        namespace = ""
    return symbols(name for name, value in session.names.within(namespace) if keep(value))


def _variables(session: "Session", text: str, count: int) -> Value:
    return _names(session, text, lambda value: type_of(value) < 100)


def _functions(session: "Session", text: str, count: int) -> Value:
    return _names(session, text, lambda value: type_of(value) >= 100)


def _tables(session: "Session", text: str, count: int) -> Value:
    return _names(session, text, lambda v: isinstance(v, Table) or is_keyed_table(v))


def _views(session: "Session", text: str, count: int) -> Value:
    space = text or session.namespace
    prefix = f"{space}." if space not in ("", ".") else ""
    views = [name.removeprefix(prefix) for name in session.names.views if name.startswith(prefix)]
    return symbols(sorted(name for name in views if "." not in name))


def _pending_views(session: "Session", text: str, count: int) -> Value:
    """List the views that are computed anew when they are read next."""
    names = items_of(_views(session, text, count))
    space = f"{text or session.namespace}."
    prefix = "" if space in (".", "..") else space
    known = session.names.views
    spelled = [name_of(name) or "" for name in names]
    return symbols([name for name in spelled if known[prefix + name].is_pending])


def _seed(session: "Session", text: str, count: int) -> Value:
    """Start the random numbers anew; `0N` gives a seed that brings the next ones back."""
    if not text:
        return Atom(QType.INT, _SEED)
    if text == "0N":
        seed = int(session.random.integers(1, 2**31))
        session.reseed(seed)
        return Atom(QType.INT, seed)
    session.reseed(_whole(text.lstrip("-")))
    return NIL


def _workspace(session: "Session", text: str, count: int) -> Value:
    """Give what .Q.w tells of memory: sizes, or with 0 the symbols."""
    known = BUILTINS[".Q.w"].by_rank[1](session, NIL)
    assert isinstance(known, Dictionary)
    numbers = [item.value for item in items_of(known.values) if isinstance(item, Atom)]
    if text and text != "0":
        return long(int(text)) if text.isdigit() else NIL
    return vector(QType.LONG, numbers[6:] if text == "0" else numbers[:6])


def _unset(session: "Session", text: str, count: int) -> Value:
    """Take a handler away: .z.pg and its kin are as they were."""
    session.names.plain.pop(text, None)
    return NIL


def _load(session: "Session", text: str, count: int) -> Value:
    from tickloop.analytics.q.loading import load_path

    load_path(session, text.split(" /", maxsplit=1)[0].strip())
    return NIL


def _change_directory(session: "Session", text: str, count: int) -> Value:
    """Go to a directory, or say which it is; only file names of the session follow."""
    whole = session_of(session)
    if not text:
        return chars(str(whole.directory.resolve()))
    path = (whole.directory / text).resolve()
    if not path.is_dir():
        raise QError(f"{text}. OS reports: No such file or directory")
    whole.directory = path
    return NIL


def _setting(value: Value) -> Callable[["Session", str, int], Value]:
    """Answer for a setting that has one value here."""

    def answer(session: "Session", text: str, count: int) -> Value:
        return NIL if text else value

    return answer


_SEED = -314159

_COMMANDS: dict[str, Callable[["Session", str, int], Value]] = {
    "t": _time,
    "ts": _time_and_space,
    "d": _directory,
    "P": _precision,
    "c": _console,
    "C": _console,
    "v": _variables,
    "f": _functions,
    "a": _tables,
    "b": _views,
    "B": _pending_views,
    "S": _seed,
    "w": _workspace,
    "x": _unset,
    "l": _load,
    "cd": _change_directory,
    "g": _setting(Atom(QType.INT, 0)),
    "o": _setting(Atom(QType.INT, 0)),
    "s": _setting(Atom(QType.INT, 0)),
    "T": _setting(Atom(QType.INT, 0)),
    "W": _setting(Atom(QType.INT, 2)),
    "z": _setting(Atom(QType.INT, 0)),
    "p": _setting(Atom(QType.INT, 0)),
    "e": _setting(Atom(QType.INT, 0)),
}
