"""Dictionaries: `!`, key, and the keys of tables; enumerations of symbols."""

from typing import TYPE_CHECKING, cast

import numpy as np

from tickloop.analytics.q.enumerations import domain_of
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.kinds import is_null_whole, whole_atom, whole_vector
from tickloop.analytics.q.lists import til
from tickloop.analytics.q.registry import BUILTINS, Interpreter, register
from tickloop.analytics.q.table_rows import flat, keyed
from tickloop.analytics.q.values import (
    NULLS,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    QType,
    Table,
    Value,
    Vector,
    count_of,
    is_atom,
    is_keyed_table,
    is_list,
    name_of,
    symbol,
    symbols,
    type_of,
)

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session

_TYPE_NAMES = {kind: kind.name.lower() for kind in QType}


@register("!", rank=2, operator=True, session=True)
def bang(session: Interpreter, left: Value, right: Value) -> Value:
    """Make a dictionary, key a table, enumerate positions, or call an internal function."""
    number = whole_atom(left)
    if number is not None and (number < 0 or is_null_whole(left)):
        return _internal(session, number, right)
    if number is not None:
        return _keyed_by_count(session, number, right)
    if is_atom(left) and (name := name_of(left)) is not None:
        return link(session, name, right)
    return make_dictionary(left, right)


def make_dictionary(keys: Value, values: Value) -> Dictionary:
    """Map keys to values; 'length if their counts differ, 'type for atoms."""
    for part in (keys, values):
        if not is_list(part) and not isinstance(part, Table) and not is_keyed_table(part):
            raise type_error("keys and values have to be lists or tables; enlist a single one")
    if isinstance(values, List) and not values.items and is_list(keys):
        # `a`b!() gives every key an empty list.
        values = List((values,) * count_of(keys))
    if count_of(keys) != count_of(values):
        seen = f"{count_of(keys)} keys and {count_of(values)} values seen"
        raise QError("length", seen)
    return Dictionary(keys, values)


def _internal(session: Interpreter, number: int, value: Value) -> Value:
    spelling = "0N!" if number == NULLS[QType.LONG] or number < -(10**4) else f"{number}!"
    builtin = BUILTINS.get(spelling)
    if builtin is None:
        raise QError("nyi", f"the internal function {spelling} is not there")
    return builtin.by_rank[1](session, value)


def _keyed_by_count(session: Interpreter, count: int, value: Value) -> Value:
    name = name_of(value)
    if name is not None:
        session.set(name, _keyed_by_count(session, count, session.get(name)))
        return value
    if not isinstance(value, Table) and not is_keyed_table(value):
        if is_list(value) or is_atom(value):
            raise type_error("a table needed on the right of a count and !")
        raise type_error("a dictionary seen, a table needed")
    table = flat(value)
    if count > len(table.names):
        raise QError("length", f"{count} keys asked for, the table has {len(table.names)} columns")
    return keyed(table, count) if count else table


def link(session: Interpreter, name: str, positions: Value) -> Value:
    """Make an enumeration of positions in a global list of symbols or keyed table."""
    domain = domain_of(session, name)
    number = whole_atom(positions)
    if number is not None:
        return EnumeratedAtom(domain, number if number >= 0 else -1)
    numbers = whole_vector(positions)
    if numbers is None:
        raise type_error(f"positions in {name} needed")
    return Enumerated(domain, np.where(numbers < 0, -1, numbers))


@register("key", "!:", rank=1, shown="!:", session=True)
def key(session: Interpreter, value: Value) -> Value:
    """Give a dictionary's keys, a list's type, an enumeration's domain; tell if a name exists."""
    if isinstance(value, Dictionary):
        return value.keys
    if isinstance(value, Enumerated | EnumeratedAtom):
        return symbol(value.domain.name)
    if isinstance(value, Vector):
        return symbol(_TYPE_NAMES[value.type])
    if whole_atom(value) is not None:
        return til(value)
    name = name_of(value)
    if name is None:
        raise type_error(f"a dictionary, list, count or name needed, type {type_of(value)} seen")
    return _key_of_name(session, name, value)


def _key_of_name(session: Interpreter, name: str, value: Value) -> Value:
    if name.startswith(":"):
        from tickloop.analytics.q.file_verbs import listed

        return listed(session, name)
    if not name:
        return symbols(cast("Session", session).names.namespaces())
    try:
        held = session.get(name.removeprefix(".."))
    except QError:
        return List(())
    return held.keys if isinstance(held, Dictionary) else value
