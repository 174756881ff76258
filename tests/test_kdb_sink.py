"""Rows in a kdb+ tickerplant by `.u.upd`: none lost, repeats known by seq, types as it has them."""

import random
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command import good, running, sql, tickloop, wait_for
from tests.fake_tickerplant import Tickerplant, tickerplant
from tests.plant_process import plant_process
from tests.plants import mixed, plant_at, publish_trades
from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.clock import DAY_NS
from tickloop.core.dialects import q as q_dialect
from tickloop.core.dialects.numpy import NULL_LONG, nulls, surface_dtype
from tickloop.core.errors import SinkAwayError, SinkError
from tickloop.core.schema import Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.q_codec import MessageKind, encode, message
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile
from tickloop.tickerplant.sinks.kdb_columns import Sent, can_send, spelled
from tickloop.tickerplant.sinks.kdb_sink import KdbSettings, KdbSink
from tickloop.tickerplant.sinks.kdb_target import Matching
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop

FEED = ("--feed", "synthetic:2024-01-02", "--symbols", "5")
# As kdb+tick's own example has it, with the plant's seq at the end.
TICK = {
    "trade": {"time": "n", "sym": "s", "price": "f", "size": "i", "seq": "j"},
    "quote": {"time": "n", "sym": "s", "bid": "f", "ask": "f", "bsize": "i", "asize": "i"},
}


