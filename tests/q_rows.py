"""Random tables for q, the same rows as Python lists, and q results as Python values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import (
    NULLS,
    Atom,
    Attribute,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    items_of,
    plain,
    symbols,
    vector,
)

NAMES = ("a", "b", "c", "dd", "")
LONG_NULL = NULLS[QType.LONG]

Row = dict[str, Any]

prices = st.one_of(st.none(), st.integers(-400, 400).map(lambda n: n / 4))
sizes = st.one_of(st.none(), st.integers(-50, 50))
row = st.fixed_dictionaries(
    {
        "sym": st.sampled_from(NAMES),
        "time": st.integers(0, 600),
        "price": prices,
        "size": sizes,
        "flag": st.booleans(),
    }
)
tables = st.lists(row, max_size=40)


def column(name: str, values: Sequence[Any], attribute: Attribute = Attribute.NONE) -> Vector:
    """Make a column of a name's type; None is null."""
    if name in ("sym", "ex"):
        return symbols(values, attribute)
    if name == "flag":
        return vector(QType.BOOLEAN, list(values))
    if name == "time":
        return vector(QType.SECOND, list(values))
    if name in ("price", "bid", "ask"):
        return vector(QType.FLOAT, [math.nan if v is None else v for v in values])
    return vector(QType.LONG, [LONG_NULL if v is None else v for v in values])


def table(rows: Sequence[Row], names: Sequence[str], *, parted: str = "") -> Table:
    """Make a table of rows; a parted column gets its attribute."""
    return Table.of(
        {
            name: column(
                name,
                [row[name] for row in rows],
                Attribute.PARTED if name == parted else Attribute.NONE,
            )
            for name in names
        }
    )


def by_sym(rows: Sequence[Row]) -> list[Row]:
    """Put rows in the order of a parted table: by symbol, then time, as they come within."""
    return sorted(rows, key=lambda row: (row["sym"], row["time"]))


def python(value: Value) -> Any:
    """Give a q value as Python has it: None for nulls, lists, dictionaries, rows of tables."""
    value = plain(value)
    if isinstance(value, Atom):
        is_null = value.value != value.value or (
            value.type not in (QType.BOOLEAN, QType.SYMBOL, QType.CHAR)
            and value.value == NULLS[value.type]
        )
        return None if is_null else value.value
    if isinstance(value, Vector | List):
        return [python(item) for item in items_of(value)]
    if isinstance(value, Table):
        columns = {n: python(c) for n, c in zip(value.names, value.columns, strict=True)}
        return [
            dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)
        ]
    assert isinstance(value, Dictionary), value
    if isinstance(value.keys, Table) and isinstance(value.values, Table):
        pairs = zip(python(value.keys), python(value.values), strict=True)
        return [{**key, **rest} for key, rest in pairs]
    return dict(zip(python(value.keys), python(value.values), strict=True))


def ask(text: str, **values: Value) -> Any:
    """Evaluate text over named values, and give the result as Python has it."""
    session = Session()
    for name, value in values.items():
        session.set(name, value)
    return python(session.eval(text))


def same(left: Any, right: Any) -> bool:
    """Compare results; floats by 12 digits."""
    if isinstance(left, float) and isinstance(right, int | float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9) or left == right
    if isinstance(left, list) and isinstance(right, list):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(same(one, other) for one, other in pairs)
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def known(values: Sequence[Any]) -> list[Any]:
    """Leave out nulls."""
    return [value for value in values if value is not None]


def grouped(rows: Sequence[Row], keys: Sequence[str]) -> dict[tuple[Any, ...], list[Row]]:
    """Group rows by keys, in the order of keys."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return {key: groups[key] for key in sorted(groups)}
