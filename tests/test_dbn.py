"""DBN files against Databento's own decoder, whose record objects are the oracle."""

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import databento_dbn as vendor
import numpy as np
import pytest

from tests.conftest import DATA
from tests.dbn_records import (
    ESH4,
    LIVE,
    MBP_1,
    UNDEF_STAMP,
    Data,
    SlowBook,
    changed_quotes,
    characters,
    decoded,
    listed,
    price,
    side,
    stamp,
    unpacked,
)
from tests.feed_rows import Columns, new_context, rows_of, same_rows
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.ingest.dbn import DbnFile
from tickloop.ingest.feed import CutRule, FeedContext

SAMPLES = sorted(str(path.relative_to(DATA)) for path in (DATA / "dbn").rglob("*.dbn*"))


def trades_of(records: list[Any]) -> list[tuple[Any, ...]]:
    return [
        (stamp(record.ts_event), price(record.price), record.size, side(record))
        for record in records
        if str(getattr(record, "action", "")) == "T"
    ]


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_file_is_read_to_its_end(market_data: Data, name: str) -> None:
    path = market_data(name)
    feed = DbnFile(path, new_context())
    rows = rows_of(feed)
    records = decoded(unpacked(path))
    assert feed.health.damage == []
    assert feed.messages == len(records)
    if "live" not in name:
        trade = rows.get("trade", {"price": np.empty(0)})
        found = listed(trade, "venue_time", "price", "size", "side") if len(trade) > 1 else []
        assert found == trades_of(records)
    skipped = sum(feed.health.counts[name] for name in feed.health.counts if "skipped" in name)
    assert skipped == sum(isinstance(r, (vendor.OHLCVMsg, *STATISTICS)) for r in records)


STATISTICS = (vendor.StatMsg, vendor.StatMsgV1)


def test_an_order_by_order_session_makes_the_known_book(market_data: Data) -> None:
    path, context = market_data(ESH4), new_context()
    feed = DbnFile(path, context)
    rows = rows_of(feed)
    records = decoded(unpacked(path))
    actions = Counter(str(record.action) for record in records)
    assert actions == {"A": 29_216, "C": 17_999, "M": 12_233, "T": 2_973, "F": 6_371}
    assert feed.messages == 68_792
    # T rows are trades; the fills and cancels that follow a trade print no volume again.
    assert len(rows["trade"]["size"]) == actions["T"]
    assert Counter(characters(rows["book"]["action"])) == {
        "A": actions["A"], "X": actions["C"], "M": actions["M"], "F": actions["F"],
    }  # fmt: skip
    assert "unknown_order" not in feed.health.counts
    assert feed.books.resting_orders == 11_217
    esh4 = context.symbols.id("ESH4")
    bid, _, ask, _ = feed.books.best(esh4)
    assert (bid, ask) == (4_810_000_000_000, 4_810_250_000_000)


def test_quotes_of_an_order_by_order_session_are_a_slow_books(market_data: Data) -> None:
    path = market_data(ESH4)
    quotes = listed(rows_of(DbnFile(path, new_context()))["quote"], "bid", "ask", "bsize", "asize")
    book, expected = SlowBook(), [(NULL_LONG,) * 4]
    for record in decoded(unpacked(path)):
        book.apply(record)
        if record.flags & vendor.F_LAST and (best := book.best()) != expected[-1]:
            expected.append(best)
    assert book.unknown == 0
    assert len(book.orders) == 11_217
    assert quotes == expected[1:]


