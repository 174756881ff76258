"""Conditions whose nulls are SQL's: QuestDB takes null for a value that equals itself."""

import re
from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from tickloop.analytics.questdb.translate import Known

_MOMENT = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?"
    r"\s*(?:Z|\+00(?::?00)?)?\s*"
)
_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_OPPOSITE = {
    exp.EQ: exp.NEQ, exp.NEQ: exp.EQ, exp.GT: exp.LTE, exp.LTE: exp.GT, exp.LT: exp.GTE,
    exp.GTE: exp.LT,
}  # fmt: skip


def exact(where: exp.Expression, known: "Known") -> exp.Expression:
    """Spell a WHERE so that it keeps the rows for which it is true, and no others."""
    where.set("this", _true(where.this, known))
    return where


def moment(literal: exp.Literal) -> exp.Expression | None:
    """Spell a text as an instant; None if it is none."""
    found = _MOMENT.fullmatch(str(literal.this)) if literal.is_string else None
    if found is None:
        return None
    day, minute, second, fraction = found.groups()
    text = f"{day}T{minute or '00:00'}:{second or '00'}.{(fraction or ''):0<9}Z"
    return exp.cast(exp.Literal.string(text), "TIMESTAMP_NS", dialect="duckdb")


def _true(node: exp.Expression, known: "Known") -> exp.Expression:
    """Spell when a condition is true."""
    if isinstance(node, exp.Paren):
        return exp.Paren(this=_true(node.this, known))
    if isinstance(node, exp.And | exp.Or):
        return type(node)(this=_true(node.this, known), expression=_true(node.expression, known))
    if isinstance(node, exp.Not):
        return _false(node.this, known)
    if isinstance(node, _COMPARED):
        return _compared(node, known)
    if isinstance(node, exp.Between):
        return _between(node, known)
    if isinstance(node, exp.NullSafeEQ):
        return exp.EQ(this=node.this, expression=node.expression)
    if isinstance(node, exp.NullSafeNEQ):
        return exp.NEQ(this=node.this, expression=node.expression)
    return node


def _false(node: exp.Expression, known: "Known") -> exp.Expression:
    """Spell when a condition is false, which is not the same as not true."""
    if isinstance(node, exp.Paren):
        return exp.Paren(this=_false(node.this, known))
    if isinstance(node, exp.And | exp.Or):
        other = exp.Or if isinstance(node, exp.And) else exp.And
        return exp.Paren(
            this=other(this=_false(node.this, known), expression=_false(node.expression, known))
        )
    if isinstance(node, exp.Not):
        return _true(node.this, known)
    if isinstance(node, _COMPARED):
        return _compared(_OPPOSITE[type(node)](this=node.this, expression=node.expression), known)
    if isinstance(node, exp.Is):
        return exp.Not(this=node)
    if isinstance(node, exp.Between):
        low = exp.LT(this=node.this, expression=node.args["low"])
        high = exp.GT(this=node.this.copy(), expression=node.args["high"])
        return exp.Paren(this=exp.or_(_compared(low, known), _compared(high, known)))
    if isinstance(node, exp.NullSafeEQ | exp.NullSafeNEQ):
        flipped = exp.NullSafeNEQ if isinstance(node, exp.NullSafeEQ) else exp.NullSafeEQ
        return _true(flipped(this=node.this, expression=node.expression), known)
    return _with_values(exp.Not(this=node), node.this)


def _between(node: exp.Between, known: "Known") -> exp.Expression:
    low = exp.GTE(this=node.this, expression=node.args["low"])
    high = exp.LTE(this=node.this.copy(), expression=node.args["high"])
    return exp.and_(_compared(low, known), _compared(high, known))


def _compared(node: exp.Expression, known: "Known") -> exp.Expression:
    left, right = _instant(node, known)
    node = type(node)(this=left, expression=right)
    if isinstance(node, exp.NEQ):
        return _with_values(node, left, right)
    if isinstance(node, exp.EQ | exp.GTE | exp.LTE) and not _is_constant(right):
        return _with_values(node, left)
    return node


def _instant(node: exp.Expression, known: "Known") -> tuple[exp.Expression, exp.Expression]:
    """Read texts that are compared with instants, and cut instants where clients see them cut."""
    left, right = node.this, node.expression
    for here, there in ((left, right), (right, left)):
        if isinstance(here, exp.Literal) and is_of(there, known, "instant"):
            made = moment(here)
            if made is not None:
                left, right = (made, right) if here is left else (left, made)
    if known.cuts_instants and not isinstance(node, exp.GTE | exp.LT):
        left, right = (
            exp.cast(side, "TIMESTAMP") if is_of(side, known, "instant") else side
            for side in (left, right)
        )
    return left, right


def is_of(node: exp.Expression, known: "Known", *kinds: str) -> bool:
    """Tell whether this is a column that a table has with one of these kinds."""
    return isinstance(node, exp.Column) and any(
        column.name == node.name.lower() and column.kind.value in kinds
        for table in known.tables.values()
        for column in table.columns
    )


def _is_constant(node: exp.Expression) -> bool:
    return node.find(exp.Column) is None


def _with_values(node: exp.Expression, *sides: exp.Expression) -> exp.Expression:
    """Add that neither side is null."""
    terms = [
        exp.Not(this=exp.Is(this=side.copy(), expression=exp.Null()))
        for side in sides
        if not _is_constant(side)
    ]
    return exp.Paren(this=exp.and_(node, *terms)) if terms else node
