"""Tables and dictionaries written out: ([k:..] c:..), ([] c:..), ([a:1;b:2])."""

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.lambdas import Code, Frame
from tickloop.analytics.q.scope import Scope
from tickloop.analytics.q.syntax import Columns, TableOf
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    EnumeratedAtom,
    Table,
    Value,
    collect,
    count_of,
    is_list,
    symbols,
)


def compile_table(node: TableOf, scope: Scope) -> Code:
    """Compile a table or dictionary literal; its parts are computed from the right."""
    keys = _codes(node.keys, scope)
    if node.columns is None:
        return lambda frame: dictionary_of([name for name, _ in node.keys], _computed(keys, frame))
    columns = _codes(node.columns, scope)
    position = node.position
    key_names = tuple(name for name, _ in node.keys)
    names = tuple(name for name, _ in node.columns)

    def build(frame: Frame) -> Value:
        right = _computed(columns, frame)
        left = _computed(keys, frame)
        try:
            return table_of(key_names, left, names, right)
        except QError as error:
            error.position = position
            raise

    return build


def _codes(columns: Columns, scope: Scope) -> list[Code]:
    from tickloop.analytics.q.evaluator import compile_node

    return [compile_node(node, scope) for _, node in columns]


def _computed(codes: list[Code], frame: Frame) -> list[Value]:
    values = [code(frame) for code in reversed(codes)]
    values.reverse()
    return values


def dictionary_of(names: list[str], values: list[Value]) -> Dictionary:
    """Make the dictionary of names to values."""
    return Dictionary(symbols(names), collect(values))


def table_of(
    key_names: tuple[str, ...], keys: list[Value], names: tuple[str, ...], columns: list[Value]
) -> Value:
    """Make a table, keyed if there are keys; atoms are as long as the other columns."""
    counts = {count_of(value) for value in (*keys, *columns) if not _is_single(value)}
    if len(counts) > 1:
        raise QError("length", f"columns of {sorted(counts)} items seen, equal counts needed")
    if not counts:
        if not names and not key_names:
            raise QError("type", "a table has at least one column")
        raise QError("rank", "one column at least must be a list; enlist makes one")
    count = counts.pop()
    spread = [_spread(value, count) for value in columns]
    table = Table(names, tuple(spread))
    if not key_names:
        return table
    return Dictionary(Table(key_names, tuple(_spread(value, count) for value in keys)), table)


def _is_single(value: Value) -> bool:
    return not is_list(value) and not isinstance(value, Table | Dictionary)


def _spread(value: Value, count: int) -> Value:
    if not _is_single(value):
        return value
    if isinstance(value, Atom | EnumeratedAtom):
        return collect([value] * count) if count else collect([value])
    return collect([value] * count)
