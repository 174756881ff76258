"""Real logs of kdb+ tickerplants are read, whatever their tables."""

from collections.abc import Callable
from pathlib import Path

from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.foreign_log import contents, messages
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.q_codec import encode


def test_a_real_log_has_its_rows(market_data: Callable[[str], Path]) -> None:
    found = contents(market_data("kdb/tplog/stp1_trade20220616122504"))
    assert dict(found.rows) == {"trade": 2409}
    assert found.reason == ""


def test_every_byte_of_a_real_log_is_accounted_for(market_data: Callable[[str], Path]) -> None:
    path = market_data("kdb/tplog/stp1_trade20220616122504")
    raw = path.read_bytes()
    assert (
        LOG_HEADER
        + b"".join(
            encode(q.items(q.symbol(m.function), q.symbol(m.table), m.data)) for m in messages(path)
        )
        == raw
    )


def test_rows_of_all_shapes_are_counted_and_a_torn_end_is_named(tmp_path: Path) -> None:
    columns = q.items(q.symbols(["a", "b"]), q.vector(q.QType.LONG, [1, 2]))
    shapes: list[q.Value] = [
        columns,
        q.items(q.symbol("a"), q.long(1)),
        q.table({"x": q.symbols(["a"] * 3)}),
    ]
    log = tmp_path / "log"
    body = b"".join(encode(q.items(q.symbol("upd"), q.symbol("t"), data)) for data in shapes)
    log.write_bytes(LOG_HEADER + body + encode(columns)[:-3])
    found = contents(log)
    assert (found.messages, found.rows["t"]) == (3, 6)
    assert f"byte {8 + len(body)}" in found.reason
