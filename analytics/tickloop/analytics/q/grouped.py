"""Expressions evaluated for all groups at once.

A result is one value for every group alike (SAME), a column with an item for each row (ROWS), or
a list with an item for each group (GROUPS). Atomic functions of columns run once over all rows,
aggregates run as kernels over groups; only functions of which nothing is known are called group
by group.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np

from tickloop.analytics.q import group_aggregates as aggregates
from tickloop.analytics.q.clause import Scope, apply, constant, parts_of, spelled
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.rows import collected, join, lay_flat, null_like, repeat, split, take
from tickloop.analytics.q.uniform_groups import uniform_rows
from tickloop.analytics.q.values import (
    Atom,
    Builtin,
    Dictionary,
    Enumerated,
    Iterated,
    List,
    QType,
    Table,
    Value,
    Vector,
    count_of,
    is_atom,
    is_list,
    item_at,
)
from tickloop.analytics.trace import note


class Level(Enum):
    """How often a value is there."""

    SAME = "one for all groups"
    ROWS = "an item for each row"
    GROUPS = "an item for each group"


@dataclass(frozen=True, slots=True, eq=False)
class Leveled:
    """A value and its level."""

    level: Level
    value: Value


_Plans: TypeAlias = dict[int, Leveled]
# Functions that work item by item on one argument while the other is one value.
_POINTWISE_LEFT = frozenset({"in", "within", "like"})
_POINTWISE_RIGHT = frozenset({"$", "xbar", "each", "bin", "binr"})


@dataclass(frozen=True, slots=True)
class GroupedScope:
    """A scope whose rows are in groups."""

    scope: Scope
    groups: Groups

    def evaluate(self, trees: Sequence[Value]) -> list[Leveled]:
        """Evaluate trees; aggregates of columns of all trees run together."""
        planned: list[tuple[int, Value]] = []
        jobs: list[aggregates.Job] = []
        for tree in trees:
            for node in _aggregates(tree):
                job = self._job(node)
                if job is not None:
                    planned.append((id(node), node))
                    jobs.append(job)
        results = aggregates.run(self.groups, jobs)
        known: _Plans = {
            key: Leveled(Level.GROUPS, value)
            for (key, _), value in zip(planned, results, strict=True)
        }
        return [self._evaluate(tree, known) for tree in trees]

    def _evaluate(self, tree: Value, known: _Plans) -> Leveled:
        made = known.get(id(tree))
        if made is not None:
            return made
        value = constant(tree)
        if value is not None:
            return Leveled(Level.SAME, value)
        if isinstance(tree, Atom):
            column = self.scope.column(str(tree.value))
            if column is not None:
                return Leveled(Level.ROWS, column)
            return Leveled(Level.SAME, self.scope.session.get(str(tree.value)))
        head, *rest = parts_of(tree)
        arguments = [self._evaluate(item, known) for item in reversed(rest)][::-1]
        return self.apply(self._evaluate(head, known), arguments)

    def _job(self, node: List) -> aggregates.Job | None:
        """Plan an aggregate whose arguments are columns or atomic functions of columns."""
        head = node.items[0]
        assert isinstance(head, Builtin)
        counted = _distinct_of(node)
        if counted is not None:
            column = self._evaluate(counted, {})
            is_column = column.level is Level.ROWS
            return aggregates.distinct_count(column.value, self.groups) if is_column else None
        arguments = [self._evaluate(item, {}) for item in node.items[1:]]
        columns = self._rows(arguments)
        if columns is None:
            return None
        name = spelled(head)
        return aggregates.job(name, columns, self.groups, self._kind(head, columns))

    def _rows(self, arguments: Sequence[Leveled]) -> list[Value] | None:
        """Give arguments as columns of rows; None if all are constants or some cannot be."""
        if all(argument.level is not Level.ROWS for argument in arguments):
            return None
        columns = []
        for argument in arguments:
            if argument.level is Level.ROWS:
                columns.append(argument.value)
            elif argument.level is Level.SAME and is_atom(argument.value):
                columns.append(repeat(argument.value, self.scope.count))
            elif isinstance(argument.value, Vector) and argument.level is Level.GROUPS:
                columns.append(self._to_rows(argument.value))
            else:
                return None
        return columns

    def _kind(self, head: Builtin, columns: Sequence[Value]) -> QType | None:
        """Find an aggregate's type by asking for it of a row."""
        if spelled(head) in ("count", "first", "last"):
            return None
        row = slice(0, min(1, count_of(columns[0])))
        found = apply(self.scope.session, head, [take(column, row) for column in columns])
        return found.type if isinstance(found, Atom) else None

    def _to_rows(self, value: Value) -> Value:
        """Repeat each group's item in the group's rows."""
        return take(value, self.groups.codes)

    def apply(self, function: Leveled, arguments: Sequence[Leveled]) -> Leveled:
        """Apply a function at the lowest number of calls that its kind allows."""
        session = self.scope.session
        levels = {argument.level for argument in arguments}
        head = function.value
        if function.level is Level.SAME:
            if levels <= {Level.SAME}:
                return Leveled(Level.SAME, apply(session, head, [a.value for a in arguments]))
            if _is_pointwise(head, arguments):
                return self._pointwise(head, arguments)
            if isinstance(head, Builtin) and spelled(head) in aggregates.NAMES:
                columns = self._rows(arguments)
                if columns is not None:
                    kind = self._kind(head, columns)
                    job = aggregates.job(spelled(head), columns, self.groups, kind)
                    if job is not None:
                        return Leveled(Level.GROUPS, aggregates.run(self.groups, [job])[0])
            if len(arguments) == 1 and levels == {Level.ROWS}:
                found = uniform_rows(session, head, arguments[0].value, self.groups)
                if found is not None:
                    return Leveled(Level.ROWS, found)
        return self._group_by_group(function, arguments)

    def _pointwise(self, head: Value, arguments: Sequence[Leveled]) -> Leveled:
        session = self.scope.session
        if all(argument.level is not Level.ROWS for argument in arguments):
            return Leveled(Level.GROUPS, apply(session, head, [a.value for a in arguments]))
        values = [
            self._to_rows(argument.value) if argument.level is Level.GROUPS else argument.value
            for argument in arguments
        ]
        return Leveled(Level.ROWS, apply(session, head, values))

    def _group_by_group(self, function: Leveled, arguments: Sequence[Leveled]) -> Leveled:
        session = self.scope.session
        note("called group by group")
        if not self.groups.count:
            return Leveled(Level.GROUPS, self._of_no_groups(function, arguments))
        parts = [self.items(argument) for argument in arguments]
        heads = self.items(function)
        results = [
            apply(session, heads[group], [part[group] for part in parts])
            for group in range(self.groups.count)
        ]
        head = function.value
        if isinstance(head, Builtin) and head.is_uniform and self._fits_rows(results):
            return Leveled(Level.ROWS, self._from_groups(results))
        return Leveled(Level.GROUPS, collected(results))

    def _of_no_groups(self, function: Leveled, arguments: Sequence[Leveled]) -> Value:
        """Give an empty list of the type that a group would have had."""
        values = [
            null_like(argument.value) if argument.level is Level.GROUPS else argument.value
            for argument in arguments
        ]
        found = apply(self.scope.session, function.value, values)
        return take(repeat(found, 1), slice(0, 0)) if is_atom(found) else List(())

    def _fits_rows(self, results: Sequence[Value]) -> bool:
        counts = self.groups.counts.tolist()
        return all(
            is_list(result) and count_of(result) == count
            for result, count in zip(results, counts, strict=True)
        )

    def _from_groups(self, results: Sequence[Value]) -> Value:
        """Put the lists of all groups back in row order."""
        joined = join(results) if results else List(())
        if not self.groups.together:
            return lay_flat(joined, self.groups.order, self.groups.rows)
        starts, stops = self.groups.starts, self.groups.stops
        if bool((starts[1:] >= starts[:-1]).all()):
            return joined
        rows = np.concatenate([np.arange(a, b) for a, b in zip(starts, stops, strict=True)])
        return lay_flat(joined, rows, self.groups.rows)

    def items(self, leveled: Leveled) -> Sequence[Value]:
        """List a value's item of each group."""
        groups = self.groups
        if leveled.level is Level.SAME:
            return [leveled.value] * groups.count
        if leveled.level is Level.GROUPS:
            return [item_at(leveled.value, group) for group in range(groups.count)]
        value = leveled.value if groups.together else take(leveled.value, groups.order)
        return split(value, groups.starts, groups.stops).items

    def result(self, leveled: Leveled) -> Value:
        """Give a column of one item for each group: a list where groups have many."""
        if leveled.level is Level.GROUPS:
            return leveled.value
        if leveled.level is Level.SAME and not is_list(leveled.value):
            return repeat(leveled.value, self.groups.count)
        return List(tuple(self.items(leveled)))

    def rows_of(self, leveled: Leveled) -> Value:
        """Give a column of one item for each row, as `update` needs it."""
        value = leveled.value
        if leveled.level is Level.ROWS:
            return value
        if leveled.level is Level.SAME and not is_list(value):
            return repeat(value, self.scope.count)
        if leveled.level is Level.GROUPS and isinstance(value, Vector | Enumerated):
            return self._to_rows(value)
        spread = []
        for item, count in zip(self.items(leveled), self.groups.counts.tolist(), strict=True):
            if is_list(item) and count_of(item) != count:
                raise QError("length", f"{count_of(item)} items seen for a group of {count} rows")
            spread.append(item if is_list(item) else repeat(item, count))
        return self._from_groups(spread)


