"""QuestDB's forms in DuckDB's words: SAMPLE BY with FILL, and LATEST ON."""

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.tokens import Kind, Token, literal, replaced, string_value, tokens_of

Columns = Callable[[str], Sequence[str]]  # of a table, by its name in lower case

_SPAN = re.compile(r"(\d+)?([TUusmhdwMyn])")
_UNITS = {
    "n": "nanosecond", "u": "microsecond", "U": "microsecond", "T": "millisecond", "s": "second",
    "m": "minute", "h": "hour", "d": "day", "w": "week", "M": "month", "y": "year",
}  # fmt: skip
_ENDS = frozenset({"group", "having", "order", "limit", "offset", "union", "except", "intersect", "window", "qualify"})  # fmt: skip
_AFTER = frozenset({"order", "limit", "offset", "union", "except", "intersect"})


def rewritten(text: str, columns: Columns) -> str:
    """Give the statement without QuestDB's forms; the same text where there are none."""
    text = replaced(text, _moments(tokens_of(text)))
    for _ in range(100):
        tokens = tokens_of(text)
        at = next((i for i, token in enumerate(tokens) if _is_form(tokens, i)), None)
        if at is None:
            return text
        bare = _bare_table(tokens, at)
        if bare is not None:
            text = f"{text[: bare.start]}SELECT * FROM {text[bare.start :]}"
            continue
        select = _select_around(text, tokens, at)
        change = _sampled if tokens[at].word == "sample" else _latest
        text = change(text, tokens, at, select, columns)
    raise PgError(SqlState.LIMIT_EXCEEDED, "more than 100 SAMPLE BY or LATEST ON seen")


def _moments(tokens: Sequence[Token]) -> list[tuple[int, int, str]]:
    """Find casts of numbers to timestamps, which count microseconds since 1970."""
    found = []
    for at, token in enumerate(tokens[:-5]):
        words = [one.word for one in tokens[at : at + 6]]
        is_cast = words[0] == "cast" and words[3:5] == ["as", "timestamp"]
        if is_cast and tokens[at + 2].kind is Kind.NUMBER and tokens[at + 5].text == ")":
            spelled = f"make_timestamptz({tokens[at + 2].text}::BIGINT)"
            found.append((token.start, tokens[at + 5].end, spelled))
    return found


def _bare_table(tokens: Sequence[Token], at: int) -> Token | None:
    """Find the table of `(trade LATEST ON ...)`, which has no SELECT of its own."""
    depth = tokens[at].depth
    first = at
    while first > 0 and tokens[first - 1].depth >= depth:
        first -= 1
    inside = [token.word for token in tokens[first:at] if token.depth == depth]
    if "select" in inside or "from" in inside or not tokens[first].name:
        return None
    return tokens[first]


def _is_form(tokens: Sequence[Token], at: int) -> bool:
    pair = (tokens[at].word, tokens[at + 1].word if at + 1 < len(tokens) else "")
    return pair in (("sample", "by"), ("latest", "on"), ("latest", "by"))


@dataclass(frozen=True, slots=True)
class _Select:
    """The SELECT that a form belongs to, as positions among the tokens."""

    first: int  # SELECT, or the token that stands for it
    from_: int
    stop: int  # after its last token
    table: str
    time: str


def _select_around(text: str, tokens: Sequence[Token], at: int) -> _Select:
    depth = tokens[at].depth
    from_ = at
    while from_ >= 0 and not (tokens[from_].depth == depth and tokens[from_].word == "from"):
        if tokens[from_].depth < depth:
            break
        from_ -= 1
    if from_ < 0 or tokens[from_].word != "from":
        raise _wrong(tokens[at], "after a SELECT ... FROM table")
    first = from_
    while first > 0 and not (tokens[first].depth == depth and tokens[first].word == "select"):
        first -= 1
    stop = at
    while stop < len(tokens) and tokens[stop].depth >= depth:
        stop += 1
    return _Select(first, from_, stop, tokens[from_ + 1].name if from_ + 1 < len(tokens) else "", "time")  # fmt: skip


