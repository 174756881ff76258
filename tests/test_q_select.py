"""select, exec, update and delete against plain Python on random tables."""

import math
import statistics
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.q_rows import Row, ask, by_sym, grouped, known, python, same, table, tables
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.session import Session
from tickloop.analytics.q.values import Attribute, Dictionary, Table, Vector

NAMES = ("sym", "time", "price", "size", "flag")

SESSION = Session()


def query(text: str, rows: list[Row], *, parted: bool = False) -> Any:
    SESSION.set("t", table(rows, NAMES, parted="sym" if parted else ""))
    return python(SESSION.eval(text))


def mean(values: list[Any]) -> float | None:
    return statistics.fmean(known(values)) if known(values) else None


def weighted(rows: list[Row]) -> float | None:
    pairs = [
        (r["size"], r["price"]) for r in rows if r["size"] is not None and r["price"] is not None
    ]
    total: int = sum(size for size, _ in pairs)
    product: float = sum(size * price for size, price in pairs)
    if total == 0:
        return None if product == 0 else math.copysign(math.inf, product)
    return product / total


def deviation(values: list[Any]) -> float | None:
    return statistics.pstdev(known(values)) if known(values) else None


AGGREGATES: dict[str, Callable[[list[Row]], Any]] = {
    "count i": len,
    "sum size": lambda rows: sum(known([r["size"] for r in rows])),
    "sum price": lambda rows: sum(known([r["price"] for r in rows])),
    "avg price": lambda rows: mean([r["price"] for r in rows]),
    "avg size": lambda rows: mean([r["size"] for r in rows]),
    "max price": lambda rows: max(known([r["price"] for r in rows]), default=-math.inf),
    "min price": lambda rows: min(known([r["price"] for r in rows]), default=math.inf),
    "max size": lambda rows: max(known([r["size"] for r in rows]), default=-(2**63) + 1),
    "min time": lambda rows: min(r["time"] for r in rows),
    "first price": lambda rows: rows[0]["price"],
    "last size": lambda rows: rows[-1]["size"],
    "last sym": lambda rows: rows[-1]["sym"],
    "dev price": lambda rows: deviation([r["price"] for r in rows]),
    "size wavg price": weighted,
    "sum size*size": lambda rows: sum(r["size"] ** 2 for r in rows if r["size"] is not None),
    "(max time)-min time": lambda rows: max(r["time"] for r in rows) - min(r["time"] for r in rows),
    "max time-first time": lambda rows: max(r["time"] - rows[0]["time"] for r in rows),
    "count distinct time": lambda rows: len({r["time"] for r in rows}),
    "med price": lambda rows: (
        statistics.median(known([r["price"] for r in rows]))
        if known([r["price"] for r in rows])
        else None
    ),
    "med time": lambda rows: statistics.median([r["time"] for r in rows]),
    "{count x}[price]": len,
    "time": lambda rows: [r["time"] for r in rows],
    "time-min time": lambda rows: [r["time"] - min(o["time"] for o in rows) for r in rows],
    "prev time": lambda rows: [None, *(r["time"] for r in rows[:-1])],
    "any flag": lambda rows: any(r["flag"] for r in rows),
}


@pytest.mark.parametrize("text", AGGREGATES)
@given(rows=tables, parted=st.booleans())
def test_results_by_one_key_are_those_of_each_group(
    text: str, rows: list[Row], parted: bool
) -> None:
    rows = by_sym(rows) if parted else rows
    found = query(f"select r:{text} by k:sym from t", rows, parted=parted)
    expected = [
        {"k": key[0], "r": AGGREGATES[text](group)} for key, group in grouped(rows, ["sym"]).items()
    ]
    assert same(found, expected)


