"""LOBSTER days against a slow reader of the csv files and the vendor's own book rows."""

import csv
import gzip
import io
from collections.abc import Callable, Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.feed_rows import Columns, new_context, rows_of, same_rows, written
from tickloop.core.clock import midnight_ns
from tickloop.core.dialects.numpy import NULL_LONG
from tickloop.core.errors import FeedError
from tickloop.ingest.feed import CutRule
from tickloop.ingest.lobster import LobsterFile, ladders_of
from tickloop.ingest.lobster_steps import broken_steps
from tickloop.ingest.numberlines import NumberLines

Data = Callable[[str], Path]
FILES = ("AAPL_2012-06-21_1", "AMZN_2012-06-21_1", "AMZN_2012-06-21_5")
SHARES = dict(zip(FILES, (2_850_140, 810_755, 810_755), strict=True))
ROWS = dict(zip(FILES, (118_497, 57_515, 155_935), strict=True))
MIDNIGHT = midnight_ns(date(2012, 6, 21), "America/New_York")
NAME = "AAPL_2012-06-21_34200000_57600000_message_1.csv"
FIRST = "34200.004241176,1,16113575,18,5853300,1"


def sample(market_data: Data, name: str) -> Path:
    return market_data(f"lobster/LOBSTER_SampleFile_{name}.zip")


def text_of(path: Path, kind: str) -> str:
    with ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if f"_{kind}_" in name)
        return archive.read(name).decode("ascii")


def table_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def head_of(market_data: Data, folder: Path, *, lines: int, name: str = FILES[2]) -> Path:
    """Write the first lines of a real day, message and book file beside one another."""
    day = sample(market_data, name)
    for kind in ("message", "orderbook"):
        text = "".join(text_of(day, kind).splitlines(keepends=True)[:lines])
        (folder / f"AMZN_2012-06-21_34200000_57600000_{kind}_5.csv").write_text(text)
    return folder / "AMZN_2012-06-21_34200000_57600000_message_5.csv"


def nanoseconds(seconds: str) -> int:
    return int((Decimal(seconds) * 10**9).quantize(Decimal(1), ROUND_HALF_UP))


def slow_book_rows(lines: list[list[str]]) -> Iterator[tuple[object, ...]]:
    for time, kind, order_id, size, price, direction in lines:
        if kind in "1234":
            side = "B" if direction == "1" else "S"
            stamp = MIDNIGHT + nanoseconds(time)
            yield stamp, " AXDE"[int(kind)], int(order_id), side, int(price), int(size)


def slow_trade_rows(lines: list[list[str]]) -> Iterator[tuple[object, ...]]:
    for time, kind, _, size, price, direction in lines:
        if kind in "45":
            side = "S" if direction == "1" else "B"
            cond = "hidden" if kind == "5" else ""
            yield MIDNIGHT + nanoseconds(time), int(price), int(size), side, cond


def slow_quotes(books: list[list[str]]) -> Iterator[tuple[int | None, ...]]:
    """Give best bid, ask and sizes of the rows where they are not those of the row before."""
    last: tuple[int | None, ...] = (None,) * 4
    for row in books:
        ask, asize, bid, bsize = (int(field) for field in row[:4])
        quote: tuple[int | None, ...] = (
            *((bid,) if bid > -9999999999 else (None,)),
            *((ask,) if ask < 9999999999 else (None,)),
            *((bsize,) if bid > -9999999999 else (None,)),
            *((asize,) if ask < 9999999999 else (None,)),
        )
        if quote != last:
            yield quote
        last = quote


def characters(column: object) -> list[str]:
    return [chr(value) for value in np.asarray(column).tolist()]


def listed(columns: Columns, *names: str) -> list[tuple[object, ...]]:
    lists = [
        characters(columns[name]) if name in ("side", "action") else columns[name].tolist()
        for name in names
    ]
    return list(zip(*lists, strict=True))


@pytest.mark.parametrize("name", FILES)
def test_every_message_becomes_its_book_and_trade_rows(market_data: Data, name: str) -> None:
    path, context = sample(market_data, name), new_context()
    rows = rows_of(LobsterFile(path, context))
    lines = table_of(text_of(path, "message"))
    book = listed(rows["book"], "venue_time", "action", "order_id", "side", "price", "size")
    trades = listed(rows["trade"], "venue_time", "price", "size", "side", "cond")
    assert book == list(slow_book_rows(lines))
    assert [(*trade[:4], context.symbols.name(trade[4])) for trade in trades] == list(  # type: ignore[arg-type]
        slow_trade_rows(lines)
    )


