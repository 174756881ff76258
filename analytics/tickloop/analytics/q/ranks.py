"""How many arguments a value takes."""

from collections.abc import Sequence

from tickloop.analytics.q.values import (
    MISSING,
    Adverb,
    Builtin,
    Composition,
    Dictionary,
    Iterated,
    Lambda,
    List,
    Missing,
    Nil,
    Projection,
    Table,
    Value,
    Vector,
)


def has_missing(arguments: Sequence[Value]) -> bool:
    """Tell whether an argument was left out: by identity, as values compare slowly."""
    for argument in arguments:  # noqa: SIM110 - any() of a generator takes five times as long
        if argument is MISSING:
            return True
    return False


def rank_of(value: Value) -> int:
    """Count the arguments that a value takes when it is applied."""
    if isinstance(value, Lambda):
        return len(value.parameters)
    if isinstance(value, Builtin):
        return _builtin_rank(value)
    if isinstance(value, Projection):
        given = sum(not isinstance(argument, Missing) for argument in value.arguments)
        if isinstance(value.function, Adverb):
            return len(value.arguments) - given
        return max(rank_of(value.function), len(value.arguments)) - given
    if isinstance(value, Composition):
        *outer, last = value.functions
        return rank_of(outer[-1] if isinstance(last, Nil) and outer else last)
    if isinstance(value, Iterated):
        return _iterated_rank(value)
    return _indexed_rank(value)


def _builtin_rank(value: Builtin) -> int:
    if value.is_operator and 2 in value.by_rank:
        return 2
    return min(value.by_rank)


def _iterated_rank(value: Iterated) -> int:
    # What / and \ make takes one argument or two; it counts as one.
    if value.iterator in ("/", "\\", "':"):
        return max(1, rank_of(value.function) - 1)
    if value.iterator in ("/:", "\\:"):
        return 2
    return rank_of(value.function)


def _indexed_rank(value: Value) -> int:
    """Count how deep a list is indexed: a matrix takes two."""
    if isinstance(value, Table):
        return 2
    items = value.values if isinstance(value, Dictionary) else value
    if isinstance(items, List) and items.items:
        return 2 if isinstance(items.items[0], Vector | List | Dictionary) else 1
    return 1
