"""Joins against plain Python and pandas on random tables."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_rows import Row, ask, by_sym, python, row, same, table, tables
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Table

TRADES = ("sym", "time", "price", "size")
QUOTES = ("sym", "time", "bid", "size")
SESSION = Session()

quote = row.map(
    lambda r: {"sym": r["sym"], "time": r["time"], "bid": r["price"], "size": r["size"]}
)
quotes = st.lists(quote, max_size=40)
attributes = st.sampled_from(["p", "g", "", "s"])


def set_tables(left: list[Row], right: list[Row], attribute: str, *, parted: bool) -> None:
    """Put both tables into the session, the right one as its attribute asks."""
    SESSION.set("t", table(left, TRADES, parted="sym" if parted else ""))
    SESSION.set("q", table(right, QUOTES))
    if attribute:
        SESSION.eval(f"update `{attribute}#sym from `q")


def arranged(
    left: list[Row], right: list[Row], attribute: str, *, parted: bool
) -> tuple[list[Row], list[Row]]:
    """Order rows as a join expects them: right rows by time within each symbol."""
    by_time = sorted(right, key=lambda r: r["time"])
    right = by_sym(right) if attribute in ("p", "s") else by_time
    return (by_sym(left) if parted else left), right


def latest(left: Row, right: list[Row]) -> Row | None:
    """Find the last right row at or before a left one."""
    found = [r for r in right if r["sym"] == left["sym"] and r["time"] <= left["time"]]
    times = [r["time"] for r in found]
    return [r for r in found if r["time"] == max(times)][-1] if found else None


@given(left=tables, right=quotes, attribute=attributes, parted=st.booleans())
def test_aj_gives_the_last_row_at_or_before(
    left: list[Row], right: list[Row], attribute: str, parted: bool
) -> None:
    left, right = arranged(left, right, attribute, parted=parted)
    set_tables(left, right, attribute, parted=parted)
    found = python(SESSION.eval("aj[`sym`time;t;q]"))
    found_0 = python(SESSION.eval("aj0[`sym`time;t;q]"))
    found_f = python(SESSION.eval("ajf[`sym`time;t;q]"))
    for number, own in enumerate(left):
        match = latest(own, right)
        plain = {name: own[name] for name in TRADES} | {"bid": None}
        other = match or {"time": own["time"], "bid": None, "size": own["size"]}
        assert found[number] == {**plain, "bid": other["bid"], "size": other["size"]}
        assert found_0[number] == {**found[number], "time": other["time"]}
        filled = own["size"] if other["size"] is None else other["size"]
        assert found_f[number] == {**found[number], "size": filled}


@given(left=tables, right=quotes)
def test_aj_is_what_pandas_merges_backward(left: list[Row], right: list[Row]) -> None:
    left = sorted(left, key=lambda r: r["time"])
    left, right = arranged(left, right, "", parted=False)
    set_tables(left, right, "", parted=False)
    found = python(SESSION.eval("exec bid from aj[`sym`time;t;q]"))
    ours = pd.DataFrame({"sym": [r["sym"] for r in left], "time": [r["time"] for r in left]})
    theirs = pd.DataFrame(
        {
            "sym": [r["sym"] for r in right],
            "time": [r["time"] for r in right],
            "bid": [math.nan if r["bid"] is None else r["bid"] for r in right],
        }
    )
    kinds = {"sym": "str", "time": "int64"}
    ours, theirs = ours.astype(kinds), theirs.astype({**kinds, "bid": "float64"})
    merged = pd.merge_asof(ours, theirs, on="time", by="sym")
    assert np.array_equal(
        [math.nan if v is None else v for v in found], merged["bid"].to_numpy(), equal_nan=True
    )


@given(left=tables, right=quotes)
def test_aj_takes_several_columns_that_have_to_be_equal(left: list[Row], right: list[Row]) -> None:
    left, right = arranged(left, right, "", parted=False)
    set_tables(left, right, "", parted=False)
    found = python(SESSION.eval("aj[`sym`size`time;t;q]"))
    for number, own in enumerate(left):
        match = latest(own, [r for r in right if r["size"] == own["size"]])
        assert found[number]["bid"] == (match["bid"] if match else None)


@given(left=tables, right=quotes)
def test_aj_by_time_alone_uses_the_whole_table(left: list[Row], right: list[Row]) -> None:
    right = sorted(right, key=lambda r: r["time"])
    set_tables(left, right, "", parted=False)
    found = python(SESSION.eval("exec bid from aj[`time;t;q]"))
    for number, own in enumerate(left):
        before = [r for r in right if r["time"] <= own["time"]]
        assert found[number] == (before[-1]["bid"] if before else None)


WINDOW: dict[str, Callable[[list[float]], float | None]] = {
    "max": lambda values: max(values, default=-math.inf),
    "min": lambda values: min(values, default=math.inf),
    "sum": sum,
    "avg": lambda values: sum(values) / len(values) if values else None,
    "{sum x}": sum,
}


@pytest.mark.parametrize("function", WINDOW)
@pytest.mark.parametrize("verb", ["wj", "wj1"])
@given(
    left=tables, right=quotes, attribute=attributes, parted=st.booleans(),
    before=st.integers(0, 60), after=st.integers(0, 60),
)  # fmt: skip
def test_windows_are_aggregated(
    function: str, verb: str, left: list[Row], right: list[Row], attribute: str, parted: bool,
    before: int, after: int,
) -> None:  # fmt: skip
    left, right = arranged(left, right, attribute, parted=parted)
    set_tables(left, right, attribute, parted=parted)
    SESSION.eval(f"w:(t.time-`second${before};t.time+`second${after})")
    found = python(SESSION.eval(f"{verb}[w;`sym`time;t;(q;({function};`bid))]"))
    for number, own in enumerate(left):
        mine = [r for r in right if r["sym"] == own["sym"]]
        low, high = own["time"] - before, own["time"] + after
        inside = [r for r in mine if low <= r["time"] <= high]
        if verb == "wj":
            earlier = [r for r in mine if r["time"] <= low]
            inside = [*earlier[-1:], *(r for r in mine if low < r["time"] <= high)]
        expected = WINDOW[function]([r["bid"] for r in inside if r["bid"] is not None])
        assert same(found[number]["bid"], expected), number
        assert found[number]["price"] == own["price"]


def first_by(rows: list[Row], key: str) -> dict[Any, Row]:
    """Give the first row of each key."""
    found: dict[Any, Row] = {}
    for r in rows:
        found.setdefault(r[key], r)
    return found


@given(left=tables, right=quotes)
def test_left_and_inner_joins_look_keys_up(left: list[Row], right: list[Row]) -> None:
    set_tables(left, right, "", parted=False)
    by_key = first_by(right, "sym")
    outer = []
    for own in left:
        match = by_key.get(own["sym"])
        mine = {name: own[name] for name in TRADES}
        if match:
            outer.append(
                {**mine, "time": match["time"], "size": match["size"], "bid": match["bid"]}
            )
        else:
            outer.append({**mine, "bid": None})
    assert python(SESSION.eval("t lj 1!q")) == outer
    inner = [r for r, own in zip(outer, left, strict=True) if own["sym"] in by_key]
    assert python(SESSION.eval("t ij 1!q")) == inner
    filled = [
        {**r, "size": own["size"] if r["size"] is None else r["size"]}
        for r, own in zip(outer, left, strict=True)
    ]
    assert python(SESSION.eval("t ljf 1!q")) == filled


@given(left=tables, right=quotes)
def test_plus_join_adds_what_it_finds(left: list[Row], right: list[Row]) -> None:
    set_tables(left, right, "", parted=False)
    found = python(SESSION.eval("t pj 1!select sym,size,bid from q"))
    by_key = first_by(right, "sym")
    for number, own in enumerate(left):
        match = by_key.get(own["sym"], {"size": 0, "bid": 0.0})
        added = match["size"] or 0
        assert found[number]["size"] == (None if own["size"] is None else own["size"] + added)
        assert found[number]["bid"] == (match["bid"] or 0.0)


@given(left=tables, right=quotes)
def test_equi_join_pairs_all_rows_of_a_key(left: list[Row], right: list[Row]) -> None:
    set_tables(left, right, "", parted=False)
    found = python(SESSION.eval("ej[`sym;t;q]"))
    expected = [
        {**{name: one[name] for name in TRADES}, **other}
        for one in left
        for other in right
        if one["sym"] == other["sym"]
    ]
    assert found == expected


@given(left=tables, right=quotes)
def test_union_join_keeps_all_rows_and_columns(left: list[Row], right: list[Row]) -> None:
    set_tables(left, right, "", parted=False)
    upper = [{**{name: r[name] for name in TRADES}, "bid": None} for r in left]
    lower = [{**r, "price": None} for r in right]
    assert python(SESSION.eval("t uj q")) == [*upper, *lower]


def test_keyed_union_changes_rows_and_adds_new_ones() -> None:
    found = ask("([k:1 2]a:10 20;b:1 2) uj ([k:2 3]b:7 8;c:`x`y)")
    assert found == [
        {"k": 1, "a": 10, "b": 1, "c": ""},
        {"k": 2, "a": 20, "b": 7, "c": "x"},
        {"k": 3, "a": None, "b": 8, "c": "y"},
    ]


def test_asof_gives_the_rest_of_the_last_row_before() -> None:
    session = Session()
    session.eval("t:([]s:`a`a`b;time:09:00 09:10 09:00;p:1 2 3)")
    assert python(session.eval("t asof `s`time!(`a;09:05)")) == {"p": 1}
    assert python(session.eval("t asof ([]s:`b`a;time:08:00 10:00)")) == [{"p": None}, {"p": 2}]


def test_a_keyed_left_table_stays_keyed() -> None:
    session = Session()
    session.eval("t:([n:1 2]s:`a`b;time:09:00 09:10); q:([]s:`a`b;time:08:00 08:00;p:1 2)")
    found = session.eval("aj[`s`time;t;q]")
    assert python(found) == python(session.eval("1!([]n:1 2;s:`a`b;time:09:00 09:10;p:1 2)"))
    assert not isinstance(found, Table)


def test_enumerated_symbols_match_plain_ones() -> None:
    session = Session()
    session.eval("sym:`b`a`c; t:([]s:`sym$`a`c`b;time:3#09:05)")
    session.eval("q:([]s:`a`b`zz;time:3#09:00;p:1 2 3)")
    for right in ("q", "update `p#s from q", "update `g#s from q", "update s:`sym?s from q"):
        found = python(session.eval(f"exec p from aj[`s`time;t;{right}]"))
        assert found == [1, None, 2], right
    assert python(session.eval("exec p from t lj 1!delete time from q")) == [1, None, 2]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("aj[`s`time;t;([]s:`a`b)]", "time"),
        ("aj[`s`time;t;([]s:`a`b;time:1 2)]", "type"),
        ("t lj t", "type"),
        ("wj[09:00 09:01;`s`time;t;(t;(max;`p))]", "length"),
        ("t uj 1!t", "type"),
    ],
)
def test_mistakes_are_named(text: str, name: str) -> None:
    session = Session()
    session.eval("t:([]s:`a`b`a;time:09:00 09:01 09:02;p:1 2 3)")
    with pytest.raises(QError) as caught:
        session.eval(text)
    assert caught.value.name == name