@pytest.mark.parametrize(("name", "shares"), list(SHARES.items()))
def test_executed_shares_are_the_published_ones(market_data: Data, name: str, shares: int) -> None:
    rows = rows_of(LobsterFile(sample(market_data, name), new_context()))
    assert rows["trade"]["size"].sum() == shares


@pytest.mark.parametrize("name", FILES)
def test_quotes_are_the_book_file_on_every_row(market_data: Data, name: str) -> None:
    path = sample(market_data, name)
    quotes = rows_of(LobsterFile(path, new_context()))["quote"]
    nulls = [
        tuple(None if value == NULL_LONG else value for value in row)
        for row in listed(quotes, "bid", "ask", "bsize", "asize")
    ]
    assert nulls == list(slow_quotes(table_of(text_of(path, "orderbook"))))


@pytest.mark.parametrize(("name", "rows"), list(ROWS.items()))
def test_each_message_makes_the_next_book_row_from_the_one_before(
    market_data: Data, name: str, rows: int
) -> None:
    messages, ladders = both(sample(market_data, name), levels=int(name[-1]))
    assert len(messages) == len(ladders) == rows
    assert broken_steps(messages[1:], ladders[1:], ladders[0].copy()) == 0


def both(path: Path, *, levels: int) -> tuple[np.ndarray, np.ndarray]:
    parsed = []
    for kind, width in (("message", 6), ("orderbook", 4 * levels)):
        stream = io.BytesIO(text_of(path, kind).encode())
        lines = NumberLines(stream, width=width, timed=kind == "message", name=kind)
        taken = lines.take(200_000)
        assert taken.valid.all()
        parsed.append(taken.values)
    return parsed[0], ladders_of(parsed[1], levels)


def slow_step(before: list[list[str]], message: list[str]) -> list[dict[int, int]]:
    """Apply a message to a book row (ask price, size, bid price, size a level) in plain Python."""
    asks = {int(level[0]): int(level[1]) for level in before if level[0] != "9999999999"}
    bids = {int(level[2]): int(level[3]) for level in before if level[2] != "-9999999999"}
    _, kind, _, size, price, direction = message
    side = bids if direction == "1" else asks
    if kind in "1234" and (kind == "1" or int(price) in side):
        side[int(price)] = side.get(int(price), 0) + int(size) * (1 if kind == "1" else -1)
        if side[int(price)] == 0:
            del side[int(price)]
    return [asks, bids]


@pytest.mark.kernel
def test_the_step_kernel_agrees_with_plain_python(market_data: Data, tmp_path: Path) -> None:
    lines = 1_000
    path = head_of(market_data, tmp_path, lines=lines)
    messages = table_of(path.read_text())
    books = table_of(path.with_name(path.name.replace("message", "orderbook")).read_text())
    for before, row, message in zip(books, books[1:], messages[1:], strict=False):
        levels = [before[at : at + 4] for at in range(0, 20, 4)]
        for side, best in zip(slow_step(levels, message), (min, max), strict=True):
            at = 0 if best is min else 2
            now = [(int(row[k]), int(row[k + 1])) for k in range(at, 20, 4)]
            kept = sorted(side.items(), reverse=best is max)[:5]
            assert now[: len(kept)] == kept
    feed = LobsterFile(path, new_context())
    rows_of(feed)
    assert feed.messages == lines
    assert "book_step_broken" not in feed.health.counts


@pytest.mark.kernel
def test_a_wrong_book_row_is_noticed(market_data: Data, tmp_path: Path) -> None:
    path = head_of(market_data, tmp_path, lines=100)
    book = path.with_name(path.name.replace("message", "orderbook"))
    lines = book.read_text().splitlines()
    price, size, *rest = lines[50].split(",")
    lines[50] = ",".join([price, str(int(size) + 1), *rest])
    book.write_text("\n".join(lines))
    feed = LobsterFile(path, new_context())
    rows_of(feed)
    assert feed.health.counts["book_step_broken"] == 2  # into the row, and out of it


