"""A simple SELECT over a table as it is now: what is read, what is kept, what comes out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tickloop.analytics.direct.aggregates import check_aggregate
from tickloop.analytics.direct.columns import Shown, shown_columns
from tickloop.analytics.direct.conditions import Condition, condition
from tickloop.analytics.direct.constants import whole
from tickloop.analytics.direct.shape import (
    Constant,
    Item,
    NotSimpleError,
    Operand,
    Parameter,
    Shape,
)
from tickloop.analytics.direct.sorting import check_key
from tickloop.analytics.views import Spelling
from tickloop.core.schema import Column, Table

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Out:
    """One column of the answer: an aggregate, or a column where there is none."""

    name: str
    type: str
    shown: Shown | None
    aggregate: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A plan with its values: which rows, and how many of them after how many."""

    conditions: tuple[Condition, ...]
    limit: int | None
    offset: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a statement reads of a table, and gives."""

    table: Table
    fractional: bool
    outs: tuple[Out, ...]
    keys: tuple[tuple[Shown, bool], ...]
    columns: tuple[Column, ...]
    terms: tuple[tuple[Shown, str, tuple[Operand, ...]], ...]
    limit: Operand | None
    offset: Operand | None

    @property
    def is_aggregate(self) -> bool:
        """Tell whether one row comes out."""
        return bool(self.outs[0].aggregate)

    def of(self, values: Sequence[Constant]) -> Wanted:
        """Put values in the parameters' places; NotSimpleError where one is not understood."""

        def given(operand: Operand) -> Constant:
            if isinstance(operand, Constant):
                return operand
            if not 1 <= operand.number <= len(values):
                raise NotSimpleError
            return values[operand.number - 1]

        conditions = tuple(
            condition(shown, sign, [given(one) for one in operands])
            for shown, sign, operands in self.terms
        )
        limit = None if self.limit is None else _count(given(self.limit))
        return Wanted(conditions, limit, 0 if self.offset is None else _count(given(self.offset)))


def plan_of(
    shape: Shape, table: Table, spelling: Spelling, *, fractional: bool, quoted: frozenset[str]
) -> Plan:
    """Look a statement's columns up; NotSimpleError where DuckDB has to answer or to refuse.

    `quoted` are the words that DuckDB quotes where they are names.
    """
    known = shown_columns(table, list(spelling(table, fractional)), fractional=fractional)
    for item in shape.items:
        # What a name means would depend on where it stands.
        if item.alias and item.alias.lower() in known.keys() - {item.column}:
            raise NotSimpleError
    outs = tuple(_outs(shape.items, known, quoted))
    keys = tuple((_found(known, name), is_descending) for name, is_descending in shape.keys)
    for shown, _ in keys:
        check_key(shown)
    terms = tuple((_found(known, term.column), term.sign, term.values) for term in shape.terms)
    read = {out.shown.source for out in outs if out.shown is not None}
    read |= {shown.source for shown, _ in keys} | {shown.source for shown, _, _ in terms}
    columns = tuple(column for column in table.columns if column.name in read)
    plan = Plan(
        table, fractional, outs, keys, columns or table.columns[:1], terms, shape.limit,
        shape.offset,
    )  # fmt: skip
    if not _parameters(plan):
        plan.of(())
    return plan


def _parameters(plan: Plan) -> bool:
    given = [plan.limit, plan.offset, *(one for _, _, values in plan.terms for one in values)]
    return any(isinstance(one, Parameter) for one in given)


def _outs(items: Sequence[Item], known: dict[str, Shown], quoted: frozenset[str]) -> Iterator[Out]:
    if not items:
        items = [Item(name) for name in known]
    for item in items:
        shown = _found(known, item.column) if item.column else None
        if not item.aggregate:
            assert shown is not None, item
            if not shown.is_known:
                raise NotSimpleError
            yield Out(item.alias or shown.name, shown.type, shown)
            continue
        check_aggregate(item.aggregate, shown)
        name = item.alias or _spelled(item, quoted)
        yield Out(name, _type(item.aggregate, shown), shown, item.aggregate)


def _found(known: dict[str, Shown], name: str) -> Shown:
    found = known.get(name)
    if found is None:
        raise NotSimpleError
    return found


def _spelled(item: Item, quoted: frozenset[str]) -> str:
    """Name an aggregate as DuckDB does where nobody names it."""
    if not item.column:
        return "count_star()"
    if not all(map(_IDENTIFIER.fullmatch, item.path)):
        raise NotSimpleError
    path = [f'"{name}"' if name.lower() in quoted else name for name in item.path]
    return f"{item.aggregate}({'.'.join(path)})"


def _type(aggregate: str, shown: Shown | None) -> str:
    if shown is None or aggregate == "count":
        return "BIGINT"
    if aggregate in ("min", "max"):
        return shown.type
    return "DOUBLE" if aggregate == "avg" or shown.is_float else "HUGEINT"


def _count(constant: Constant) -> int:
    found = whole(constant)
    if found < 0:
        raise NotSimpleError
    return found
