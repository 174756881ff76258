"""q values as plain Python: lists, dictionaries, None for nulls; for oracles to compare with."""

import math
from typing import Any

from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import (
    NULLS,
    Atom,
    Dictionary,
    List,
    QType,
    Table,
    Value,
    Vector,
    items_of,
    plain,
)

# The first session raises Python's recursion limit; hypothesis objects if a test of its does.
Session()


def python(value: Value) -> Any:
    """Give a value as Python has it; tables by column, dictionaries as pairs in order."""
    value = plain(value)
    if isinstance(value, Atom):
        return _atom(value)
    if isinstance(value, Vector | List):
        return [python(item) for item in items_of(value)]
    if isinstance(value, Table):
        columns = zip(value.names, value.columns, strict=True)
        return {name: python(column) for name, column in columns}
    assert isinstance(value, Dictionary)
    if isinstance(value.keys, Table):
        return {"keys": python(value.keys), "values": python(value.values)}
    return list(zip(python(value.keys), python(value.values), strict=True))


def _atom(atom: Atom) -> Any:
    if atom.type in (QType.BOOLEAN, QType.BYTE):
        return atom.value
    if atom.type is QType.CHAR:
        return chr(int(atom.value))
    if atom.type is QType.SYMBOL:
        return atom.value
    if atom.value != atom.value or atom.value == NULLS[atom.type]:
        return None
    return atom.value


def asked(text: str, **variables: Any) -> Any:
    """Evaluate text in a fresh session over variables, and give the answer as Python."""
    session = Session()
    for name, value in variables.items():
        session[name] = value
    return python(session.eval(text))


def close(left: float | None, right: float | None) -> bool:
    """Tell whether two floats agree to ten digits, or are both null."""
    if left is None or right is None:
        return left is right
    return math.isclose(left, right, rel_tol=1e-10, abs_tol=1e-10)