def test_depth_rows_keep_a_readers_best_levels_right(market_data: Data, tmp_path: Path) -> None:
    lines = 20_000
    path = head_of(market_data, tmp_path, lines=lines)
    books = table_of(path.with_name(path.name.replace("message", "orderbook")).read_text())
    depth = rows_of(LobsterFile(path, new_context(depth_levels=3)))["depth"]
    rows = listed(depth, "time", "side", "price", "size")
    times = [MIDNIGHT + nanoseconds(line[0]) for line in table_of(path.read_text())]
    held: dict[str, dict[int, int]] = {"B": {}, "S": {}}
    taken = 0
    for row, (time, book) in enumerate(zip(times, books, strict=True)):
        if row + 1 < lines and times[row + 1] == time:
            continue  # rows do not say which of several messages of one instant they are of
        while taken < len(rows) and rows[taken][0] == time:
            tell(held, *rows[taken][1:])  # type: ignore[arg-type]
            taken += 1
        assert sorted(held["S"].items()) == [(int(book[at]), int(book[at + 1])) for at in (0, 4, 8)]
        assert sorted(held["B"].items(), reverse=True) == [
            (int(book[at]), int(book[at + 1])) for at in (2, 6, 10)
        ]
    assert taken == len(rows)


def tell(held: dict[str, dict[int, int]], side: str, price: int, size: int) -> None:
    """Take a depth row as a reader of three levels does: what falls off the end is forgotten."""
    levels = held[side]
    if size:
        levels[price] = size
    else:
        del levels[price]
    if len(levels) > 3:
        del levels[max(levels) if side == "S" else min(levels)]


def test_without_the_book_file_most_best_prices_are_right(market_data: Data) -> None:
    for name, share in zip(FILES, (0.70, 0.75, 0.82), strict=True):
        path = sample(market_data, name)
        truth = rows_of(LobsterFile(path, new_context()))["quote"]
        inferred = LobsterFile(path, new_context(), book=False)
        quotes = rows_of(inferred)["quote"]
        at = np.searchsorted(quotes["time"], truth["time"], side="right") - 1
        for column in ("bid", "ask"):
            assert (quotes[column][np.maximum(at, 0)] == truth[column]).mean() > share
        assert inferred.health.counts["unknown_level"] > 0
        assert "crossed_book" not in inferred.health.counts


def test_zip_csv_and_gzip_give_the_same_rows(market_data: Data, tmp_path: Path) -> None:
    path = sample(market_data, FILES[1])
    with ZipFile(path) as archive:
        archive.extractall(tmp_path)
    message = next(tmp_path.glob("*_message_*.csv"))
    zipped = rows_of(LobsterFile(path, new_context()))
    assert same_rows(zipped, rows_of(LobsterFile(message, new_context())))
    for plain in list(tmp_path.glob("*.csv")):
        plain.with_suffix(".csv.gz").write_bytes(gzip.compress(plain.read_bytes(), 1))
        plain.unlink()
    packed = message.with_suffix(".csv.gz")
    assert same_rows(zipped, rows_of(LobsterFile(packed, new_context())))


def test_where_slices_are_cut_changes_no_row(market_data: Data) -> None:
    path = sample(market_data, FILES[1])
    rule = CutRule(messages=1_000, interval_ns=10 * 60 * 10**9)
    cut = rows_of(LobsterFile(path, new_context(cut=rule)))
    assert same_rows(rows_of(LobsterFile(path, new_context())), cut)


def day(folder: Path, *lines: str, name: str = NAME) -> Path:
    return written(folder / name, "".join(f"{line}\n" for line in lines).encode())


@pytest.mark.kernel
@given(ns=st.integers(0, 86_400 * 10**9), zeros=st.integers(0, 5), trim=st.booleans())
@settings(max_examples=50)
def test_times_are_exact_to_the_nanosecond(ns: int, zeros: int, trim: bool) -> None:
    text = f"{ns // 10**9}.{ns % 10**9:09d}" + "0" * zeros
    text = text.rstrip("0").rstrip(".") if trim else text
    lines = NumberLines(io.BytesIO(f"{text},1\n".encode()), width=2, timed=True, name="times")
    assert lines.take(4).values[0, 0] == ns


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("text", "ns"), [("1.0000000004", 10**9), ("1.0000000005", 10**9 + 1), ("0.9999999999", 10**9)]
)
def test_digits_below_a_nanosecond_round_to_the_nearest(text: str, ns: int) -> None:
    lines = NumberLines(io.BytesIO(f"{text},1\n".encode()), width=2, timed=True, name="times")
    assert lines.take(1).values[0, 0] == ns


