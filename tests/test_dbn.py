"""DBN files against Databento's own decoder, whose record objects are the oracle."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import databento_dbn as vendor
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import DATA
from tests.feed_rows import Columns, new_context, rows_of, same_rows, written
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.errors import FeedError
from tickloop.ingest.dbn import DbnFile
from tickloop.ingest.feed import CutRule, FeedContext

Data = Callable[[str], Path]
ESH4 = "dbn/nautilus/esh4-glbx-mdp3-20231225.mbo.dbn.zst"
MBP_1 = "dbn/nautilus/futures_mbp-1_2024-07-01T23-58_2024-07-02T00-02.dbn.zst"
LIVE = "dbn/databento-python/LIVE/test_data.live.dbn.zst"
SAMPLES = sorted(str(path.relative_to(DATA)) for path in (DATA / "dbn").rglob("*.dbn*"))
UNDEF_STAMP = 2**64 - 1


def unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".zst":
        return content
    stream = pa.CompressedInputStream(pa.BufferReader(content), "zstd")
    return bytes(stream.read())


def decoded(content: bytes) -> list[Any]:
    """Decode with the vendor's decoder; versions stay as they are in the file."""
    decoder = vendor.DBNDecoder(
        has_metadata=content[:3] == b"DBN", upgrade_policy=vendor.VersionUpgradePolicy.AS_IS
    )
    decoder.write(content)
    return [record for record in decoder.decode() if not isinstance(record, vendor.Metadata)]


def price(value: int) -> int:
    return NULL_LONG if value == vendor.UNDEF_PRICE else value


def stamp(value: int) -> int:
    return NULL_LONG if value == UNDEF_STAMP else value - EPOCH_UNIX_NS


def side(record: Any) -> str:
    return {"B": "B", "A": "S"}.get(str(record.side), " ")


def characters(column: object) -> list[str]:
    return [chr(value) for value in np.asarray(column).tolist()]


def listed(columns: Columns, *names: str) -> list[tuple[Any, ...]]:
    lists = [
        characters(columns[name])
        if name in ("side", "action", "cross", "put_call")
        else columns[name].tolist()
        for name in names
    ]
    return list(zip(*lists, strict=True))


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


class SlowBook:
    """An order-by-order book in plain Python: one dict of orders, one of sizes a side."""

    def __init__(self) -> None:
        self.orders: dict[int, list[Any]] = {}
        self.sizes: dict[str, Counter[int]] = {"B": Counter(), "A": Counter()}
        self.unknown = 0

    def apply(self, record: Any) -> None:
        action = str(record.action)
        if action == "A":
            self.orders[record.order_id] = [str(record.side), record.price, record.size]
            self.sizes[str(record.side)][record.price] += record.size
        elif action in "CM" and record.order_id not in self.orders:
            self.unknown += 1
        elif action in "CM":
            order = self.orders.pop(record.order_id)
            self._take(order[0], order[1], order[2])
            left = order[2] - record.size if action == "C" else record.size
            at = order[1] if action == "C" else record.price
            if left > 0:
                self.orders[record.order_id] = [order[0], at, left]
                self.sizes[order[0]][at] += left

    def _take(self, of: str, at: int, size: int) -> None:
        self.sizes[of][at] -= size
        if self.sizes[of][at] == 0:
            del self.sizes[of][at]

    def best(self) -> tuple[int, int, int, int]:
        bid, ask = max(self.sizes["B"], default=None), min(self.sizes["A"], default=None)
        return (
            NULL_LONG if bid is None else bid,
            NULL_LONG if ask is None else ask,
            NULL_LONG if bid is None else self.sizes["B"][bid],
            NULL_LONG if ask is None else self.sizes["A"][ask],
        )


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


def changed_quotes(records: list[Any]) -> Iterator[tuple[int, ...]]:
    """Give the BBO at event ends where it is not the one before."""
    last = (NULL_LONG,) * 4
    for record in records:
        level = record.levels[0]
        bid, ask = price(level.bid_px), price(level.ask_px)
        best = (
            bid,
            ask,
            NULL_LONG if bid == NULL_LONG else level.bid_sz,
            NULL_LONG if ask == NULL_LONG else level.ask_sz,
        )
        if record.flags & vendor.F_LAST and best != last:
            yield best
            last = best


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


# Files made here: the vendor's package encodes what the samples do not show.


def metadata(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "dataset": "XNAS.ITCH", "start": 0, "stype_in": None, "schema": None, "version": 3,
        "stype_out": vendor.SType.INSTRUMENT_ID,
    }  # fmt: skip
    return bytes(vendor.Metadata(**{**fields, **changes}).encode())


def trade(second: int, *, instrument: int = 7, publisher: int = 2, **changes: Any) -> bytes:
    at = 1_700_000_000_000_000_000 + second * 10**9
    fields: dict[str, Any] = {
        "publisher_id": publisher, "instrument_id": instrument, "ts_event": at, "price": 10**9,
        "size": 5, "action": vendor.Action.TRADE, "side": vendor.Side.BID, "depth": 0,
        "ts_recv": at, "flags": 128,
    }  # fmt: skip
    return bytes(vendor.TradeMsg(**{**fields, **changes}))