@pytest.fixture
def tick(tmp_path: Path) -> Iterator[Tickerplant]:
    with tickerplant(tmp_path / "tick", TICK) as running_tickerplant:
        yield running_tickerplant


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """Give a directory at rest with trades and quotes."""
    plant, _ = plant_at(tmp_path / "data")
    for start in range(0, 3000, 250):
        plant.publish(mixed(plant.symbols, 250, start=start))
    plant.close()
    (tmp_path / "data" / "cursors").mkdir(exist_ok=True)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a small capture, as the command makes it."""
    data = tmp_path_factory.mktemp("captured") / "data"
    good("run", "--data", data, *FEED, "--messages", "10000")
    return data


def settings(
    port: int, *, names: dict[str, str] | None = None, tables: str = "", stamped: bool = False,
    rows: int = 700, asynchronous: bool = False,
) -> KdbSettings:  # fmt: skip
    matching = Matching(names or {}, tables, stamped=stamped)
    return KdbSettings("127.0.0.1", port, "", "", matching, rows, 4, asynchronous, 10.0)


def drain(root: Path, wanted: KdbSettings) -> KdbSink:
    """Bring a directory at rest to a tickerplant."""
    symbols = Symbols()
    sink = KdbSink(wanted, Catalog(), symbols)
    loop = SinkLoop(sink, root, Catalog(), symbols, plant_id("tickloop"), LoopSettings(20.0))
    assert loop.run(lambda: False)
    return sink


def logged(root: Path, table: str, column: str) -> list[object]:
    """Read a column of our log."""
    reader = JournalReader(root / "journal", Catalog(), Symbols())
    found = [rows for rows in reader.messages(-1) if rows.table.name == table]
    return [value for rows in found for value in rows.columns[column].tolist()]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["answered", "async"])
def test_a_tickerplant_logs_every_row_once_in_its_own_types(
    tick: Tickerplant, written: Path, *, asynchronous: bool
) -> None:
    sink = drain(written, settings(tick.port, asynchronous=asynchronous))
    assert sink.unspelled == 0
    for table, columns in (("trade", ("price", "size", "seq")), ("quote", ("bid", "asize"))):
        for column in columns:
            assert tick.logged(table, column) == logged(written, table, column)
    times = [int(str(time)) % DAY_NS for time in logged(written, "trade", "time")]
    assert tick.logged("trade", "time") == times
    cursor = CursorFile(written, "kdb").peek()
    assert cursor is not None
    assert (cursor.rows, cursor.state) == (6000, "done")


def test_tables_keep_their_order_to_each_other_within_a_message_s_rows(
    tick: Tickerplant, written: Path
) -> None:
    drain(written, settings(tick.port, rows=1))
    from tickloop.tickerplant.foreign_log import messages

    tables = [each.table for each in messages(tick.logs[0])]
    assert tables == ["trade", "quote"] * 3000


def test_what_was_sent_is_not_sent_again_and_a_log_that_grows_is_continued(
    tick: Tickerplant, written: Path
) -> None:
    drain(written, settings(tick.port))
    drain(written, settings(tick.port))
    symbols = Symbols()
    list(JournalReader(written / "journal", Catalog(), symbols).messages(-1))
    plant, _ = plant_at(written, symbols=symbols)
    publish_trades(plant, 200, start=3000)
    plant.close()
    drain(written, settings(tick.port))
    assert tick.logged("trade", "seq") == logged(written, "trade", "seq")


def test_names_differ_and_columns_without_a_counterpart_are_null(
    tmp_path: Path, written: Path
) -> None:
    schema = {"ticks": {"time": "p", "sym": "s", "px": "f", "cond": "c", "stop": "b", "ex": "c"}}
    names = {"ticks": "trade", "ticks.px": "price", "ticks.stop": "", "levels": "quote"}
    schema["levels"] = {"time": "n", "nothing": "j"}  # not asked for: tables names ours
    # It does not take rows that begin with no timespan as they are, so it stamps them.
    schema["ticks"]["time"] = "n"
    with tickerplant(tmp_path / "tick", schema) as other:
        sink = drain(written, settings(other.port, names=names, tables="trade", stamped=True))
        assert other.logged("ticks", "px") == logged(written, "trade", "price")
        assert other.logged("ticks", "stop") == [0] * 3000
        assert other.logged("ticks", "ex") == [0x20] * 3000
    assert sink.unspelled == 3000  # XTST is no char


@pytest.mark.parametrize(
    ("schema", "names", "tables", "sentence"),
    [
        ({"trade": {"time": "n", "sym": "s", "px": "f"}}, {}, "", "trade.px .* no counterpart"),
        ({"trade": {"time": "n", "sym": "j"}}, {}, "", "q type 'j', trade.sym is a symbol"),
        ({"other": {"time": "n"}}, {}, "", "has the tables other, none of ours by name"),
        ({"other": {"time": "n"}}, {}, "trade", "has no table trade: define it there, as trade:"),
        ({"trade": {"time": "n"}}, {}, "tradee", "no table 'tradee' here; there are trade,"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_row_is_sent(
    tmp_path: Path, written: Path, schema: dict[str, dict[str, str]], names: dict[str, str],
    tables: str, sentence: str,
) -> None:  # fmt: skip
    with tickerplant(tmp_path / "tick", schema) as other:
        with pytest.raises(SinkError, match=sentence):
            drain(written, settings(other.port, names=names, tables=tables))
        assert other.logs[0].stat().st_size == 8


def test_an_error_of_the_tickerplant_names_the_table_and_the_error(
    tmp_path: Path, written: Path
) -> None:
    """Of a table whose rows begin with a timestamp, kdb+tick makes rows that are too long."""
    schema = {"trade": {"time": "p", "sym": "s"}}
    refusal = pytest.raises(SinkError, match="refused rows of trade: length; the rows before")
    with tickerplant(tmp_path / "tick", schema) as other, refusal:
        drain(written, settings(other.port))


def test_a_tickerplant_that_is_away_is_waited_for() -> None:
    sink = KdbSink(settings(9), Catalog(), Symbols())
    with pytest.raises(SinkAwayError, match=r"no answer from 127\.0\.0\.1:9"):
        sink.open(Cursor("kdb", sink.target, 1))


def test_a_tickerplant_that_is_killed_under_load_loses_nothing_and_repeats_are_known_by_seq(
    tick: Tickerplant, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    data = tmp_path / "data"
    config = tmp_path / "run.toml"
    config.write_text(
        f'[sinks.kdb]\naddress = "{tick.address}"\nrows = 500\ntables = "trade"\ndrain_s = 150\n'
    )
    arguments = ("run", "--data", data, *FEED, "--messages", "200000", "--config", config)
    with running(*arguments) as process:
        cursor = CursorFile(data, "kdb")
        wait_for(lambda: (found := cursor.peek()) is not None and found.rows > 0, process)
        for _ in range(3):
            time.sleep(moments.uniform(0, 0.3))
            tick.kill()
            tick.start()
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, (out, err)
        assert "kdb " in err
        assert "rows in 127.0.0.1" in err
        assert "the rest waits" not in err, err
    seqs = tick.logged("trade", "seq")
    expected = logged(data, "trade", "seq")
    assert sorted(set(map(int, map(str, seqs)))) == expected
    assert len(seqs) - len(expected) <= 3 * 64 * 500  # what can be out when it is killed


def test_a_capture_goes_on_while_the_tickerplant_is_away(tmp_path: Path, tick: Tickerplant) -> None:
    tick.kill()
    config = tmp_path / "run.toml"
    config.write_text(f'[sinks.kdb]\naddress = "{tick.address}"\ndrain_s = 1\ntables = "trade"\n')
    data = tmp_path / "data"
    done = good("run", "--data", data, *FEED, "--messages", "10000", "--config", config)
    assert "nothing was sent" in done.err or "the rest waits in the journal" in done.err
    tick.start()
    good("sink", "kdb", "--data", data, "--config", config)
    assert tick.logged("trade", "seq") == logged(data, "trade", "seq")


def test_a_second_plant_takes_the_rows_as_a_tickerplant_and_answers_for_them(
    tmp_path: Path, captured: Path
) -> None:
    """The plant's own port is the peer; what it holds is asked in SQL."""
    with plant_process(tmp_path / "peer", live=True) as peer:
        good("sink", "kdb", "--data", captured, "--address", f"127.0.0.1:{peer.port}")
        peer.stop()
    for table, columns in (
        ("trade", "sym, price, size, side, cond, ex, trade_id, venue_time"),
        ("quote", "sym, bid, ask, bsize, asize, ex, venue_time"),
        ("book", "sym, action, order_id, side, price, size, ref_order_id, mpid, venue_time"),
    ):
        asked = f"SELECT {columns} FROM {table} ORDER BY seq"
        rows = sql(captured, asked)
        assert rows
        assert sql(tmp_path / "peer", asked) == rows