def test_the_book_is_crossed_in_the_pre_open_only(market_data: Data) -> None:
    quotes = rows_of(DbnFile(market_data(ESH4), new_context()))["quote"]
    crossed = [
        datetime.fromtimestamp((time + EPOCH_UNIX_NS) // 10**9, tz=UTC)
        for time, bid, ask in listed(quotes, "venue_time", "bid", "ask")
        if bid > ask != NULL_LONG
    ]
    assert crossed
    assert min(crossed) >= datetime(2023, 12, 25, 22, 39, tzinfo=UTC)
    assert max(crossed) <= datetime(2023, 12, 25, 23, 0, 0, tzinfo=UTC)


def test_the_feed_clock_is_the_capture_stamp(market_data: Data) -> None:
    path = market_data(ESH4)
    book = rows_of(DbnFile(path, new_context()))["book"]
    records = [record for record in decoded(unpacked(path)) if str(record.action) != "T"]
    assert book["time"].tolist() == [stamp(record.ts_recv) for record in records]
    assert book["venue_time"].tolist() == [stamp(record.ts_event) for record in records]


@pytest.mark.parametrize("name", [MBP_1, "dbn/databento-python/EQUS.MINI/test_data.mbp-1.dbn.zst"])
def test_best_price_files_make_quotes_and_trades(market_data: Data, name: str) -> None:
    path = market_data(name)
    rows, records = rows_of(DbnFile(path, new_context())), decoded(unpacked(path))
    quotes = listed(rows["quote"], "bid", "ask", "bsize", "asize")
    assert quotes == list(changed_quotes(records))


def test_trades_with_the_best_price_put_the_quote_first(market_data: Data) -> None:
    path = market_data("dbn/databento-python/GLBX.MDP3/test_data.tbbo.dbn.zst")
    rows, records = rows_of(DbnFile(path, new_context())), decoded(unpacked(path))
    quotes = [level for record in records for level in record.levels]
    assert listed(rows["quote"], "bid", "ask") == [(level.bid_px, level.ask_px) for level in quotes]
    assert (rows["quote"]["place"] + 1 == rows["trade"]["place"]).all()


@pytest.mark.parametrize("dataset", ["GLBX.MDP3", "XNAS.ITCH"])
@pytest.mark.parametrize("shown", [3, 10])
def test_ten_level_files_keep_a_readers_best_levels_right(
    market_data: Data, dataset: str, shown: int
) -> None:
    path = market_data(f"dbn/databento-python/{dataset}/test_data.mbp-10.dbn.zst")
    depth = rows_of(DbnFile(path, new_context(depth_levels=shown)))["depth"]
    rows = listed(depth, "venue_time", "side", "price", "size", "orders")
    held: dict[str, dict[int, tuple[int, int]]] = {"B": {}, "S": {}}
    for record in decoded(unpacked(path)):
        for _, of, at, size, orders in (
            row for row in rows if row[0] == record.ts_event - EPOCH_UNIX_NS
        ):
            held[of].pop(at, None)
            if size:
                held[of][at] = (size, orders)
        bids = [(b.bid_px, (b.bid_sz, b.bid_ct)) for b in record.levels]
        asks = [(a.ask_px, (a.ask_sz, a.ask_ct)) for a in record.levels]
        for of, levels in (("B", bids), ("S", asks)):
            best = sorted(held[of].items(), reverse=of == "B")[:shown]
            assert best == [level for level in levels[:shown] if level[0] != vendor.UNDEF_PRICE]
            held[of] = dict(best)


@pytest.mark.parametrize("version", ["", ".v1", ".v2", ".v3"])
def test_definitions_of_every_version_make_instrument_rows(market_data: Data, version: str) -> None:
    name = f"dbn/dbn/test_data.definition{version}.dbn{'.zst' if version else ''}"
    path, context = market_data(name), new_context()
    check_definitions(path, context)
    assert context.instruments.declared(context.symbols.id("MSFT")) == (-9, 0)


@pytest.mark.parametrize(
    "name",
    [
        "dbn/nautilus/options_definition.dbn.zst",
        "dbn/nautilus/definition-glbx-es-futspread.dbn.zst",
        "dbn/databento-python/OPRA.PILLAR/test_data.definition.dbn.zst",
        "dbn/dbn/multi-frame.definition.v1.dbn.frag.zst",
        "dbn/dbn/test_data.definition.v3.dbn.frag",
    ],
)
def test_definitions_say_what_the_instrument_is(market_data: Data, name: str) -> None:
    check_definitions(market_data(name), new_context())


KINDS = {"K": "equity", "F": "future", "C": "option", "P": "option", "S": "future_spread"}


def check_definitions(path: Path, context: FeedContext) -> None:
    instrument = rows_of(DbnFile(path, context))["instrument"]
    records = decoded(unpacked(path))
    assert len(instrument["time"]) == len(records)
    for row, record in enumerate(records):
        names = {
            name: context.symbols.name(int(instrument[name][row]))
            for name in ("sym", "kind", "currency", "underlying")
        }
        assert names == {
            "sym": record.raw_symbol,
            "kind": KINDS[str(record.instrument_class)],
            "currency": record.currency,
            "underlying": record.underlying,
        }
        check_terms(instrument, row, record)


def check_terms(instrument: Columns, row: int, record: Any) -> None:
    strike, tick = instrument["strike"][row], instrument["tick"][row]
    defined = record.strike_price != vendor.UNDEF_PRICE
    assert strike == record.strike_price / 1e9 if defined else np.isnan(strike)
    defined = record.min_price_increment != vendor.UNDEF_PRICE
    assert tick == record.min_price_increment / 1e9 if defined else np.isnan(tick)
    if record.expiration != UNDEF_STAMP:
        expiry = datetime.fromtimestamp(record.expiration // 10**9, tz=UTC).date()
        assert instrument["expiry"][row] == (expiry - date(2000, 1, 1)).days
    put_call = chr(instrument["put_call"][row])
    kind = str(record.instrument_class)
    assert put_call == (kind if kind in "CP" else " ")


def test_status_records_name_state_and_reason(market_data: Data) -> None:
    path, context = (
        market_data("dbn/databento-python/GLBX.MDP3/test_data.status.dbn.zst"),
        new_context(),
    )
    status = rows_of(DbnFile(path, context))["status"]
    names = [
        tuple(context.symbols.name(value) for value in row)
        for row in listed(status, "state", "reason", "ex")
    ]
    assert names == [
        ("trading", "scheduled", "GLBX"),
        ("pre_open", "scheduled", "GLBX"),
        ("pre_open", "scheduled", "GLBX"),
        ("new_price_indication", "scheduled", "GLBX"),
    ]


def test_imbalance_records_make_imbalance_rows(market_data: Data) -> None:
    path = market_data("dbn/databento-python/XNAS.ITCH/test_data.imbalance.dbn.zst")
    rows = rows_of(DbnFile(path, new_context()))["imbalance"]
    found = listed(rows, "paired", "imbalance", "side", "ref", "near", "far", "cross")
    assert found == [
        (
            record.paired_qty,
            record.total_imbalance_qty,
            side(record),
            price(record.ref_price),
            price(record.cont_book_clr_price),
            price(record.auct_interest_clr_price),
            record.auction_type,
        )
        for record in decoded(unpacked(path))
    ]


def test_sampled_quotes_with_an_empty_side_are_null_there(market_data: Data) -> None:
    path = market_data("dbn/databento-python/EQUS.MINI/test_data.bbo-1s.dbn.zst")
    quotes = listed(rows_of(DbnFile(path, new_context()))["quote"], "bid", "ask", "bsize", "asize")
    assert quotes == [
        (307_920_000_000, NULL_LONG, 1500, NULL_LONG),
        (307_930_000_000, NULL_LONG, 1500, NULL_LONG),
        (307_920_000_000, NULL_LONG, 1200, NULL_LONG),
    ]


@pytest.mark.parametrize("schema", ["mbo", "mbp-1", "mbp-10", "tbbo", "trades", "imbalance"])
def test_versions_plain_and_packed_give_the_same_rows(market_data: Data, schema: str) -> None:
    plain = rows_of(DbnFile(market_data(f"dbn/dbn/test_data.{schema}.dbn"), new_context()))
    for version in (1, 2, 3):
        path = market_data(f"dbn/dbn/test_data.{schema}.v{version}.dbn.zst")
        assert same_rows(plain, rows_of(DbnFile(path, new_context())))


def test_where_slices_are_cut_changes_no_row(market_data: Data) -> None:
    path = market_data(ESH4)
    rule = CutRule(messages=777, interval_ns=60 * 10**9)
    cut = rows_of(DbnFile(path, new_context(cut=rule)))
    assert same_rows(rows_of(DbnFile(path, new_context())), cut)


def test_a_live_stream_of_several_schemas_tells_each_trade_once(market_data: Data) -> None:
    path, context = market_data(LIVE), new_context()
    feed = DbnFile(path, context)
    rows = rows_of(feed)
    records = decoded(unpacked(path))
    once = [r for r in records if isinstance(r, vendor.MBP1Msg)]
    assert listed(rows["trade"], "venue_time", "price", "size", "side") == trades_of(once)
    assert feed.health.counts["symbol_mapping"] == 20
    assert {context.symbols.name(sym) for sym in rows["trade"]["sym"].tolist()} == {"ESZ4"}