def _wrong(token: Token, expected: str) -> PgError:
    return PgError(
        SqlState.SYNTAX_ERROR,
        f'"{token.text}" seen where it cannot be, expected {expected}',
        position=token.start + 1,
    )


def _latest(text: str, tokens: Sequence[Token], at: int, select: _Select, columns: Columns) -> str:
    """LATEST ON time PARTITION BY a, b: the last row of each group, by `seq` if times tie."""
    after = at + 2
    if tokens[at + 1].word == "by":
        time, names = select.time, _names(tokens, after)
        stop = after + 2 * len(names) - 1
    else:
        time = tokens[after].name if after < len(tokens) else ""
        words = [token.word for token in tokens[after + 1 : after + 3]]
        if not time or words != ["partition", "by"]:
            raise _wrong(tokens[at], "LATEST ON time PARTITION BY columns")
        names = _names(tokens, after + 3)
        stop = after + 3 + 2 * len(names) - 1
    order = f'"{time}" DESC'
    if "seq" in columns(select.table.lower()):
        order += ', "seq" DESC'
    listed = ", ".join(f'"{name}"' for name in names)
    qualify = f"QUALIFY row_number() OVER (PARTITION BY {listed} ORDER BY {order}) = 1"
    return _spliced(text, tokens, at, stop, _without_where_after(text, tokens, stop, qualify))


def _without_where_after(text: str, tokens: Sequence[Token], stop: int, qualify: str) -> str:
    """A WHERE that comes after LATEST ON filters what was found, not what is looked through."""
    if stop < len(tokens) and tokens[stop].word == "where":
        raise PgError(
            SqlState.FEATURE_NOT_SUPPORTED,
            "WHERE after LATEST ON is not supported: put it before, or around in a subquery",
            position=tokens[stop].start + 1,
        )
    return qualify


def _names(tokens: Sequence[Token], at: int) -> list[str]:
    """Read identifiers with commas between."""
    names: list[str] = []
    while at < len(tokens) and tokens[at].name:
        names.append(tokens[at].name)
        if at + 1 >= len(tokens) or tokens[at + 1].text != ",":
            break
        at += 2
    if not names:
        raise PgError(SqlState.SYNTAX_ERROR, "PARTITION BY without columns")
    return names


def _spliced(text: str, tokens: Sequence[Token], at: int, stop: int, new: str) -> str:
    end = tokens[stop - 1].end if stop > at else tokens[at].start
    return f"{text[: tokens[at].start]}{new}{text[end:]}"


@dataclass(frozen=True, slots=True)
class _Sampling:
    """What stands after SAMPLE BY."""

    width: str  # an interval
    fill: tuple[str, ...]
    zone: str
    offset: str
    first_observation: bool
    stop: int


def _sampled(text: str, tokens: Sequence[Token], at: int, select: _Select, columns: Columns) -> str:
    """SAMPLE BY span: groups by the span's start, and by every item that is no aggregate."""
    sampling = _sampling(tokens, at + 2)
    time = f'"{select.time}"'
    bucket = _bucket(sampling, time)
    items = _items(text, tokens, select)
    keys = [item for item in items if not item.is_aggregate]
    shown = [item for item in items if not item.is_time]
    inner = [f"{bucket} AS __bucket", *(item.spelled for item in shown)]
    where = text[tokens[select.from_].start : tokens[at].start]
    grouped = f"SELECT {', '.join(inner)} {where} GROUP BY ALL"
    if sampling.first_observation:
        raise PgError(
            SqlState.FEATURE_NOT_SUPPORTED,
            "ALIGN TO FIRST OBSERVATION is not supported: buckets begin on the calendar",
        )
    names = [item.alias if not item.is_time else "__bucket" for item in items]
    if sampling.fill and sampling.fill != ("none",):
        series = [item for item in keys if not item.is_time]
        grouped = _filled(grouped, sampling, shown, [item.alias for item in series])
    listed = ", ".join(
        f'__bucket AS "{item.alias}"' if item.is_time else f'"{name}"'
        for item, name in zip(items, names, strict=True)
    )
    tail_at = sampling.stop
    tail = text[tokens[tail_at].start : tokens[select.stop - 1].end] if tail_at < select.stop else ""  # fmt: skip
    is_ordered = any(token.word == "order" for token in tokens[tail_at : select.stop])
    order = "" if is_ordered else "ORDER BY __bucket"
    order = "" if tail_at < select.stop and tokens[tail_at].word in ("union", "except", "intersect") else order  # fmt: skip
    whole = f"SELECT {listed} FROM ({grouped}) {order} {tail}"
    end = tokens[select.stop - 1].end
    return f"{text[: tokens[select.first].start]}{whole}{text[end:]}"