def mapping(instrument: int, name: str) -> bytes:
    return bytes(
        vendor.SymbolMappingMsg(
            publisher_id=0,
            instrument_id=instrument,
            ts_event=0,
            stype_in=vendor.SType.RAW_SYMBOL,
            stype_in_symbol=name,
            stype_out=vendor.SType.INSTRUMENT_ID,
            stype_out_symbol=name,
            start_ts=0,
            end_ts=0,
        )
    )  # fmt: skip


def symbols_traded(feed: DbnFile, context: FeedContext) -> list[str]:
    return [context.symbols.name(sym) for sym in rows_of(feed)["trade"]["sym"].tolist()]


def test_a_mapping_record_names_an_id_from_then_on(tmp_path: Path) -> None:
    content = metadata() + trade(0) + mapping(7, "OLD") + trade(1) + mapping(7, "NEW") + trade(2)
    context = new_context()
    feed = DbnFile(written(tmp_path / "live.dbn", content), context)
    assert symbols_traded(feed, context) == ["id_7", "OLD", "NEW"]
    assert feed.health.counts["unknown_instrument"] == 1


def test_a_name_holds_on_its_days_only(market_data: Data, tmp_path: Path) -> None:
    path = market_data("dbn/dbn/test_data.imbalance.v3.dbn.zst")
    content = unpacked(path)
    spans = vendor.Metadata.decode(content).mappings["SPOT"]
    first, second = spans[0], spans[1]
    head = content[: 8 + int.from_bytes(content[4:8], "little")]

    def on(day: date, number: str) -> bytes:
        at = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 10**9
        return trade(0, instrument=int(number), ts_event=at, ts_recv=at)

    content = head + on(first["start_date"], first["symbol"]) + on(
        second["start_date"], second["symbol"]
    ) + on(date(2030, 1, 1), first["symbol"])  # fmt: skip
    context = new_context()
    feed = DbnFile(written(tmp_path / "days.dbn", content), context)
    assert symbols_traded(feed, context) == ["SPOT", "SPOT", f"id_{first['symbol']}"]


def test_publishers_name_the_venue_and_unknown_ones_the_dataset(tmp_path: Path) -> None:
    content = metadata(dataset="DBEQ.BASIC") + trade(0, publisher=41) + trade(1, publisher=999)
    context = new_context()
    rows = rows_of(DbnFile(written(tmp_path / "venues.dbn", content), context))
    assert [context.symbols.name(ex) for ex in rows["trade"]["ex"].tolist()] == ["IEXG", "DBEQ"]


def test_undefined_values_are_null(tmp_path: Path) -> None:
    content = metadata() + trade(
        0, price=vendor.UNDEF_PRICE, size=vendor.UNDEF_ORDER_SIZE, ts_event=UNDEF_STAMP,
        side=vendor.Side.NONE,
    )  # fmt: skip
    rows = rows_of(DbnFile(written(tmp_path / "undefined.dbn", content), new_context()))
    found = listed(rows["trade"], "price", "size", "venue_time", "side")
    assert found == [(NULL_LONG, NULL_LONG, NULL_LONG, " ")]


def test_records_with_a_send_stamp_are_read_alike(tmp_path: Path) -> None:
    plain = [trade(second) for second in range(3)]
    stamped = [bytes([14]) + record[1:] + (2**60).to_bytes(8, "little") for record in plain]
    one = DbnFile(written(tmp_path / "a.dbn", metadata() + b"".join(plain)), new_context())
    other = DbnFile(
        written(tmp_path / "b.dbn", metadata(ts_out=True) + b"".join(stamped)), new_context()
    )
    assert same_rows(rows_of(one), rows_of(other))


def test_a_fragment_takes_its_symbol_from_the_context(tmp_path: Path) -> None:
    context = new_context(symbol="NVDA")
    feed = DbnFile(written(tmp_path / "trades.dbn.frag", trade(0) + trade(1)), context)
    assert feed.venue == "XNAS"
    assert symbols_traded(feed, context) == ["NVDA", "NVDA"]


def test_records_of_an_unknown_type_or_size_are_counted_and_passed(tmp_path: Path) -> None:
    odd = bytes([5, 0]) + bytes(18)
    unknown = bytes([4, 250]) + bytes(14)
    content = metadata() + trade(0) + odd + unknown + trade(1)
    feed = DbnFile(written(tmp_path / "odd.dbn", content), new_context())
    assert len(rows_of(feed)["trade"]["size"]) == 2
    assert feed.health.counts["odd_size_mbp_0"] == 1
    assert feed.health.counts["unknown_rtype"] == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n", "expected b'DBN'"),
        (b"DBN\x09" + bytes(60), "version 9 seen, 1 to 3 expected"),
        (b"DBN\x03\xff\xff\xff\x7f" + bytes(60), "bytes of metadata announced"),
        (b"DBN\x03\x80\x00\x00\x00" + b"\xff" * 128, "metadata cannot be decoded"),
        (b"DBN\x03\x80\x00\x00\x00" + b"\x00" * 20, "metadata cannot be decoded"),
        (b"\x28\xb5\x2f\xfd\x00\x00", "byte 0 unpacked"),
    ],
)
def test_files_that_are_not_dbn_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    with pytest.raises(FeedError, match=sentence):
        DbnFile(written(tmp_path / "bad.dbn", content), new_context())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="cannot be read"):
        DbnFile(tmp_path / "none.dbn", new_context())