@given(rows=tables, parted=st.booleans(), width=st.integers(1, 700))
def test_buckets_of_time_by_symbol(rows: list[Row], parted: bool, width: int) -> None:
    rows = by_sym(rows) if parted else rows
    text = f"select n:count i,o:first time,v:size wavg price by sym,{width} xbar time from t"
    found = query(text, rows, parted=parted)
    cut = [{**row, "time": row["time"] // width * width, "own": row["time"]} for row in rows]
    expected = [
        {"sym": k[0], "time": k[1], "n": len(g), "o": g[0]["own"], "v": weighted(g)}
        for k, g in grouped(cut, ["sym", "time"]).items()
    ]
    assert same(found, expected)


@given(rows=tables, parted=st.booleans(), width=st.integers(1, 7))
def test_minutes_by_symbol(rows: list[Row], parted: bool, width: int) -> None:
    rows = by_sym(rows) if parted else rows
    found = query(f"select n:count i by sym,{width} xbar time.minute from t", rows, parted=parted)
    cut = [{**row, "minute": row["time"] // 60 // width * width} for row in rows]
    expected = [
        {"sym": k[0], "minute": k[1], "n": len(g)}
        for k, g in grouped(cut, ["sym", "minute"]).items()
    ]
    assert found == expected


@given(rows=tables, parted=st.booleans())
def test_rows_of_a_parted_table_that_is_not_in_time_order_are_grouped_all_the_same(
    rows: list[Row], parted: bool
) -> None:
    rows = sorted(rows, key=lambda row: row["sym"]) if parted else rows
    found = query("select n:count i by sym,60 xbar time from t", rows, parted=parted)
    cut = [{**row, "time": row["time"] // 60 * 60} for row in rows]
    groups = grouped(cut, ["sym", "time"])
    assert found == [{"sym": k[0], "time": k[1], "n": len(g)} for k, g in groups.items()]


@given(rows=tables)
def test_keys_of_floats_sort_null_first(rows: list[Row]) -> None:
    found = query("select n:count i by price from t", rows)
    counts: dict[float | None, int] = {}
    for row in rows:
        counts[row["price"]] = counts.get(row["price"], 0) + 1
    order = sorted(counts, key=lambda price: (price is not None, price or 0))
    assert found == [{"price": price, "n": counts[price]} for price in order]


@given(rows=tables, parted=st.booleans(), name=st.sampled_from(["a", "dd", "", "zz"]))
def test_filters_apply_one_after_the_other(rows: list[Row], parted: bool, name: str) -> None:
    rows = by_sym(rows) if parted else rows
    found = query(f"select from t where sym=`{name},time>100,price=max price", rows, parted=parted)
    left = [r for r in rows if r["sym"] == name and r["time"] > 100]
    top = max(known([r["price"] for r in left]), default=-math.inf)
    assert found == [r for r in left if r["price"] == top]


@given(rows=tables, names=st.lists(st.sampled_from(["a", "b", "", "zz"]), min_size=2, max_size=3))
@pytest.mark.parametrize("attribute", ["p", "g", ""])
def test_membership_finds_rows_in_their_order(
    attribute: str, rows: list[Row], names: list[str]
) -> None:
    rows = by_sym(rows) if attribute == "p" else rows
    SESSION.set("t", table(rows, NAMES))
    if attribute:
        SESSION.eval(f"update `{attribute}#sym from `t")
    listed = "".join(f"`{name}" for name in names)
    found = python(SESSION.eval(f"select from t where sym in {listed}"))
    assert found == [r for r in rows if r["sym"] in names]


@given(rows=tables, low=st.integers(0, 600), span=st.integers(0, 200))
def test_ranges_of_a_sorted_column_are_found_by_bisection(
    rows: list[Row], low: int, span: int
) -> None:
    rows = sorted(rows, key=lambda row: row["time"])
    SESSION.set("t", table(rows, NAMES))
    SESSION.eval("update `s#time from `t")
    tests: dict[str, Callable[[int], bool]] = {
        f"time within `second${low} {low + span}": lambda t: low <= t <= low + span,
        f"time>`second${low}": lambda t: t > low,
        f"time>=`second${low}": lambda t: t >= low,
        f"time<`second${low}": lambda t: t < low,
        f"time<=`second${low}": lambda t: t <= low,
        f"time=`second${low}": lambda t: t == low,
    }
    for text, keep in tests.items():
        found = python(SESSION.eval(f"select from t where {text}"))
        assert found == [r for r in rows if keep(r["time"])], text


@given(rows=tables)
def test_fby_gives_every_row_the_aggregate_of_its_group(rows: list[Row]) -> None:
    found = query("select from t where time=(max;time) fby sym", rows)
    latest = {key[0]: max(r["time"] for r in g) for key, g in grouped(rows, ["sym"]).items()}
    assert found == [r for r in rows if r["time"] == latest[r["sym"]]]


@given(rows=tables, parted=st.booleans())
def test_updates_by_group_keep_the_order_of_rows(rows: list[Row], parted: bool) -> None:
    rows = by_sym(rows) if parted else rows
    text = "update s:sums time,m:max time,p:prev time,n:next time,d:deltas time by sym from t"
    found = query(text, rows, parted=parted)
    sums: dict[str, int] = {}
    before: dict[str, int | None] = {}
    expected = []
    for row in rows:
        name = row["sym"]
        sums[name] = sums.get(name, 0) + row["time"]
        top = max(r["time"] for r in rows if r["sym"] == name)
        last = before.get(name)
        delta = row["time"] - (last or 0)
        expected.append({**row, "s": sums[name], "m": top, "p": last, "n": None, "d": delta})
        before[name] = row["time"]
    after: dict[str, int] = {}
    for row in reversed(expected):
        row["n"] = after.get(row["sym"])
        after[row["sym"]] = row["time"]
    assert found == expected


@given(rows=tables)
def test_running_functions_of_floats_leave_nulls_out_in_sums_only(rows: list[Row]) -> None:
    text = "update s:sums price,r:ratios size,c:differ flag by sym from t"
    found = query(text, rows)
    for number, row in enumerate(rows):
        mine = [r for r in rows[: number + 1] if r["sym"] == row["sym"]]
        assert found[number]["s"] == sum(known([r["price"] for r in mine]))
        assert found[number]["c"] == (len(mine) == 1 or mine[-2]["flag"] != row["flag"])
        if len(mine) == 1:
            assert found[number]["r"] == row["size"]


@given(rows=tables)
def test_updates_of_some_rows_leave_nulls_in_new_columns(rows: list[Row]) -> None:
    found = query("update price:2*price,n:size from t where flag", rows)
    expected = [
        {
            **r,
            "price": 2 * r["price"] if r["flag"] and r["price"] is not None else r["price"],
            "n": r["size"] if r["flag"] else None,
        }
        for r in rows
    ]
    assert found == expected


@given(rows=tables)
def test_deletes_take_rows_or_columns(rows: list[Row]) -> None:
    assert query("delete from t where flag", rows) == [r for r in rows if not r["flag"]]
    without = [{k: v for k, v in r.items() if k not in ("flag", "size")} for r in rows]
    assert query("delete flag,size from t", rows) == without


@given(rows=tables)
def test_distinct_rows_come_in_the_order_of_their_first(rows: list[Row]) -> None:
    found = query("select distinct sym,flag from t", rows)
    expected = list(dict.fromkeys((r["sym"], r["flag"]) for r in rows))
    assert [(r["sym"], r["flag"]) for r in found] == expected


@given(rows=tables, count=st.integers(-50, 50))
def test_a_limit_takes_the_first_or_the_last_rows(rows: list[Row], count: int) -> None:
    found = query(f"select[{count}] from t", rows)
    assert found == (rows[:count] if count >= 0 else rows[count:])
    ordered = query(f"select[{abs(count)};>time] from t", rows)
    assert ordered == sorted(rows, key=lambda r: -r["time"])[: abs(count)]


@given(rows=tables)
def test_exec_gives_lists_and_dictionaries(rows: list[Row]) -> None:
    assert query("exec time from t", rows) == [r["time"] for r in rows]
    by = {key[0]: [r["time"] for r in g] for key, g in grouped(rows, ["sym"]).items()}
    assert query("exec time by sym from t", rows) == by
    assert query("exec sum time by sym from t", rows) == {k: sum(v) for k, v in by.items()}
    both = query("exec time,flag from t", rows)
    assert both == {"time": [r["time"] for r in rows], "flag": [r["flag"] for r in rows]}


def test_a_single_key_is_marked_sorted() -> None:
    SESSION.set("t", table([], NAMES))
    SESSION.eval("`t insert (`b`a;00:00:01 00:00:02;1 2f;1 2;01b)")
    found = SESSION.eval("select last price by sym from t")
    assert isinstance(found, Dictionary)
    assert isinstance(found.keys, Table)
    key = found.keys.columns[0]
    assert isinstance(key, Vector)
    assert key.attribute is Attribute.SORTED
    assert python(key) == ["a", "b"]


def test_foreign_keys_are_followed_in_columns_filters_and_keys() -> None:
    session = Session()
    session.eval("c:([id:`x`y`z]city:`rome`oslo`rome)")
    session.eval("t:([]id:`c$`x`y`z`x;n:1 2 3 4)")
    assert python(session.eval("exec n from t where id.city=`rome")) == [1, 3, 4]
    assert python(session.eval("exec sum n by id.city from t")) == {"oslo": 2, "rome": 8}
    assert python(session.eval("exec id.city from t")) == ["rome", "oslo", "rome", "rome"]


def test_locals_of_a_function_stand_behind_columns_and_before_globals() -> None:
    session = Session()
    session.eval("t:([]a:1 2 3)")
    session.eval("a:7; b:1; f:{[b;x] exec a from t where a>b}")
    assert python(session.eval("f[2;0]")) == [3]


def test_functional_forms_take_parse_trees() -> None:
    session = Session()
    session.eval("t:([]s:`a`b`a;n:1 2 3)")
    assert python(session.eval("?[t;enlist(=;`s;enlist`a);0b;(enlist`m)!enlist(sum;`n)]")) == [
        {"m": 4}
    ]
    assert python(session.eval("?[t;();`s;(max;`n)]")) == {"a": 3, "b": 2}
    assert python(session.eval("?[t;0 2;(sum;`n)]")) == 4
    assert python(session.eval("![t;enlist(>;`n;1);0b;`symbol$()]")) == [{"s": "a", "n": 1}]
    session.eval("![`t;();0b;(enlist`k)!enlist(+;`n;`n)]")
    assert python(session.eval("exec k from t")) == [2, 4, 6]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("select nothing from t", "nothing"),
        ("select sum n by n from t", "dup names for cols/groups n"),
        ("update n:1.5 from t where n=1", "type"),
        ("update k:1 2 from t", "length"),
        ("select from t where s", "type"),
        ("select from t where n", "index"),
        ("select n by 1 2 from t", "length"),
        ("delete nothing from t", "nothing"),
        ("select from 5", "type"),
    ],
)
def test_mistakes_are_named(text: str, name: str) -> None:
    session = Session()
    session.eval("t:([]s:`a`b`a;n:1 2 3)")
    with pytest.raises(QError) as caught:
        session.eval(text)
    assert caught.value.name == name


def test_names_are_deleted_from_namespaces() -> None:
    session = Session()
    session.eval("a:1; b:2; .n.a:3; .n.b:4; delete a from `.; delete b from `.n")
    assert python(session.eval("b")) == 2
    assert python(session.eval(".n.a")) == 3
    for name in ("a", ".n.b"):
        with pytest.raises(QError, match=name):
            session.eval(name)


def test_values_of_an_empty_table_keep_their_types() -> None:
    assert ask("meta select sum n,first s by k from ([]k:0#`;n:0#0i;s:0#0D)") == [
        {"c": "k", "t": 115, "f": "", "a": "s"},
        {"c": "n", "t": 105, "f": "", "a": ""},
        {"c": "s", "t": 110, "f": "", "a": ""},
    ]