def _bucket(sampling: _Sampling, time: str) -> str:
    width = f"INTERVAL {literal(sampling.width)}"
    if sampling.zone:
        zone = literal(sampling.zone)
        local = f"time_bucket({width}, {time} AT TIME ZONE {zone}, TIMESTAMP '2000-01-01')"
        return f"({local}) AT TIME ZONE {zone}"
    offset = f" + INTERVAL {literal(sampling.offset)}" if sampling.offset else ""
    return f"time_bucket({width}, {time}, TIMESTAMPTZ '2000-01-01 00:00:00+00'{offset})"


def _filled(
    grouped: str, sampling: _Sampling, shown: Sequence["_Item"], series: Sequence[str]
) -> str:
    """Make a row for every span and series, and fill what it lacks."""
    width = f"INTERVAL {literal(sampling.width)}"
    partition = ", ".join(f'"{name}"' for name in series)
    keys = f"SELECT DISTINCT {partition} FROM __sampled" if series else "SELECT 1 AS __one"
    spans = (
        f"SELECT unnest(generate_series(min(__bucket), max(__bucket), {width})) AS __bucket"
        " FROM __sampled"
    )
    joined = "".join(f' AND s."{name}" IS NOT DISTINCT FROM k."{name}"' for name in series)
    window = f"({f'PARTITION BY {partition} ' if series else ''}ORDER BY __bucket)"
    outer, inner = ["__bucket"], ["b.__bucket"]
    aggregates = [item for item in shown if item.is_aggregate]
    for item in shown:
        source = "s" if item.is_aggregate else "k"
        inner.append(f'{source}."{item.alias}"')
        how = "key"
        if item.is_aggregate:
            place = aggregates.index(item)
            how = sampling.fill[min(place, len(sampling.fill) - 1)]
        outer.append(_fill(item.alias, how, window))
    return (
        f"WITH __sampled AS ({grouped}), __spans AS ({spans}), __keys AS ({keys}), __all AS"
        f" (SELECT {', '.join(inner)} FROM __spans b CROSS JOIN __keys k LEFT JOIN __sampled s"
        f" ON s.__bucket = b.__bucket{joined}) SELECT {', '.join(outer)} FROM __all"
    )


def _fill(name: str, how: str, window: str) -> str:
    column = f'"{name}"'
    if how in ("key", "null"):
        return column
    if how == "prev":
        return f"last_value({column} IGNORE NULLS) OVER {window} AS {column}"
    if how == "linear":
        # Between two known values only: nothing is said of what lies outside them.
        before = f"count({column}) OVER {window[:-1]} ROWS UNBOUNDED PRECEDING)"
        after = (
            f"count({column}) OVER {window[:-1]} ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)"
        )
        filled = f"fill({column}) OVER {window}"
        return f"CASE WHEN {before} > 0 AND {after} > 0 THEN {filled} END AS {column}"
    return f"coalesce({column}, {how}) AS {column}"


def _sampling(tokens: Sequence[Token], at: int) -> _Sampling:
    width, at = _width(tokens, at)
    fill: tuple[str, ...] = ()
    zone = offset = ""
    first_observation = False
    while at < len(tokens) and tokens[at].word in ("fill", "align"):
        if tokens[at].word == "fill":
            fill, at = _fill_options(tokens, at + 1)
            continue
        words = [token.word for token in tokens[at : at + 4]]
        if words == ["align", "to", "first", "observation"]:
            first_observation, at = True, at + 4
            continue
        if words[:3] != ["align", "to", "calendar"]:
            raise _wrong(tokens[at], "ALIGN TO CALENDAR or FIRST OBSERVATION")
        at += 3
        if [token.word for token in tokens[at : at + 2]] == ["time", "zone"]:
            zone, at = string_value(tokens[at + 2]), at + 3
        if [token.word for token in tokens[at : at + 2]] == ["with", "offset"]:
            offset, at = _offset(string_value(tokens[at + 2])), at + 3
    return _Sampling(width, fill, zone, offset, first_observation, at)


