"""DBN files made here: what samples do not show, cut and damaged files, and every kernel."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import databento_dbn as vendor
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dbn_records import (
    ESH4,
    LIVE,
    MBP_1,
    UNDEF_STAMP,
    Data,
    SlowBook,
    changed_quotes,
    decoded,
    listed,
    unpacked,
)
from tests.feed_rows import new_context, rows_of, same_rows, written
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.errors import FeedError
from tickloop.ingest.dbn import DbnFile
from tickloop.ingest.feed import FeedContext


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
