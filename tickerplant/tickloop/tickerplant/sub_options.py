"""The third argument of .u.sub: ``(`from`columns)!(seq; names)``; all else is refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from tickloop.core.errors import QueryError
from tickloop.core.schema import Table
from tickloop.tickerplant import q_values as q


@dataclass(frozen=True, slots=True)
class SubOptions:
    """Where to begin, and which columns to send; no columns means all."""

    start: int | None = None
    columns: tuple[str, ...] = ()


def read_options(
    options: q.Dictionary | None, tables: Sequence[Table], *, next_seq: int
) -> SubOptions:
    """Read a subscription's options; QueryError says which is wrong and what is expected."""
    start: int | None = None
    columns: tuple[str, ...] = ()
    for key, value in _pairs(options) if options is not None else ():
        if key == "from":
            start = _start(value, next_seq)
        elif key == "columns":
            columns = _columns(value, tables)
        else:
            raise QueryError(
                f"domain: option {key!r} seen; `from (a seq) and `columns (names) expected"
            )
    return SubOptions(start, columns)


def _pairs(options: q.Dictionary) -> list[tuple[str, q.Value]]:
    keys = q.names_of(options.keys)
    values = _items(options.values)
    if keys is None or values is None or len(keys) != len(values):
        raise QueryError("type: options that are no dictionary of names seen; `from`columns!(...)")
    return list(zip(keys, values, strict=True))


def _items(values: q.Value) -> list[q.Value] | None:
    if isinstance(values, q.List):
        return list(values.items)
    if isinstance(values, q.Vector):
        return [q.Atom(values.type, value) for value in values.data.tolist()]
    if isinstance(values, q.SymbolVector):
        return [q.symbol(name) for name in values.names]
    return None


def _start(value: q.Value, next_seq: int) -> int:
    whole = (q.QType.LONG, q.QType.INT, q.QType.SHORT)
    if not isinstance(value, q.Atom) or value.type not in whole or not isinstance(value.value, int):
        raise QueryError("type: option `from: a seq (a whole number) expected")
    if value.value > next_seq:
        raise QueryError(
            f"domain: option `from: seq {value.value} seen, at most {next_seq} expected, which the"
            " next row gets; was that seq another plant's?"
        )
    return max(value.value, 0)


def _columns(value: q.Value, tables: Sequence[Table]) -> tuple[str, ...]:
    names = q.names_of(value)
    if not names:
        raise QueryError("type: option `columns: a list of names expected")
    for table in tables:
        unknown = [name for name in names if name not in table.names]
        if unknown:
            raise QueryError(
                f"domain: option `columns: {table.name} has no column {unknown[0]!r};"
                f" it has {', '.join(table.names)}"
            )
    return tuple(names)