@pytest.mark.kernel
def test_halts_become_status_rows(tmp_path: Path) -> None:
    path = day(tmp_path, "36023,7,0,0,-1,-1", "36323,7,0,0,0,-1", "36723,7,0,0,1,-1")
    context = new_context()
    rows = rows_of(LobsterFile(path, context))
    assert [context.symbols.name(state) for state in rows["status"]["state"].tolist()] == [
        "halted", "quoting", "trading",
    ]  # fmt: skip
    assert rows["status"]["venue_time"].tolist() == [
        MIDNIGHT + seconds * 10**9 for seconds in (36023, 36323, 36723)
    ]


@pytest.mark.kernel
def test_crosses_are_trades_without_an_aggressor(tmp_path: Path) -> None:
    context = new_context()
    rows = rows_of(LobsterFile(day(tmp_path, "34200.5,6,-1,7,5850000,-1"), context))
    trade = rows["trade"]
    assert (trade["price"][0], trade["size"][0], chr(trade["side"][0])) == (5_850_000, 7, " ")
    assert context.symbols.name(int(trade["cond"][0])) == "cross"


@pytest.mark.kernel
def test_a_seventh_column_names_the_participant(tmp_path: Path) -> None:
    context = new_context()
    path = day(tmp_path, f"{FIRST},GSCO", f"{FIRST},null", FIRST.replace("575", "576"))
    mpids = rows_of(LobsterFile(path, context))["book"]["mpid"].tolist()
    assert [context.symbols.name(mpid) for mpid in mpids] == ["GSCO", "", ""]


@pytest.mark.kernel
def test_bad_lines_are_counted_and_the_others_kept(tmp_path: Path) -> None:
    bad = ["", "time,type,id", "34200.1,9,1,1,1,1", "34200.1,1,1,1,1", f"{'9' * 30},1,1,1,1,1"]
    feed = LobsterFile(day(tmp_path, FIRST, *bad, "34201,3,16113575,18,5853300,1\r"), new_context())
    rows = rows_of(feed)
    assert rows["book"]["order_id"].tolist() == [16113575, 16113575]
    assert feed.health.counts["bad_line"] == 3
    assert feed.health.counts["unknown_type"] == 1
    assert feed.health.aside[0] == (len(FIRST) + 2, feed.health.aside[0][1])
    assert feed.health.aside[0][1].startswith(b"time,type,id")


@pytest.mark.kernel
def test_times_that_run_backwards_are_counted_and_held(tmp_path: Path) -> None:
    path = day(tmp_path, "34201,1,1,1,100,1", "34200,1,2,1,100,1", "34202,1,3,1,100,1")
    feed = LobsterFile(path, new_context())
    book = rows_of(feed)["book"]
    assert ((book["time"] - MIDNIGHT) // 10**9).tolist() == [34201, 34201, 34202]
    assert ((book["venue_time"] - MIDNIGHT) // 10**9).tolist() == [34201, 34200, 34202]
    assert feed.health.counts["time_backwards"] == 1


def test_symbol_and_date_may_come_from_the_context(tmp_path: Path) -> None:
    path = day(tmp_path, FIRST, name="messages.csv")
    with pytest.raises(FeedError, match="tells no symbol"):
        LobsterFile(path, new_context())
    with pytest.raises(FeedError, match="tells no date"):
        LobsterFile(path, new_context(symbol="AAPL"))
    context = new_context(symbol="AAPL", session_date=date(2012, 6, 21))
    rows = rows_of(LobsterFile(path, context))
    assert context.symbols.name(int(rows["book"]["sym"][0])) == "AAPL"
    assert rows["book"]["time"][0] == MIDNIGHT + nanoseconds("34200.004241176")


def test_an_instrument_row_comes_first_at_the_first_message_s_time(tmp_path: Path) -> None:
    # At midnight it would hold a paced replay back for nine hours.
    context = new_context()
    rows = rows_of(LobsterFile(day(tmp_path, FIRST), context))
    assert rows["instrument"]["place"].tolist() == [0]
    assert rows["instrument"]["time"].tolist() == [MIDNIGHT + nanoseconds("34200.004241176")]
    assert context.instruments.declared(context.symbols.id("AAPL")) == (-4, 0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b"PK\x03\x04 not a zip", "not a whole zip file"),
    ],
)
def test_files_that_cannot_be_opened_are_refused(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    with pytest.raises(FeedError, match=sentence):
        LobsterFile(written(tmp_path / NAME, content), new_context())


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="cannot be read"):
        LobsterFile(tmp_path / NAME, new_context())