_PYKX = """
import asyncio, sys, warnings
warnings.simplefilter("ignore")
import pykx as kx
async def go():
    async with kx.RawQConnection("127.0.0.1", int(sys.argv[1]), no_ctx=True) as q:
        await q(".u.sub", "trade", "")
        print("subscribed", flush=True)
        rows = 0
        while rows < 3000:
            message = q.poll_recv()
            if message is not None:
                rows += len(message.py()[2]['seq'])
        print(rows, flush=True)
asyncio.run(asyncio.wait_for(go(), 60))
"""


def test_pykx_subscribed_to_the_second_plant_sees_every_row(
    kx: Any, tmp_path: Path, written: Path
) -> None:
    with plant_process(tmp_path / "peer", live=True) as peer:
        reader = subprocess.Popen(
            [sys.executable, "-c", _PYKX, str(peer.port)], stdout=subprocess.PIPE, text=True
        )
        assert reader.stdout is not None
        assert reader.stdout.readline() == "subscribed\n"
        drain(written, settings(peer.port, tables="trade"))
        out, _ = reader.communicate(timeout=90)
        assert (reader.returncode, out) == (0, "3000\n")


def test_secrets_come_from_the_environment_or_a_file_and_are_in_no_output(
    tmp_path: Path, captured: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text('[sinks.kdb]\naddress = "127.0.0.1:9"\npassword_file = "env:KDB_SECRET"\n'
                      'user = "u"\ndrain_s = 0\n')  # fmt: skip
    absent = tickloop("sink", "kdb", "--data", captured, "--config", config)
    absent.refused("the environment has no KDB_SECRET; check \\[sinks.kdb\\]")
    away = tickloop(
        "sink", "kdb", "--data", captured, "--config", config, env={"KDB_SECRET": "hush-hush"}
    )
    away.refused("rows are still waiting")
    said = away.out + away.err + "".join(p.read_text() for p in (captured / "cursors").glob("*"))
    assert "hush-hush" not in said


def test_a_login_that_is_refused_is_a_refusal_not_an_absence(tmp_path: Path, written: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("someone:secret\n")
    config = f'[serve]\npassword_file = "{passwords}"\n'
    refusal = pytest.raises(SinkError, match=r"refused the login of user ''.*\[sinks.kdb\] user")
    with plant_process(tmp_path / "peer", config) as peer, refusal:
        drain(written, settings(peer.port))


# Conversions, with PyKX as the reader

_LETTERS = "bgxhijefcspmdznuvt"


def sent_back(kx: Any, kind: Kind, values: Any, letter: str, dtype: str) -> tuple[Any, int]:
    """Spell a column, send it as a message, and let KX's code read it."""
    table = Table("t", (Column("x", kind),))
    rows = Batch(table, {"x": np.array(values, dtype=dtype)})
    made, unspelled = spelled(
        rows, Sent("x", letter, table.columns[0]), Names(Symbols(["A", "BC"])), fractional=False
    )
    return kx.deserialize(message(MessageKind.ASYNC, encode(made))), unspelled


def test_every_pair_of_types_is_sent_or_refused() -> None:
    sendable = {
        (q_dialect.type_character(kind), letter)
        for kind in Kind
        for letter in _LETTERS + "C"
        if can_send(kind, letter, fractional=False)
    }
    assert {("p", "n"), ("p", "p"), ("j", "i"), ("f", "e"), ("s", "c"), ("C", "C")} <= sendable
    assert not {("s", "j"), ("f", "p"), ("C", "s"), ("g", "s"), ("j", "s"), ("d", "p")} & sendable


# kdb+'s nulls as its documentation gives them; booleans and bytes have none.
_NULLS = {
    "b": b"\0", "g": bytes(16), "x": b"\0", "h": struct.pack("<h", -(2**15)),
    "e": struct.pack("<f", np.nan), "f": struct.pack("<d", np.nan), "z": struct.pack("<d", np.nan),
    "c": b" ", "s": b"\0",
    **dict.fromkeys("imduvt", struct.pack("<i", -(2**31))),
    **dict.fromkeys("jpn", struct.pack("<q", -(2**63))),
}  # fmt: skip
_NULLABLE = [kind for kind in Kind if kind not in (Kind.FLAG, Kind.BYTE, Kind.TEXT)]


# PyKX advises against q's datetime, which old tables have.
@pytest.mark.filterwarnings("ignore:The q datetime type is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", _NULLABLE, ids=lambda kind: kind.value)
def test_nulls_are_nulls_in_every_type_that_a_column_can_be_sent_as(kx: Any, kind: Kind) -> None:
    dtype = surface_dtype(kind)
    null = nulls(kind, 1, dtype=dtype)
    letters = [letter for letter in _LETTERS if can_send(kind, letter, fractional=False)]
    assert letters
    for letter in letters:
        found, unspelled = sent_back(kx, kind, null, letter, dtype)
        raw = bytes(kx.serialize(found))[14:]
        assert (raw, unspelled) == (_NULLS[letter], 0), letter


@given(values=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20))
def test_instants_as_times_of_day_agree_with_numpy(kx: Any, values: list[int]) -> None:
    found, _ = sent_back(kx, Kind.INSTANT, values, "n", "<i8")
    of_day = np.array(values) % DAY_NS
    assert found.np().astype(np.int64).tolist() == of_day.tolist()
    milliseconds, _ = sent_back(kx, Kind.INSTANT, values, "t", "<i8")
    assert milliseconds.np().astype(np.int64).tolist() == (of_day // 10**6).tolist()


@given(values=st.lists(st.integers(NULL_LONG, 2**63 - 1), min_size=1, max_size=20))
def test_longs_as_ints_are_the_number_or_null_and_counted(kx: Any, values: list[int]) -> None:
    found, unspelled = sent_back(kx, Kind.LONG, values, "i", "<i8")
    fits = [abs(value) < 2**31 for value in values]
    assert unspelled == sum(not fit and value != NULL_LONG
                            for fit, value in zip(fits, values, strict=True))  # fmt: skip
    expected = [value if fit else -(2**31) for fit, value in zip(fits, values, strict=True)]
    assert np.frombuffer(bytes(kx.serialize(found))[14:], "<i4").tolist() == expected


@given(
    values=st.lists(
        st.floats(width=64) | st.sampled_from([2.0**63, -(2.0**63), 2.0**53]), min_size=1
    )
)
def test_floats_as_longs_are_whole_numbers_or_null_and_counted(
    kx: Any, values: list[float]
) -> None:
    found, unspelled = sent_back(kx, Kind.FLOAT, values, "j", "<f8")
    expected = [
        int(value) if abs(value) < 2.0**63 and value == int(value) else NULL_LONG
        for value in values
    ]
    assert np.frombuffer(bytes(kx.serialize(found))[14:], "<i8").tolist() == expected
    kept = sum(value == value for value in values) - unspelled
    assert kept == sum(value != NULL_LONG for value in expected)
