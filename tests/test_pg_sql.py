"""QuestDB's forms, macros and tokens: pandas says what they have to give."""

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pg_wire import Served, data, opener
from tickloop.analytics.pg.commands import command_of
from tickloop.analytics.pg.copying import copy_of
from tickloop.analytics.pg.failures import PgError
from tickloop.analytics.pg.settings import seconds
from tickloop.analytics.pg.tokens import Kind, literal, split, string_value, tokens_of

Psycopg = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Psycopg]:
    made = opener(data(tmp_path_factory.mktemp("data")))
    server = Served(made)
    with psycopg.connect(server.dsn(), autocommit=True) as found:
        yield found
    server.close()
    made.close()


def frame(connection: Psycopg, text: str) -> pd.DataFrame:
    cursor = connection.execute(text)
    names = [column.name for column in cursor.description or ()]
    return pd.DataFrame(cursor.fetchall(), columns=names)


@pytest.fixture(scope="module")
def trades(connection: Psycopg) -> pd.DataFrame:
    found = frame(connection, "SELECT time, sym, price, seq FROM trade ORDER BY seq")
    return found.assign(price=found["price"].astype("float64"))


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    def plain(table: pd.DataFrame) -> list[tuple[object, ...]]:
        clean = table.astype(object).where(table.notna(), None)
        return [tuple(row) for row in clean.itertuples(index=False)]

    assert list(found.columns) == list(expected.columns)
    assert plain(found) == plain(expected)


@pytest.mark.parametrize(("span", "rule"), [("30m", "30min"), ("1h", "1h"), ("90s", "90s"), ("1d", "1D"), ("45m", "45min")])  # noqa: E501  # fmt: skip
def test_sample_by_groups_by_spans_of_the_calendar(
    connection: Psycopg, trades: pd.DataFrame, span: str, rule: str
) -> None:
    found = frame(connection, f"SELECT time, avg(price) AS p, count() FROM trade SAMPLE BY {span}")
    grouped = trades.groupby(trades["time"].dt.floor(rule))
    expected = grouped.agg(p=("price", "mean"), count=("seq", "size")).reset_index()
    same(found, expected)


def test_sample_by_groups_by_other_columns_too(connection: Psycopg, trades: pd.DataFrame) -> None:
    text = "SELECT sym, time t, max(price) high FROM trade WHERE sym IN ('AAA', 'BBB') SAMPLE BY 1h ORDER BY t, sym"  # noqa: E501  # fmt: skip
    kept = trades[trades["sym"].isin(["AAA", "BBB"])]
    expected = (
        kept.groupby([kept["time"].dt.floor("1h").rename("t"), "sym"])
        .agg(high=("price", "max"))
        .reset_index()[["sym", "t", "high"]]
    )
    same(frame(connection, text), expected)


def test_sample_by_fills_what_is_missing(connection: Psycopg, trades: pd.DataFrame) -> None:
    by_minute = trades.set_index("time")["price"].resample("1min")
    mean, count = by_minute.mean(), by_minute.size()
    some = count > 0
    cases = {
        "NULL": mean, "PREV": mean.where(some).ffill(), "7.5": mean.fillna(7.5),
        "LINEAR": mean.interpolate("linear", limit_area="inside"), "NONE": mean[some],
    }  # fmt: skip
    for fill, expected in cases.items():
        found = frame(connection, f"SELECT time, avg(price) p FROM trade SAMPLE BY 1m FILL({fill})")
        assert found["p"].astype("float64").tolist() == pytest.approx(
            expected.tolist(), nan_ok=True
        )
        assert found["time"].tolist() == expected.index.tolist()


def test_sample_by_fills_each_series_and_each_aggregate_its_own_way(connection: Psycopg) -> None:
    text = "SELECT time, sym, avg(price) p, count() n FROM trade WHERE sym IN ('AAA', 'CCC') SAMPLE BY 4m FILL(PREV, 0)"  # noqa: E501  # fmt: skip
    found = frame(connection, text)
    assert found.groupby("sym").size().nunique() == 1
    for _, one in found.groupby("sym"):
        known = one["p"].astype("float64")
        assert known.equals(known.ffill())
        assert (one["n"] == 0).any()


def test_sample_by_follows_the_calendar_of_a_zone(
    connection: Psycopg, trades: pd.DataFrame
) -> None:
    text = "SELECT time, count() FROM trade SAMPLE BY 1d ALIGN TO CALENDAR TIME ZONE 'America/New_York'"  # noqa: E501  # fmt: skip
    local = trades["time"].dt.tz_convert("America/New_York").dt.floor("1D").dt.tz_convert("UTC")
    expected = trades.groupby(local).agg(count=("seq", "size")).reset_index()
    same(frame(connection, text), expected)


