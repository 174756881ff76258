"""Patterns that take a value apart: names, lists, dictionaries, tables, types, filters.

A pattern is matched as a whole before any name is changed; the value of the match is the value
as its filters left it.
"""

from collections.abc import Callable
from typing import TypeAlias

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.lambdas import Code, Frame
from tickloop.analytics.q.naming import unwrapped
from tickloop.analytics.q.pattern_syntax import flipped_pattern, keyed_pair
from tickloop.analytics.q.registry import call
from tickloop.analytics.q.scope import Scope
from tickloop.analytics.q.syntax import (
    Assign,
    Columns,
    Constant,
    ListOf,
    Node,
    Return,
    TableOf,
)
from tickloop.analytics.q.values import (
    TYPE_CHARS,
    Atom,
    Dictionary,
    Nil,
    QType,
    Table,
    Value,
    collect,
    count_of,
    is_keyed_table,
    item_at,
    items_of,
    name_of,
    names_of,
    symbols,
    type_of,
)

Store: TypeAlias = Callable[[Frame, Value], None]
# What is to be stored where, once the whole pattern has matched.
Stores: TypeAlias = list[tuple[Store, Value]]
Matcher: TypeAlias = Callable[[Frame, Value, Stores], Value]
Placer: TypeAlias = Callable[[Node], Store]


def compile_pattern(node: Node | None, place: Placer, scope: Scope, position: int) -> Matcher:
    """Compile a pattern; `place` gives what stores into a name, `position` is of the colon."""
    if node is None:
        return _anything
    node = unwrapped(node)
    if isinstance(node, Constant):
        return _constant(node, scope, position)
    if isinstance(node, ListOf):
        return _list(node, place, scope)
    if isinstance(node, Assign):
        inner = compile_pattern(node.target, place, scope, node.position)
        return _filtered(node.value, inner, scope, node.position)
    if isinstance(node, Return):
        return _filtered(node.value, _anything, scope, node.position)
    if isinstance(node, TableOf):
        return _table_of(node, place, scope)
    if (pair := keyed_pair(node)) is not None:
        return _pair(*pair, place, scope, position)
    if (flipped := flipped_pattern(node)) is not None:
        return _flipped(compile_pattern(flipped, place, scope, position), scope, position)
    store = place(node)

    def name(frame: Frame, value: Value, stores: Stores) -> Value:
        stores.append((store, value))
        return value

    return name


def _anything(frame: Frame, value: Value, stores: Stores) -> Value:
    return value


def _mismatch(position: int) -> QError:
    return QError("match", "the value is not what the pattern says", position)


def _constant(node: Constant, scope: Scope, position: int) -> Matcher:
    session, expected = scope.session, node.value
    if isinstance(expected, Nil):
        return _anything

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        same = call(session, "~", expected, value)
        if not isinstance(same, Atom) or not same.value:
            raise _mismatch(position)
        return value

    return match


def _list(node: ListOf, place: Placer, scope: Scope) -> Matcher:
    parts = [
        compile_pattern(item, place, scope, node.position if item is None else item.position)
        for item in node.items
    ]
    position = node.position

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        if type_of(value) < 0 or count_of(value) != len(parts):
            raise QError(
                "length",
                f"a pattern of {len(parts)} items is given {count_of(value)}",
                position,
            )
        before = [item_at(value, number) for number in range(len(parts))]
        after = [part(frame, item, stores) for part, item in zip(parts, before, strict=True)]
        return value if _same(before, after) else collect(after)

    return match


def _same(before: list[Value], after: list[Value]) -> bool:
    return all(old is new for old, new in zip(before, after, strict=True))


def _filtered(node: Node, inner: Matcher, scope: Scope, position: int) -> Matcher:
    """Compile pattern:`f, a test of the type, or pattern:f, a function that goes first."""
    from tickloop.analytics.q.evaluator import compile_node, located

    letter = name_of(node.value) if isinstance(node, Constant) else None
    if letter is not None:
        return _typed(letter, inner, position)
    session, code = scope.session, compile_node(node, scope)

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        try:
            changed = session.apply(code(frame), (value,))
        except QError as error:
            raise located(error, position)  # noqa: B904 - the same error
        return inner(frame, changed, stores)

    return match


def _typed(letter: str, inner: Matcher, position: int) -> Matcher:
    kinds = [kind for kind in QType if TYPE_CHARS.get(kind) == letter.lower()]
    if not kinds:
        raise QError("type", f"`{letter} is no type; a letter such as `j or `J is", position)
    wanted = int(kinds[0]) if letter.isupper() else -int(kinds[0])

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        if type_of(value) != wanted:
            raise QError("type", f"{type_of(value)}h seen, {wanted}h expected", position)
        return inner(frame, value, stores)

    return match