def _width(tokens: Sequence[Token], at: int) -> tuple[str, int]:
    """Read a span such as 5m, 1h, 250T or 1M, which the lexer cuts in two."""
    if at >= len(tokens):
        raise PgError(SqlState.SYNTAX_ERROR, "SAMPLE BY without a span such as 1m")
    token = tokens[at]
    spelled, used = token.text, 1
    if token.kind is Kind.NUMBER and at + 1 < len(tokens) and tokens[at + 1].start == token.end:
        spelled, used = spelled + tokens[at + 1].text, 2
    match = _SPAN.fullmatch(spelled)
    if match is None:
        raise _wrong(token, "a span such as 250T, 30s, 5m, 1h, 1d, 1w, 1M or 1y")
    return f"{match[1] or 1} {_UNITS[match[2]]}", at + used


def _offset(text: str) -> str:
    hours, _, minutes = text.partition(":")
    return f"{hours} hours {'-' if text.startswith('-') else ''}{minutes or 0} minutes"


def _fill_options(tokens: Sequence[Token], at: int) -> tuple[tuple[str, ...], int]:
    if at >= len(tokens) or tokens[at].text != "(":
        raise PgError(SqlState.SYNTAX_ERROR, "FILL(NULL | PREV | LINEAR | NONE | number) expected")
    options, sign = [], ""
    at += 1
    while at < len(tokens) and tokens[at].text != ")":
        token = tokens[at]
        at += 1
        if token.text == "-":
            sign = "-"
        elif token.word in ("null", "prev", "linear", "none") or token.kind is Kind.NUMBER:
            options.append(sign + token.text.lower())
            sign = ""
        elif token.text != ",":
            raise _wrong(token, "NULL, PREV, LINEAR, NONE or a number")
    return tuple(options), at + 1


@dataclass(frozen=True, slots=True)
class _Item:
    """One item of a SELECT list."""

    text: str
    alias: str
    is_time: bool
    is_aggregate: bool

    @property
    def spelled(self) -> str:
        """The item with its name."""
        return f'{self.text} AS "{self.alias}"'


def _items(text: str, tokens: Sequence[Token], select: _Select) -> list[_Item]:
    """Cut a SELECT list at its commas."""
    inside = tokens[select.first + 1 : select.from_]
    depth = tokens[select.first].depth
    groups: list[list[Token]] = [[]]
    for token in inside:
        if token.text == "," and token.depth == depth:
            groups.append([])
        else:
            groups[-1].append(token)
    if any(len(group) == 0 or group[-1].text == "*" for group in groups):
        raise _wrong(tokens[select.first], "a list of columns and aggregates before SAMPLE BY")
    return [_item(text, group, depth, select) for group in groups]


def _ends_expression(token: Token) -> bool:
    return token.kind is not Kind.SIGN or token.text in (")", "]")


def _item(text: str, group: Sequence[Token], depth: int, select: _Select) -> _Item:
    alias = ""
    body = list(group)
    if len(body) > 2 and body[-2].word == "as":
        alias, body = body[-1].name, body[:-2]
    elif len(body) > 1 and body[-1].name and _ends_expression(body[-2]):
        alias, body = body[-1].name, body[:-1]
    spelled = text[body[0].start : body[-1].end]
    is_time = (
        body[-1].name == select.time
        and len(body) in (1, 3)
        and all(token.name or token.text == "." for token in body)
    )
    is_call = any(
        token.text == "(" and previous.kind is Kind.WORD
        for previous, token in itertools.pairwise(body)
    )
    if not alias:
        alias = body[-1].name if len(body) in (1, 3) and body[-1].name else body[0].name or spelled
    return _Item(spelled, alias.replace('"', '""'), is_time, is_call)
