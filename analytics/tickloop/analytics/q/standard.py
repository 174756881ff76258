"""What every session starts with: the verbs of all parts, computed names, the console."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from tickloop.analytics import q
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.file_handles import append_to
from tickloop.analytics.q.registry import call
from tickloop.analytics.q.syntax import Constant, Function, Name, Template
from tickloop.analytics.q.temporal import ACCESSORS, accessor
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    QType,
    Value,
    Vector,
    is_function,
    items_of,
    long,
    symbol,
    text_of,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session


@cache
def load() -> None:
    """Import every module of the engine, so that all verbs are registered."""
    for module in iter_modules(q.__path__):
        import_module(f"{q.__name__}.{module.name}")


def prepare(session: "Session") -> None:
    """Give a new session its computed names."""
    from tickloop.analytics.q.system_names import computed_names

    session.names.computed.update(computed_names(session))


def mount(session: "Session", path: Path) -> None:
    """Mount a database of partitions."""
    module = import_module("tickloop.analytics.q.mounted")
    module.mount(session, path)


def shown(session: "Session", value: Value) -> str:
    """Print a value as the console does, with its line end."""
    from tickloop.analytics.q.console import show

    text = show(value, rows=session.rows, columns=session.columns, precision=session.precision)
    return text + "\n" if text else text


def dependencies(node: object) -> list[str]:
    """List the names that a view depends on, as they come in its text."""
    return list(dict.fromkeys(_names(node)))


def _names(node: object) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, Template):
        yield from _names(node.table)
    elif isinstance(node, tuple):
        for item in node:
            yield from _names(item)
    elif hasattr(node, "__dataclass_fields__") and not isinstance(node, Constant | Function):
        for field in node.__dataclass_fields__:
            yield from _names(getattr(node, field))


# Computed namespaces whose parts are read by name.
_KEYED = (".q", ".z.b")


def dotted(session: "Session", name: str) -> Value | None:
    """Read `d.key`: the longest part that is a variable is indexed by what follows."""
    whole, _, key = name.rpartition(".")
    if not whole or not key:
        return None
    value = session.names.plain.get(whole)
    if whole in session.names.views:
        raise QError("nyi", f"{whole} is a view; {whole}`{key} reads its parts")
    if value is None:
        value = session.names.find(whole) if whole in _KEYED else dotted(session, whole)
    if value is None or is_function(value):
        return None
    if isinstance(value, Atom | Vector) and key in ACCESSORS:
        return accessor(value, key)
    return session.apply(value, (symbol(key),))


def set_dotted(session: "Session", name: str, value: Value) -> bool:
    """Write `d.key` where d is a dictionary; tell whether it was one."""
    from tickloop.analytics.q.amend import put

    whole, _, key = name.rpartition(".")
    known = session.names.plain.get(whole)
    if not isinstance(known, Dictionary):
        return False
    session.names.set(whole, put(session, known, symbol(key), value))
    return True


def handle(session: "Session", number: int, message: Value) -> Value:
    """Write to the console (1 and 2, their negatives add a line end) or evaluate here (0)."""
    if number == 0:
        text = text_of(message)
        return session.evaluate_text(text) if text is not None else call(session, "value", message)
    if number in (1, -1, 2, -2):
        text = text_of(message)
        lines = [text] if text is not None else [text_of(item) for item in items_of(message)]
        if None in lines:
            raise QError("type", "the console takes strings")
        for line in lines:
            session.write((line or "") + ("\n" if number < 0 else ""))
        return long(number)
    if abs(number) in session.handles:
        append_to(session.handles[abs(number)], message, with_ends=number < 0)
        return Atom(QType.INT, number)
    raise QError("type", f"{number} is no open handle; this engine opens no connections")
