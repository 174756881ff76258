"""What the plant understands: calls and typed text to requests; nothing else is guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickloop.tickerplant.q_probes import answer_probe
from tickloop.tickerplant.q_requests import (
    Cols,
    Count,
    End,
    Meta,
    Name,
    RdbCall,
    Request,
    Sub,
    Tables,
    Upd,
    recognise,
)
from tickloop.tickerplant.q_values import (
    IDENTITY,
    Atom,
    Dictionary,
    QType,
    Value,
    atom,
    boolean,
    chars,
    items,
    long,
    symbol,
    symbols,
)

TEXTS: dict[str, Request] = {
    "tables[]": Tables(),
    "tables`": Tables(),
    "tables `.": Tables(),
    "tables[`.]": Tables(),
    "  tables [ ] ": Tables(),
    "tables": Tables(),
    "cols trade": Cols("trade"),
    "cols`trade": Cols("trade"),
    "cols `trade": Cols("trade"),
    "cols[trade]": Cols("trade"),
    "meta[`trade]": Meta("trade"),
    "meta  my_table": Meta("my_table"),
    "count trade": Count("trade"),
    "trade\n": Name("trade"),
    ".u.i": Name(".u.i"),
    ".u.L": Name(".u.L"),
    "metatrade": Name("metatrade"),
    ".u.sub[`;`]": Sub((), ()),
    ".u.sub[`trade;`]": Sub(("trade",), ()),
    ".u.sub[ `trade ; `AAPL`MSFT ]": Sub(("trade",), ("AAPL", "MSFT")),
    ".u.sub[`trade`quote;`BRK.B]": Sub(("trade", "quote"), ("BRK.B",)),
    "(.u.sub[`;`];`.u `i`L)": RdbCall(Sub((), ())),
    "(.u.sub[`;`];.u `i`L)": RdbCall(Sub((), ())),
    "(.u.sub[`trade;`];`.u`i`L)": RdbCall(Sub(("trade",), ())),
    ".u.end[2024.01.02]": End(8767),
    ".u.end 2024.01.02": End(8767),
}


@pytest.mark.parametrize("text", TEXTS)
def test_typed_text_is_recognised(text: str) -> None:
    assert recognise(chars(text)) == TEXTS[text]


OPTIONS = Dictionary(symbols(["from"]), items(long(5)))
ROW = items(symbol("AAPL"), long(3))
CALLS: list[tuple[Value, Request]] = [
    (items(symbol(".u.sub"), symbol("trade"), symbol("")), Sub(("trade",), ())),
    (items(chars(".u.sub"), symbol(""), symbols(["A", "B"])), Sub((), ("A", "B"))),
    (
        items(chars(".u.sub"), symbol("t"), items(symbol("A"), symbol("B"))),
        Sub(("t",), ("A", "B")),
    ),
    (items(symbol(".u.sub"), symbol("t"), symbol(""), OPTIONS), Sub(("t",), (), OPTIONS)),
    (items(chars(".u.upd"), symbol("trade"), ROW), Upd("trade", ROW)),
    (items(symbol("upd"), symbol("trade"), ROW), Upd("trade", ROW)),
    (items(symbol(".u.end"), atom(QType.DATE, 8767)), End(8767)),
    (items(chars("tables"), IDENTITY), Tables()),
    (items(chars("cols"), symbol("trade")), Cols("trade")),
    (items(symbol("meta"), symbol("trade")), Meta("trade")),
    (items(symbol("count"), symbol("trade")), Count("trade")),
    (items(chars("get"), symbol("trade")), Name("trade")),
    (symbol("trade"), Name("trade")),
    (Atom(QType.CHAR, ord("t")), Name("t")),
]


@pytest.mark.parametrize(("call", "request_"), CALLS)
def test_calls_are_recognised(call: Value, request_: Request) -> None:
    assert recognise(call) == request_


@pytest.mark.parametrize(
    "value",
    [
        chars("select from trade"),
        chars('cols trade;system"ls"'),
        chars("1+1"),
        chars(""),
        chars(".u.end[2024.13.40]"),
        chars(".u.sub[`trade]"),
        chars("trade quote"),
        symbol(""),
        long(1),
        items(),
        items(chars("{x+y}"), long(1), long(2)),
        items(symbol(".u.upd"), long(1), ROW),
        items(symbol(".u.upd"), symbol("trade")),
        items(symbol(".u.sub"), long(1), symbol("")),
        items(symbol(".u.sub"), symbol("t"), symbol(""), long(1)),
        items(symbol("cols"), symbols(["a", "b"])),
        items(symbol(".u.end"), long(3)),
        items(long(1), symbol("trade")),
    ],
)
def test_anything_else_is_not_guessed(value: Value) -> None:
    assert recognise(value) is None


@given(st.text(max_size=60))
def test_any_text_is_recognised_or_not_without_failing(text: str) -> None:
    recognise(chars(text.encode("utf-8", "replace")))


MARKER_PROBE = (
    'k){x:. x;$[99h<@x;:`$"_pykx_fn_marker";99h~@x;if[` in!x;if[(::)~x`;:`$"_pykx_ctx_marker"]]]x}'
)


def test_probes_are_answered_as_a_q_process_would() -> None:
    assert answer_probe(items(chars(MARKER_PROBE), symbol(".q"))) == symbol("_pykx_ctx_marker")
    assert answer_probe(items(chars(MARKER_PROBE), symbol(".u.upd"))) == symbol("_pykx_fn_marker")
    assert answer_probe(chars("@[{2<count .s};(::);{0b}]")) == boolean(False)
    names = answer_probe(items(chars("key"), symbol(".u")))
    assert names == symbols(["sub", "upd", "end", "i", "j", "L", "d"])


@pytest.mark.parametrize(
    "value",
    [
        chars("tables[]"),
        items(chars(MARKER_PROBE), symbol(".unknown")),
        items(chars("key"), symbol("trade")),
        items(symbol(".u.sub"), symbol("trade")),
        items(chars("key")),
        long(1),
    ],
)
def test_other_requests_are_no_probes(value: Value) -> None:
    assert answer_probe(value) is None