def _aggregates(tree: Value) -> list[List]:
    """Find the innermost aggregates that kernels know; those inside them are found again."""
    if not isinstance(tree, List) or len(tree.items) < 2:
        return []
    found = [node for item in tree.items for node in _aggregates(item)]
    head = tree.items[0]
    is_known = isinstance(head, Builtin) and spelled(head) in aggregates.NAMES
    return [tree] if is_known and not found else found


def _distinct_of(node: List) -> Value | None:
    """Give what `count distinct` counts; None for other trees."""
    head, *rest = node.items
    inner = rest[0]
    if not isinstance(inner, List | Vector) or len(inner) != 2 or constant(inner) is not None:
        return None
    verb, argument = parts_of(inner)
    is_distinct = isinstance(verb, Builtin) and spelled(verb) == "distinct"
    is_count = isinstance(head, Builtin) and spelled(head) == "count"
    return argument if is_distinct and is_count else None


def _is_pointwise(head: Value, arguments: Sequence[Leveled]) -> bool:
    """Tell whether a function may be called once, with an item of each row or group."""
    shapes = [
        (argument.level is Level.SAME and is_list(argument.value))
        or (argument.level is Level.GROUPS and not isinstance(argument.value, Vector | Enumerated))
        for argument in arguments
    ]
    if isinstance(head, Builtin):
        name = spelled(head)
        if len(arguments) == 2 and (name in _POINTWISE_LEFT or name in _POINTWISE_RIGHT):
            fixed = arguments[1 if name in _POINTWISE_LEFT else 0]
            moving = arguments[0 if name in _POINTWISE_LEFT else 1]
            if fixed.level is Level.SAME and moving.level is not Level.SAME:
                return not shapes[0 if name in _POINTWISE_LEFT else 1]
        return head.is_atomic and not any(shapes)
    if isinstance(head, Iterated) and head.iterator == "'":
        return not any(shapes) and len(arguments) == 1
    is_lookup = isinstance(head, Dictionary | Vector | List | Enumerated) and len(arguments) == 1
    return is_lookup and not isinstance(head, Table) and not any(shapes)