def _table_of(node: TableOf, place: Placer, scope: Scope) -> Matcher:
    keys = _named(node.keys, place, scope)
    if node.columns is None:
        return keys
    columns = _named(node.columns, place, scope)
    has_keys = bool(node.keys)
    position = node.position

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        if not has_keys:
            if not isinstance(value, Table):
                raise _mismatch(position)
            return columns(frame, value, stores)
        if not isinstance(value, Dictionary) or not is_keyed_table(value):
            raise _mismatch(position)
        left = keys(frame, value.keys, stores)
        return Dictionary(left, columns(frame, value.values, stores))

    return match


def _named(patterns: Columns, place: Placer, scope: Scope) -> Matcher:
    """Compile patterns of a dictionary's values, or a table's columns, by name."""
    names = [name for name, _ in patterns]
    parts = [compile_pattern(part, place, scope, part.position) for _, part in patterns]
    places = [part.position for _, part in patterns]

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        known = _items_by_name(value)
        changed: dict[str, Value] = {}
        for name, part, position in zip(names, parts, places, strict=True):
            if known is None or name not in known:
                raise _mismatch(position)
            after = part(frame, known[name], stores)
            if after is not known[name]:
                changed[name] = after
        return _replaced(value, changed) if changed else value

    return match


def _items_by_name(value: Value) -> dict[str, Value] | None:
    if isinstance(value, Table):
        return dict(zip(value.names, value.columns, strict=True))
    if not isinstance(value, Dictionary) or isinstance(value.keys, Table):
        return None
    names = names_of(value.keys)
    return None if names is None else dict(zip(names, items_of(value.values), strict=True))


def _replaced(value: Value, changed: dict[str, Value]) -> Value:
    known = _items_by_name(value)
    assert known is not None
    items = [changed.get(name, item) for name, item in known.items()]
    if isinstance(value, Table):
        return Table(value.names, tuple(items))
    return Dictionary(symbols(known), collect(items))


def _pair(left: Node, right: Node | None, place: Placer, scope: Scope, position: int) -> Matcher:
    values = compile_pattern(right, place, scope, position)
    if isinstance(left, Constant):
        return _chosen(left.value, values, right, scope, position)
    keys = compile_pattern(left, place, scope, position)

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        if not isinstance(value, Dictionary):
            raise _mismatch(position)
        before = (value.keys, value.values)
        after = (keys(frame, before[0], stores), values(frame, before[1], stores))
        return value if _same(list(before), list(after)) else Dictionary(*after)

    return match


def _chosen(
    keys: Value, values: Matcher, right: Node | None, scope: Scope, position: int
) -> Matcher:
    """Compile 1 2!pattern: the values of these keys, which must all be there."""
    session = scope.session
    places = [position] * count_of(keys)
    if isinstance(right, ListOf) and len(right.items) == len(places):
        places = [position if item is None else item.position for item in right.items]

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        if not isinstance(value, Dictionary):
            raise _mismatch(position)
        wanted = items_of(keys) if type_of(keys) >= 0 else [keys]
        for key, place in zip(wanted, places, strict=True):
            found = call(session, "in", key, value.keys)
            if not isinstance(found, Atom) or not found.value:
                raise _mismatch(place)
        chosen = session.apply(value, (keys,))
        after = values(frame, chosen, stores)
        if after is chosen:
            return value
        return call(session, ",", value, Dictionary(keys, after))

    return match


def _flipped(inner: Matcher, scope: Scope, position: int) -> Matcher:
    session = scope.session

    def match(frame: Frame, value: Value, stores: Stores) -> Value:
        if not isinstance(value, Table):
            raise _mismatch(position)
        columns = call(session, "flip", value)
        after = inner(frame, columns, stores)
        return value if after is columns else call(session, "flip", after)

    return match


def compile_cases(node: "tuple[Node | None, ...]", place: Placer, scope: Scope) -> Code:
    """Compile :[value;pattern;result;...;otherwise]: the first pattern that matches decides."""
    from tickloop.analytics.q.evaluator import compile_node, nothing

    codes = [nothing if part is None else compile_node(part, scope) for part in node[::2]]
    patterns = [
        compile_pattern(part, place, scope, 0 if part is None else part.position)
        for part in node[1::2]
    ]
    value = codes[0]
    # Of an even count, the last part is what holds if nothing matches.
    otherwise: Code = nothing
    if len(node) % 2 == 0:
        patterns.pop()
        last = node[-1]
        otherwise = nothing if last is None else compile_node(last, scope)
    results = codes[1:]

    def choose(frame: Frame) -> Value:
        given = value(frame)
        for pattern, result in zip(patterns, results, strict=True):
            stores: Stores = []
            try:
                pattern(frame, given, stores)
            except QError as error:
                if error.name not in ("match", "type", "length") or error.is_signal:
                    raise
                continue
            keep(frame, stores)
            return result(frame)
        return otherwise(frame)

    return choose


def keep(frame: Frame, stores: Stores) -> None:
    """Store what a pattern took apart."""
    for store, value in stores:
        store(frame, value)
