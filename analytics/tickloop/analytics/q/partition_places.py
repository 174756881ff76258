"""Where the partitions of a database lie, and which tables some of them lack: .Q.P .Q.PD .Q.bv."""

from pathlib import Path

from tickloop.analytics.q.file_paths import session_of
from tickloop.analytics.q.partitioned import PartitionedTable
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.saving import PAR_FILE, partitions_of
from tickloop.analytics.q.splayed_files import is_table
from tickloop.analytics.q.values import (
    NIL,
    Dictionary,
    List,
    Value,
    Vector,
    boolean,
    collect,
    items_of,
    long,
    names_of,
    symbols,
    text_of,
)


def name_places(session: Interpreter, root: Path) -> None:
    """Let a session ask where the partitions of a database lie; listed when they are asked for."""
    computed = session_of(session).names.computed
    computed[".Q.P"] = lambda: symbols(map(_spelled, _segments(root)))
    computed[".Q.D"] = lambda: List(tuple(_partitions(session, root)))
    computed[".Q.PD"] = lambda: _places(session, root, ".Q.PV")
    computed[".Q.pd"] = lambda: _places(session, root, ".Q.pv")
    computed[".Q.u"] = lambda: boolean(_is_by_date(root))


def _segments(root: Path) -> list[str]:
    listing = root / PAR_FILE
    if not listing.is_file():
        return ["."]
    return [line.strip().removeprefix(":") for line in listing.read_text().splitlines() if line]


def _spelled(segment: str) -> str:
    return f":{segment}"


def _held_by(root: Path) -> dict[str, list[str]]:
    """Give the names of the partitions in each segment."""
    found: dict[str, list[str]] = {segment: [] for segment in _segments(root)}
    homes = {(root / segment).resolve(): segment for segment in found}
    for part in partitions_of(root):
        found[homes[part.parent.resolve()]].append(part.name)
    return found


def _partitions(session: Interpreter, root: Path) -> list[Value]:
    every = session.get(".Q.PV")
    assert isinstance(every, Vector)
    known = dict(zip(_texts(session, every), items_of(every), strict=True))
    return [
        collect([known[name] for name in names if name in known])
        for names in _held_by(root).values()
    ]


def _texts(session: Interpreter, values: Value) -> list[str]:
    return [text_of(item) or "" for item in items_of(call(session, "string", values))]


def _places(session: Interpreter, root: Path, values: str) -> Value:
    homes = {name: segment for segment, names in reversed(_held_by(root).items()) for name in names}
    return symbols(
        [_spelled(homes.get(name, ".")) for name in _texts(session, session.get(values))]
    )


def _is_by_date(root: Path) -> bool:
    names = [name for names in _held_by(root).values() for name in names]
    return len(set(names)) == len(names)


@register(".Q.bv", ".Q.bvi", rank=1, session=True)
def note_missing(session: Interpreter, _: Value) -> Value:
    """Set .Q.vp to the tables that some partitions lack; queries see them as empty there."""
    parts = partitions_of(session_of(session).directory)
    found: dict[str, Value] = {}
    for name in names_of(session.get(".Q.pt")) or []:
        table = session.get(name)
        if isinstance(table, PartitionedTable) and not all(is_table(part / name) for part in parts):
            found[name] = call(session, "?", table, List(()), boolean(False), List(()), long(0))
    session.set(".Q.vp", Dictionary(symbols(found), List(tuple(found.values()))))
    return NIL


@register(".Q.MAP", rank=1)
def keep_mapped(_: Value) -> Value:
    """Keep partitions mapped, which they are here anyway."""
    return NIL