def test_a_zip_without_a_message_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "LOBSTER_SampleFile_AAPL_2012-06-21_1.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("ReadMe.txt", "nothing here")
    with pytest.raises(FeedError, match=r"0 files named \*_message_\*\.csv .* it holds ReadMe"):
        LobsterFile(path, new_context())


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" + bytes(5000), b"a,b,c\n" * 50])
def test_a_file_of_another_kind_ends_as_damage(tmp_path: Path, content: bytes) -> None:
    feed = LobsterFile(written(tmp_path / NAME, content), new_context())
    assert not rows_of(feed)
    assert "is a LOBSTER message" in str(feed.health.damage[0])


def test_a_line_without_an_end_is_damage_in_bounded_memory(tmp_path: Path) -> None:
    feed = LobsterFile(written(tmp_path / NAME, b"1" * (3 << 20)), new_context())
    rows_of(feed)
    assert "no line end within" in str(feed.health.damage[0])


def test_a_gzip_cut_short_keeps_what_came_before(market_data: Data, tmp_path: Path) -> None:
    text = text_of(sample(market_data, FILES[1]), "message").encode()
    packed = gzip.compress(text)
    path = written(tmp_path / f"{NAME}.gz", packed[: len(packed) // 2])
    feed = LobsterFile(path, new_context())
    rows_of(feed)
    whole = LobsterFile(written(tmp_path / NAME, text), new_context())
    rows_of(whole)
    assert whole.messages * 0.4 < feed.messages < whole.messages
    assert "cannot be unpacked further" in str(feed.health.damage[0])


def test_a_zip_with_changed_bytes_is_damage(market_data: Data, tmp_path: Path) -> None:
    content = bytearray(sample(market_data, FILES[1]).read_bytes())
    content[len(content) // 2] ^= 0xFF
    path = written(tmp_path / "LOBSTER_SampleFile_AMZN_2012-06-21_1.zip", bytes(content))
    feed = LobsterFile(path, new_context())
    rows_of(feed)
    assert feed.health.damage


def test_a_book_file_cut_short_leaves_the_messages_whole(market_data: Data, tmp_path: Path) -> None:
    path = head_of(market_data, tmp_path, lines=500)
    book = path.with_name(path.name.replace("message", "orderbook"))
    book.write_text("\n".join(book.read_text().splitlines()[:200]))
    feed = LobsterFile(path, new_context())
    rows = rows_of(feed)
    assert feed.messages == 500
    assert feed.health.counts["book_row_missing"] == 300
    assert rows["quote"]["time"][-1] < rows["book"]["time"][-1]


@pytest.fixture(scope="module")
def real_lines(market_data: Data) -> bytes:
    text = text_of(sample(market_data, FILES[0]), "message")
    return "".join(text.splitlines(keepends=True)[:60]).encode()


@given(data=st.data())
@settings(max_examples=60)
def test_changed_bytes_never_break_the_feed(
    real_lines: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(real_lines)
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = written(tmp_path_factory.mktemp("fuzz") / NAME, bytes(content))
    feed = LobsterFile(path, new_context())
    rows_of(feed)
    lines = [line for line in bytes(content).split(b"\n") if line[:1] not in (b"", b"\r")]
    refused = feed.health.counts["bad_line"] + feed.health.counts["unknown_type"]
    assert feed.messages + refused == len(lines)


@given(content=st.binary(min_size=1, max_size=400))
@settings(max_examples=60)
def test_random_bytes_never_break_the_feed(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = written(tmp_path_factory.mktemp("fuzz") / NAME, content)
    try:
        feed = LobsterFile(path, new_context())
    except FeedError:
        return
    rows_of(feed)