def test_a_file_cut_anywhere_keeps_its_whole_records(tmp_path: Path) -> None:
    head, body = metadata(), b"".join(trade(second) for second in range(3))
    for cut in range(len(body) + 1):
        feed = DbnFile(written(tmp_path / "cut.dbn", head + body[:cut]), new_context())
        rows_of(feed)
        assert feed.messages == cut // 48
        assert bool(feed.health.damage) == bool(cut % 48)


def test_a_zero_filled_tail_is_damage(tmp_path: Path) -> None:
    content = metadata() + trade(0) + bytes(100)
    feed = DbnFile(written(tmp_path / "zeros.dbn", content), new_context())
    assert len(rows_of(feed)["trade"]["size"]) == 1
    assert "record length 0 words" in str(feed.health.damage[0])


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_packed_file_cut_short_keeps_what_came_before(
    market_data: Data, tmp_path: Path, keep: float
) -> None:
    content = market_data(ESH4).read_bytes()
    path = written(tmp_path / "cut.dbn.zst", content[: int(keep * len(content))])
    feed = DbnFile(path, new_context())
    rows_of(feed)
    assert feed.messages > keep * 68_792 * 0.8
    assert "what came before is kept" in str(feed.health.damage[0])


@pytest.mark.parametrize("start", [b"# Real kdb+ files", b'" quoted, text', b"$!", b"(1, 2)"])
def test_text_is_no_fragment_though_its_second_letter_is_a_record_type(
    tmp_path: Path, start: bytes
) -> None:
    path = written(tmp_path / "letter.txt", start + b" and so on, line by line" * 40)
    with pytest.raises(FeedError, match="is this another encoding"):
        DbnFile(path, new_context())


def test_a_packed_file_with_changed_bytes_is_damage(market_data: Data, tmp_path: Path) -> None:
    content = bytearray(market_data(ESH4).read_bytes())
    content[500_000] ^= 0xFF
    feed = DbnFile(written(tmp_path / "changed.dbn.zst", bytes(content)), new_context())
    rows_of(feed)
    assert feed.health.damage


@pytest.fixture(scope="module")
def real_contents(market_data: Data) -> list[bytes]:
    names = [
        LIVE,
        "dbn/databento-python/XNAS.ITCH/test_data.mbp-10.dbn.zst",
        "dbn/dbn/test_data.definition.v1.dbn.frag",
        "dbn/dbn/test_data.imbalance.v2.dbn.zst",
        "dbn/databento-python/OPRA.PILLAR/test_data.cbbo-1s.dbn.zst",
    ]
    return [unpacked(market_data(name)) for name in names]


@given(data=st.data())
@settings(max_examples=120)
def test_changed_bytes_never_break_the_feed(
    real_contents: list[bytes], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from(real_contents)))
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check_survives(tmp_path_factory, bytes(content[: data.draw(st.integers(1, len(content)))]))


@given(content=st.binary(max_size=300), head=st.booleans())
@settings(max_examples=80)
def test_random_bytes_never_break_the_feed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, head: bool
) -> None:
    check_survives(tmp_path_factory, (metadata() if head else b"") + content)


def check_survives(folders: pytest.TempPathFactory, content: bytes) -> None:
    path = written(folders.mktemp("fuzz") / "fuzz.dbn", content)
    try:
        feed = DbnFile(path, new_context())
    except FeedError:
        return
    rows_of(feed)
    assert feed.messages <= len(content) // 16


@pytest.mark.kernel
def test_kernels_agree_with_their_python_bodies(market_data: Data, tmp_path: Path) -> None:
    """Run the first records of a session; compiled or not, the rows are the slow book's."""
    content = unpacked(market_data(ESH4))
    head = 8 + int.from_bytes(content[4:8], "little")
    path = written(tmp_path / "head.dbn", content[: head + 56 * 12_000])
    rows = rows_of(DbnFile(path, new_context()))
    book, expected = SlowBook(), [(NULL_LONG,) * 4]
    for record in decoded(path.read_bytes()):
        book.apply(record)
        if record.flags & vendor.F_LAST and (best := book.best()) != expected[-1]:
            expected.append(best)
    assert listed(rows["quote"], "bid", "ask", "bsize", "asize") == expected[1:]


@pytest.mark.kernel
def test_ladder_kernels_agree_with_their_python_bodies(market_data: Data) -> None:
    path = market_data(MBP_1)
    rows, records = rows_of(DbnFile(path, new_context())), decoded(unpacked(path))
    quotes = listed(rows["quote"], "bid", "ask", "bsize", "asize")
    assert quotes == list(changed_quotes(records))