def test_latest_on_gives_the_last_row_of_each_symbol(
    connection: Psycopg, trades: pd.DataFrame
) -> None:
    expected = (
        trades[trades["price"] < 50].sort_values("seq").groupby("sym", dropna=False).tail(1)
    )[["sym", "price", "seq"]].sort_values("seq")
    for text in (
        "SELECT sym, price, seq FROM trade WHERE price < 50 LATEST ON time PARTITION BY sym ORDER BY seq",  # noqa: E501
        "SELECT sym, price, seq FROM (SELECT * FROM trade WHERE price < 50 LATEST ON time PARTITION BY sym) ORDER BY seq",  # noqa: E501
        "SELECT sym, price, seq FROM trade WHERE price < 50 LATEST BY sym ORDER BY seq",
    ):
        same(frame(connection, text), expected)
    bare = frame(connection, "SELECT count(*) n FROM (trade LATEST ON time PARTITION BY sym)")
    assert bare["n"].tolist() == [4]


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM trade SAMPLE BY 1m", "SELECT time FROM trade SAMPLE BY", "SAMPLE BY 1m",
     "SELECT time FROM trade SAMPLE BY 5x", "SELECT 1 FROM trade LATEST ON time",
     "SELECT time, avg(price) FROM trade SAMPLE BY 1m FILL(WHAT)",
     "SELECT time, avg(price) FROM trade SAMPLE BY 1m ALIGN TO FIRST OBSERVATION"],
)  # fmt: skip
def test_a_form_that_is_not_whole_is_refused(connection: Psycopg, text: str) -> None:
    with pytest.raises((psycopg.errors.SyntaxError, psycopg.errors.FeatureNotSupported)):
        connection.execute(text)


def test_market_macros_compute_what_they_say(connection: Psycopg) -> None:
    rows = (
        "(VALUES (1, 10.0, 5), (2, 12.0, 15), (3, NULL, 7), (4, 11.0, NULL)) t(time, price, size)"
    )
    ((value,),) = connection.execute(f"SELECT vwap(price, size) FROM {rows}").fetchall()
    assert value == (10.0 * 5 + 12.0 * 15) / 20
    bar = connection.execute(f"SELECT ohlc(price, time) FROM {rows} WHERE price IS NOT NULL").fetchone()  # noqa: E501  # fmt: skip
    assert bar == ({"open": 10.0, "high": 12.0, "low": 10.0, "close": 11.0},)
    assert connection.execute("SELECT mid(10.0, 11.0)").fetchone() == (10.5,)
    assert connection.execute("SELECT vwap(price, size) FROM trade").fetchone() == (None,)


def test_instants_keep_their_nanoseconds_beside_the_microseconds(connection: Psycopg) -> None:
    found = frame(connection, "SELECT time, time_ns FROM trade ORDER BY seq")
    assert found["time"].astype("int64").tolist() == [ns // 1000 for ns in found["time_ns"]]


SQL = st.lists(
    st.sampled_from(
        ["select", "'it''s'", '"a ""b"', "$tag$ ; ' $tag$", "$1", "12.5e-3", ";", "(", ")", "[",
         "]", "E'\\'x'", "-- c\n", "/* a /* b */ ; */", "::", "->>", "name", "ü", " ", "\n", "<=",
         "$$"]
    ),
    max_size=12,
).map(" ".join)  # fmt: skip


@given(text=st.one_of(SQL, st.text(max_size=40)))
def test_tokens_leave_out_nothing_but_space_and_comments(text: str) -> None:
    try:
        tokens = tokens_of(text)
    except PgError as error:
        assert "unterminated" in error.message
        return
    at = 0
    for token in tokens:
        assert text[token.start : token.end] == token.text
        assert re.fullmatch(r"(\s|--[^\n]*|/\*.*\*/)*", text[at : token.start], re.DOTALL)
        at = token.end
    assert [one.strip() for one in split(text)] == [
        one.strip() for part in split(text) for one in split(part)
    ]


@given(text=st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")))
def test_a_spelled_string_is_one_token_of_that_value(text: str) -> None:
    (token,) = tokens_of(literal(text))
    assert token.kind is Kind.TEXT
    assert string_value(token) == text


@given(text=st.one_of(SQL, st.text(max_size=30)), first=st.sampled_from(["set", "begin", "copy", "fetch", "declare", "show", "rollback", "close", "discard", "deallocate", "release"]))  # noqa: E501  # fmt: skip
def test_any_command_is_read_or_refused_in_words(text: str, first: str) -> None:
    try:
        command_of(f"{first} {text}")
        copy_of(f"{first} {text}")
    except PgError as error:
        assert error.message


@pytest.mark.parametrize(("text", "expected"), [("500", 0.5), ("2s", 2.0), ("1 min", 60.0), ("0", 0.0), ("250us", 0.00025)])  # noqa: E501  # fmt: skip
def test_spans_of_time_have_units(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)
