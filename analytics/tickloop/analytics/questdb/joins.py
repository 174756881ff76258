"""Joins in QuestDB's words: as-of joins name the symbols alone, the times are understood."""

import re
from collections.abc import Iterator

from sqlglot import exp

from tickloop.core.errors import QueryError

_HINT = re.compile(r"\+\s*([\w\s(),]+?)\s*")
_LATER = (exp.GTE, exp.GT, exp.LTE, exp.LT)
_FLIPPED = {exp.GTE: exp.LTE, exp.GT: exp.LT, exp.LTE: exp.GTE, exp.LT: exp.GT}


def sources(select: exp.Select) -> Iterator[exp.Expression]:
    """List what stands in FROM and JOIN."""
    first = select.args.get("from_") or select.args.get("from")
    if first is not None:
        yield first.this
    for join in select.args.get("joins") or ():
        yield join.this


def hint(select: exp.Select) -> exp.Hint | None:
    """Find the hint that was written after SELECT."""
    for comment in select.pop_comments() or ():
        found = _HINT.fullmatch(comment)
        if found is not None:
            return exp.Hint(expressions=[exp.Var(this=found[1])])
    return None


def used(select: exp.Select, alias: str) -> frozenset[str]:
    """Give the columns of a joined table that `*` leaves out: those of USING."""
    for join in select.args.get("joins") or ():
        if join.this.alias_or_name.lower() == alias:
            return frozenset(one.name.lower() for one in join.args.get("using") or ())
    return frozenset()


def translate(join: exp.Join, first: str) -> exp.Expression | None:
    """Change a join in place; give the condition that an inner as-of join adds to WHERE.

    `first` is the alias that stands in FROM.
    """
    is_as_of = str(join.args.get("method") or "").upper() == "ASOF"
    using = [one.name for one in join.args.get("using") or ()]
    right = join.this.alias_or_name
    if using:
        equal, time = (using[:-1], using[-1]) if is_as_of else (using, "")
        terms: list[exp.Expression] = [
            exp.EQ(this=exp.column(name, table=first), expression=exp.column(name, table=right))
            for name in equal
        ]
        if is_as_of:
            later = exp.column(time, table=first), exp.column(time, table=right)
            terms.append(exp.GTE(this=later[0], expression=later[1]))
        join.set("using", None)
        join.set("on", exp.and_(*terms))
    return _as_of(join, right) if is_as_of and join.args.get("on") is not None else None


def _as_of(join: exp.Join, right: str) -> exp.Expression | None:
    terms = list(join.args["on"].flatten()) if isinstance(join.args["on"], exp.And) else [
        join.args["on"]
    ]  # fmt: skip
    later = [term for term in terms if isinstance(term, _LATER)]
    equal = [term for term in terms if isinstance(term, exp.EQ)]
    if not later:
        return None  # in QuestDB's own words already
    if len(later) != 1 or len(equal) + 1 != len(terms):
        raise QueryError("an as-of join takes equal columns and one comparison of times")
    kind: type[exp.Expression] = type(later[0])
    near, far = later[0].this, later[0].expression
    if isinstance(near, exp.Column) and near.table.lower() == right.lower():
        kind, near, far = _FLIPPED[kind], far, near
    if kind not in (exp.GTE, exp.GT) or {near.name.lower(), far.name.lower()} != {"time"}:
        raise QueryError(
            f"{later[0].sql()} seen, which QuestDB's as-of joins cannot do: they compare the time"
            " of both tables, the left one being as late or later"
        )
    join.set("method", "ASOF" if kind is exp.GTE else "LT")
    join.set("on", exp.and_(*equal) if equal else None)
    is_inner = str(join.args.get("side") or "").upper() != "LEFT"
    join.set("side", None)
    join.set("kind", None)
    far = exp.column(far.name, table=right)
    return exp.Not(this=exp.Is(this=far, expression=exp.Null())) if is_inner else None
