"""Range checks and the vector conditional: within, and ?[flags;yes;no]."""

import numpy as np

from tickloop.analytics.q.comparison import at_least, at_most
from tickloop.analytics.q.errors import QError, length_error, type_error
from tickloop.analytics.q.extremes import array_of, lesser
from tickloop.analytics.q.registry import BUILTINS, Interpreter, call, register
from tickloop.analytics.q.values import (
    Array,
    Atom,
    Enumerated,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    is_list,
    item_at,
    items_of,
    plain,
    type_of,
)

SIMPLE_EXEC = "?[table]"  # how the other meaning of ?[;;] is registered, with rank 3


@register("within", rank=2, operator=True)
def within(value: Value, bounds: Value) -> Value:
    """Tell what lies between two bounds, both included."""
    if count_of(bounds) != 2 or not is_list(bounds):
        raise QError("length", f"{count_of(bounds)} bounds seen, a pair needed")
    lowest, highest = item_at(bounds, 0), item_at(bounds, 1)
    return lesser(at_least(value, lowest), at_most(value, highest))


@register("?", rank=3, operator=True, session=True)
def choose(session: Interpreter, flags: Value, yes: Value, no: Value) -> Value:
    """Take items of the first list where flags are set, of the second where not."""
    if isinstance(flags, Table) and SIMPLE_EXEC in BUILTINS:
        return call(session, SIMPLE_EXEC, flags, yes, no)
    if not isinstance(flags, Atom | Vector) or flags.type is not QType.BOOLEAN:
        raise type_error(f"flags of type {type_of(flags)}h seen, a boolean vector needed")
    if isinstance(flags, Atom):
        return yes if flags.value else no
    chosen = flags.data
    for value in (yes, no):
        if is_list(value) and count_of(value) != len(chosen):
            raise length_error(len(chosen), count_of(value))
    return _chosen(chosen, yes, no)


def _chosen(flags: Array, yes: Value, no: Value) -> Value:
    if isinstance(yes, Enumerated) and isinstance(no, Enumerated) and yes.domain is no.domain:
        return Enumerated(yes.domain, np.where(flags, yes.data, no.data))
    yes, no = plain(yes), plain(no)
    if isinstance(yes, Atom | Vector) and isinstance(no, Atom | Vector):
        if yes.type is not no.type:
            seen = f"{yes.type.name.lower()} and {no.type.name.lower()}"
            raise type_error(f"choices of {seen} seen, one type needed")
        return Vector(yes.type, np.where(flags, array_of(yes), array_of(no)))
    pairs = [_repeated(value, len(flags)) for value in (yes, no)]
    picked = zip(flags.tolist(), *pairs, strict=True)
    return collect([one if flag else other for flag, one, other in picked])


def _repeated(value: Value, count: int) -> list[Value]:
    return items_of(value) if is_list(value) else [value] * count
