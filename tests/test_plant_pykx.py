"""PyKX, KX's own client, against a plant: connect, ask, publish, subscribe, recover."""

import asyncio
import datetime
import os
import random
import re
import secrets
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests import q_bytes
from tests.plant_process import PlantProcess, plant_process
from tickloop.core.schema import MARKET_DATA, RESERVED_NAMES, TABLES

EPOCH = np.datetime64("2000-01-01", "ns")
# kdb+'s types as its documentation numbers them, and NumPy's layout of their values.
Q_TYPES: dict[str, tuple[int, str]] = {
    "boolean": (1, "?"), "guid": (2, "V16"), "byte": (4, "u1"), "short": (5, "<i2"),
    "int": (6, "<i4"), "long": (7, "<i8"), "real": (8, "<f4"), "float": (9, "<f8"),
    "char": (10, "u1"), "symbol": (11, ""), "timestamp": (12, "<i8"), "month": (13, "<i4"),
    "date": (14, "<i4"), "datetime": (15, "<f8"), "timespan": (16, "<i8"), "minute": (17, "<i4"),
    "second": (18, "<i4"), "time": (19, "<i4"), "string": (0, ""),
}  # fmt: skip
SCHEMA = """
[tables.fx]
bid = "float"
ask = "float"
size = "int"
note = "string"
side = "char"
"""


@pytest.fixture(scope="module")
def plant(kx: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantProcess]:
    with plant_process(tmp_path_factory.mktemp("plant") / "data", SCHEMA) as running:
        yield running


@pytest.fixture
def connect(kx: Any) -> Iterator[Callable[..., Any]]:
    """Give a function that connects; connections are closed at the end."""
    opened: list[Any] = []

    def open_one(plant: PlantProcess, **options: Any) -> Any:
        opened.append(kx.SyncQConnection("127.0.0.1", plant.port, **options))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


def receive(
    kx: Any, plant: PlantProcess, requests: list[tuple[Any, ...]], act: Callable[[], None],
    count: int,
) -> tuple[list[bytes], list[bytes]]:  # fmt: skip
    """Subscribe, act, and give the answers and the `count` messages that were pushed, as bytes."""

    async def go() -> tuple[list[bytes], list[bytes]]:
        async with kx.RawQConnection("127.0.0.1", plant.port, no_ctx=True) as q:
            answers = [raw_of(kx, await q(*request)) for request in requests]
            act()
            pushed: list[bytes] = []
            while len(pushed) < count:
                message = q.poll_recv()
                if message is not None:
                    pushed.append(raw_of(kx, message))
            return answers, pushed

    return asyncio.run(asyncio.wait_for(go(), 20))


def raw_of(kx: Any, value: Any) -> bytes:
    """Give a q value's bytes after the header."""
    return bytes(kx.serialize(value))[8:]


def told(message: bytes) -> tuple[str, ...]:
    """Give a pushed message's function, and its table if it has one."""
    function, argument, *_ = q_bytes.items(message)
    name = q_bytes.symbol(function)
    return (name, q_bytes.symbol(argument)) if argument[0] == 0xF5 else (name,)


def floats(message: bytes, name: str) -> list[float]:
    """Give a column of floats of a pushed message."""
    column = q_bytes.columns(q_bytes.items(message)[2])[name]
    assert column[0] == 9
    values: list[float] = np.frombuffer(column, "<f8", offset=6).tolist()
    return values


# Asking


@pytest.mark.parametrize("options", [{"no_ctx": True}, {}, {"large_messages": False}])
def test_pykx_connects_and_sees_every_table(
    connect: Callable[..., Any], plant: PlantProcess, options: dict[str, Any]
) -> None:
    q = connect(plant, **options)
    assert q("tables[]").py() == sorted(["fx", *(table.name for table in TABLES)])
    for table in TABLES:
        assert q("cols", table.name).py() == list(table.names)
        assert q(f"cols {table.name}").py() == list(table.names)
        assert q(f"count {table.name}").py() >= 0


def test_meta_is_a_keyed_table_of_names_and_type_characters(
    kx: Any, connect: Callable[..., Any], plant: PlantProcess
) -> None:
    meta = raw_of(kx, connect(plant)("meta fx"))
    assert meta[0] == 99
    end = q_bytes.end_of(meta, 1)
    names = q_bytes.columns(meta[1:end])["c"][6:].decode().split("\0")[:-1]
    assert names == ["time", "sym", "bid", "ask", "size", "note", "side", "seq"]
    assert q_bytes.columns(meta[end:])["t"][6:] == b"psffiCcj"


def test_an_empty_table_has_every_column_s_type(
    connect: Callable[..., Any], plant: PlantProcess
) -> None:
    imbalance = connect(plant)("imbalance").np()
    assert len(imbalance) == 0
    assert imbalance.dtype["ref"] == np.float64
    assert imbalance.dtype["time"] == np.dtype("datetime64[ns]")


def test_what_the_port_cannot_do_is_a_q_error_with_a_sentence(
    kx: Any, connect: Callable[..., Any], plant: PlantProcess
) -> None:
    q = connect(plant)
    for request, said in (
        (("select from trade",), "nyi: 'select from trade'; this port knows .u.sub, .u.upd"),
        (("nosuch",), "nosuch: no such table; there are bar, book, clock"),
        ((".u.sub", "nosuch", ""), "nosuch: no such table"),
        (("{x+y}", 1, 2), "nyi: a call of '{x+y}'"),
        ((".u.end", datetime.date(2024, 1, 2)), "the plant ends its own days"),
        ((".u.sub", "trade", "", {"from": -(10**6), "colunms": ["sym"]}), "option 'colunms' seen"),
        ((".u.sub", "trade", "", {"columns": ["sym", "prise"]}), "has no column 'prise'; it has"),
        ((".u.sub", "trade", "", {"from": 10**12}), "was that seq another plant's?"),
    ):
        with pytest.raises(kx.QError) as refusal:
            q(*request)
        assert said in str(refusal.value)


# Publishing


@pytest.mark.parametrize("name", ["journal", "clock", "symbol", "control", *sorted(RESERVED_NAMES)])
def test_the_log_s_own_tables_and_what_trades_are_refused(
    kx: Any, connect: Callable[..., Any], plant: PlantProcess, name: str
) -> None:
    with pytest.raises(kx.QError, match=f"may not publish into {name}|{name}: no such table"):
        connect(plant)(".u.upd", name, [["A"], [1]])


def stamped(day: int, rows: int) -> npt.NDArray[np.datetime64]:
    noon = np.datetime64("2024-01-02T12:00:00", "ns") + np.timedelta64(day, "D")
    return noon + np.arange(rows) * np.timedelta64(1, "us")


@pytest.mark.parametrize("wait", [True, False])
def test_rows_may_come_with_or_without_time_and_seq(
    connect: Callable[..., Any], plant: PlantProcess, wait: bool
) -> None:
    q = connect(plant)
    before = q("count fx").py()
    rows = [["AUDUSD", "EURUSD"], [1.5, 2.5], [1.6, 2.6], np.array([1, 2], np.int32),
            [b"first", b"second"], b"BS"]  # fmt: skip
    seqs = [7, 7]
    for given in (
        [stamped(0, 2), *rows, seqs],
        [stamped(0, 2), *rows],
        [np.array([1, 2], "timedelta64[ns]"), *rows],
        [*rows, seqs],
        rows,
    ):
        q(".u.upd", "fx", given, wait=wait)
    got = q("fx").pd().iloc[before:]
    assert got["bid"].tolist() == [1.5, 2.5] * 5
    assert got["note"].tolist() == [b"first", b"second"] * 5
    assert got["side"].tolist() == [b"B", b"S"] * 5
    assert (np.diff(q("fx").pd()["seq"]) > 0).all()
    assert got["time"].is_monotonic_increasing


def test_one_row_may_come_as_atoms_as_lists_or_as_a_dictionary(
    connect: Callable[..., Any], plant: PlantProcess
) -> None:
    q = connect(plant)
    before = q("count fx").py()
    q.upd("fx", ["EURUSD", 1.25, 1.5, 3, b"atoms", "B"])
    q.upd("fx", [["EURUSD"], [1.25], [1.5], [3], [b"atoms"], ["B"]])
    q.upd("fx", {"sym": "EURUSD", "bid": 1.25, "ask": 1.5, "size": 3, "note": "atoms", "side": "B"})
    q.upd("fx", {"sym": ["EURUSD"], "note": [b"only"]})
    got = q("fx").pd().iloc[before:].drop(columns=["time", "seq"])
    row = ["EURUSD", 1.25, 1.5, 3, b"atoms", b"B"]
    assert got.values.tolist()[:3] == [row] * 3
    assert got["note"].tolist()[3] == b"only"
    assert got["side"].tolist()[3] == b" "
    assert q("fx").np()["bid"][before + 3] != q("fx").np()["bid"][before + 3], "a null float"


def test_none_in_a_python_list_is_the_column_s_null(
    connect: Callable[..., Any], plant: PlantProcess
) -> None:
    q = connect(plant)
    before = q("count fx").py()
    q.upd("fx", [["A", None], [1, None], [None, 2.5], [4, None], [None, b"x"], [None, "S"]])
    got = q("fx").np()[before:]
    assert got["sym"].tolist() == ["A", ""]
    assert np.isnan(got["bid"]).tolist() == [False, True]
    assert np.isnan(got["ask"]).tolist() == [True, False]
    assert got["size"].tolist() == [4, -(2**31)]
    assert [note if isinstance(note, bytes) else note.py() for note in got["note"]] == [b"", b"x"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([["A"], [1.0]], "length: fx: 2 columns seen; 8 expected"),
        ([["A"], ["x"], [1.0], [1], [b""], ["B"]], "fx.bid: symbol seen, float expected"),
        ([["A"], [1.0], [1.0], [1.5], [b""], ["B"]], "fx.size: float seen, int expected"),
        ([["A"], [1.0], [1.0], [2**31], [b""], ["B"]], "fx.size: 2147483648 seen, an int expected"),
        ([["A", "B"], [1.0], [1.0], [1], [b""], ["B"]], "columns of unequal length"),
        ([["A"], [1.0], [1.0], [1], [5], ["B"]], "fx.note: long seen, string expected"),
        (
            [["A"], [1.0], [1.0], [1], [b""], ["BUY"]],
            "fx.side: a list of symbol seen, char",
        ),
        ([[1], [1.0], [1.0], [1], [b""], ["B"]], "fx.sym: a list of long seen, symbol expected"),
        ({"bid": [1.0]}, "no column sym seen"),
        ({"sym": ["A"], "bit": [1.0]}, "fx has no column 'bit'"),
        (5, "a list of columns, the values of one row, or a table expected"),
        (
            [np.array([-1], "timedelta64[ns]"), ["A"], [1.0], [1.0], [1], [b""], ["B"]],
            "a timespan within one day expected",
        ),
    ],
)
def test_rows_that_do_not_fit_are_refused_and_leave_nothing(
    kx: Any, connect: Callable[..., Any], plant: PlantProcess, data: Any, said: str
) -> None:
    q = connect(plant)
    before = q("count fx").py(), q(".u.i").py(), q("count symbol").py()
    with pytest.raises(kx.QError) as refusal:
        q.upd("fx", data)
    assert said in str(refusal.value)
    assert (q("count fx").py(), q(".u.i").py(), q("count symbol").py()) == before


def test_a_data_frame_is_published_by_column_name(
    connect: Callable[..., Any], plant: PlantProcess
) -> None:
    pandas = pytest.importorskip("pandas")
    q = connect(plant)
    # This plant's clock is its feed's: it has one from the first row with a time on.
    q.upd("trade", pandas.DataFrame({"time": stamped(0, 1), "sym": ["AAPL"]}))
    before = q("count trade").py()
    q.upd(
        "trade",
        pandas.DataFrame({"size": [5, 7], "sym": ["AAPL", "MSFT"], "price": [100.1, 0.3]}),
    )
    got = q("trade").pd().iloc[before:]
    assert got["sym"].tolist() == ["AAPL", "MSFT"]
    assert got["price"].tolist() == [100.1, 0.3]
    assert got["size"].tolist() == [5, 7]


# Every type, random tables


def vector_of(kx: Any, kind: str, values: Any) -> Any:
    """Make a q vector from its documented bytes, read by KX's own code."""
    number, _ = Q_TYPES[kind]
    if kind == "string":
        body = b"".join(b"\x0a\0" + len(v).to_bytes(4, "little") + v for v in values)
    elif kind == "symbol":
        body = b"".join(value.encode() + b"\0" for value in values)
    else:
        body = values.tobytes()
    payload = bytes([number, 0]) + len(values).to_bytes(4, "little") + body
    header = bytes([1, 0, 0, 0]) + (8 + len(payload)).to_bytes(4, "little")
    return kx.deserialize(header + payload)


def bytes_of(kx: Any, value: Any) -> bytes:
    """Give a q vector's bytes after the header, without its attribute."""
    raw = raw_of(kx, value)
    return raw[:1] + b"\0" + raw[2:]


def random_values(dice: random.Random, kind: str, rows: int) -> Any:
    if kind == "symbol":
        names = ["", "é", "a b", "x" * 300, *(f"N{dice.randrange(50)}" for _ in range(5))]
        return [dice.choice(names) for _ in range(rows)]
    if kind == "string":
        return [dice.randbytes(dice.choice([0, 2, 5, 300])) for _ in range(rows)]
    dtype = np.dtype(Q_TYPES[kind][1])
    if kind == "boolean":
        return np.array([dice.random() < 0.5 for _ in range(rows)])
    raw = np.frombuffer(dice.randbytes(rows * dtype.itemsize), dtype=dtype).copy()
    if dtype.kind == "f":
        # Which of the many NaNs survives a conversion is not promised.
        raw[np.isnan(raw)] = 1.5
    return raw


def random_tables(dice: random.Random) -> dict[str, dict[str, str]]:
    tables = {}
    for number in range(3):
        kinds = list(Q_TYPES)
        dice.shuffle(kinds)
        kinds = kinds if number == 0 else kinds[: dice.randint(1, 12)]
        name = "".join(dice.choices("abcdefghijkXYZ", k=dice.randint(1, 20))) + str(number)
        tables[name] = {f"{dice.choice('uvwXYZ')}{i}_{kind}": kind for i, kind in enumerate(kinds)}
    return tables


# PyKX warns of a type that kdb+ still has.
@pytest.mark.filterwarnings("ignore:The q datetime type is deprecated:DeprecationWarning")
def test_random_tables_of_every_type_come_back_as_they_were_sent(
    kx: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    tables = random_tables(dice)
    config = "".join(
        f"[tables.{name}]\n" + "".join(f'{key} = "{kind}"\n' for key, kind in columns.items())
        for name, columns in tables.items()
    )
    sent: list[tuple[str, list[Any]]] = []
    with plant_process(tmp_path / "data", config) as plant:
        q = connect(plant)

        def publish() -> None:
            for _ in range(12):
                name = dice.choice(list(tables))
                rows = dice.choice([1, 2, 50])
                columns = [
                    vector_of(kx, kind, random_values(dice, kind, rows))
                    for kind in ["symbol", *tables[name].values()]
                ]
                times = vector_of(kx, "timestamp", np.full(rows, 8 * 10**17 + len(sent)))
                q(".u.upd", name, [times, *columns], wait=dice.random() < 0.5)
                sent.append((name, columns))

        answers, pushed = receive(kx, plant, [(".u.sub", list(tables), "")], publish, 12)
        schemas = [q_bytes.items(schema) for schema in q_bytes.items(answers[0])]
        assert [q_bytes.symbol(name) for name, _ in schemas] == list(tables)
        for (name, columns), message in zip(sent, pushed, strict=True):
            assert told(message) == ("upd", name)
            got = q_bytes.columns(q_bytes.items(message)[2])
            assert list(got) == ["time", "sym", *tables[name], "seq"]
            for key, column in zip(["sym", *tables[name]], columns, strict=True):
                assert got[key] == bytes_of(kx, column), f"{name}.{key}"
        plant.stop()


# Subscribing


def test_pykx_subscribes_and_receives_typed_rows(
    kx: Any, connect: Callable[..., Any], plant: PlantProcess
) -> None:
    publisher = connect(plant)
    now = stamped(0, 2) + np.timedelta64(1, "h")

    def act() -> None:
        publisher.upd("trade", {"time": now, "sym": ["AAPL", "MSFT"], "price": [1.5, 2.5]})

    answers, pushed = receive(kx, plant, [(".u.sub", "trade", "")], act, 1)
    name, schema = q_bytes.items(answers[0])
    assert q_bytes.symbol(name) == "trade"
    types = {key: column[0] for key, column in q_bytes.columns(schema).items()}
    assert told(pushed[0]) == ("upd", "trade")
    rows = q_bytes.columns(q_bytes.items(pushed[0])[2])
    assert {key: column[0] for key, column in rows.items()} == types
    assert floats(pushed[0], "price") == [1.5, 2.5]
    assert rows["time"][6:] == (now - EPOCH).astype(np.int64).tobytes()


def test_symbols_and_columns_are_filtered(
    kx: Any, connect: Callable[..., Any], plant: PlantProcess
) -> None:
    publisher = connect(plant)
    fresh = f"NEW{secrets.randbits(30)}"

    def act() -> None:
        publisher.upd("trade", [stamped(0, 1), ["AAPL"], [1.0], *nothing(1)])
        publisher.upd(
            "trade", [stamped(0, 3), [fresh, "AAPL", "IBM"], [2.0, 3.0, 4.0], *nothing(3)]
        )
        publisher.upd("trade", [stamped(0, 1), ["IBM"], [5.0], *nothing(1)])

    options = {"columns": ["price", "sym"]}
    answers, pushed = receive(kx, plant, [(".u.sub", "trade", [fresh, "IBM"], options)], act, 2)
    assert list(q_bytes.columns(q_bytes.items(answers[0])[1])) == ["sym", "price"]
    assert [floats(message, "price") for message in pushed] == [[2.0, 4.0], [5.0]]
    symbols = q_bytes.columns(q_bytes.items(pushed[0])[2])["sym"]
    assert symbols[6:] == f"{fresh}\0IBM\0".encode()


def nothing(rows: int) -> list[Any]:
    """Give nulls for a trade's columns after price, but for seq."""
    return [[None] * rows for _ in range(6)]


def test_a_subscription_from_a_seq_gets_the_past_and_then_the_present(
    kx: Any, connect: Callable[..., Any], plant: PlantProcess
) -> None:
    publisher = connect(plant)
    publisher.upd("quote", {"sym": ["A", "B"], "bid": [1.0, 2.0], "time": stamped(0, 2)})
    publisher.upd("quote", {"sym": ["C"], "bid": [3.0], "time": stamped(0, 1)})
    seqs = publisher("quote").pd()["seq"].tolist()

    def act() -> None:
        publisher.upd("quote", {"sym": ["D"], "bid": [4.0], "time": stamped(0, 1)})

    # The first row is not wanted, and the second message begins with the row after it.
    _, pushed = receive(kx, plant, [(".u.sub", "quote", "", {"from": seqs[-2]})], act, 3)
    assert [row for message in pushed for row in floats(message, "bid")] == [2.0, 3.0, 4.0]


def test_the_day_s_end_is_told_to_every_subscriber_between_the_sessions_rows(
    kx: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    with plant_process(tmp_path / "data") as plant:
        publisher = connect(plant)

        def act() -> None:
            for day in (0, 1):
                publisher.upd("trade", [stamped(day, 1), ["A"], [float(day)], *nothing(1)])

        _, pushed = receive(kx, plant, [(".u.sub", "trade", "")], act, 3)
        order = [("upd", "trade"), (".u.end",), ("upd", "trade")]
        assert [told(message) for message in pushed] == order
        day = np.datetime64("2024-01-02") - np.datetime64("2000-01-01")
        assert q_bytes.items(pushed[1])[1] == bytes([256 - 14]) + day.astype("<i4").tobytes()
        assert publisher(".u.d").py() == datetime.date(2024, 1, 3)
        # One who comes later and asks for everything hears of it at the same place.
        _, again = receive(kx, plant, [(".u.sub", "trade", "", {"from": 0})], lambda: None, 3)
        assert again == pushed


def readme_lines() -> str:
    """Give the first page's lines for a subscriber."""
    text = (Path(__file__).parents[1] / "README.md").read_text()
    blocks: list[str] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (found,) = [block for block in blocks if ".u.sub" in block]
    return found


def test_the_first_page_s_lines_subscribe_and_print_rows(
    connect: Callable[..., Any], plant: PlantProcess
) -> None:
    lines = readme_lines()
    assert "5010" in lines, "the default port expected"
    typed = lines.replace("5010", str(plant.port)) + "\n"
    console = subprocess.Popen(
        [sys.executable, "-m", "asyncio"],
        env={**os.environ, "PYKX_UNLICENSED": "1", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert console.stdin is not None
    assert console.stdout is not None
    publisher = connect(plant)
    seen = b""
    try:
        console.stdin.write(typed.encode())
        console.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(console.stdout, selectors.EVENT_READ)
            for _ in range(200):
                publisher.upd("trade", {"sym": ["README"], "price": [100.1], "time": stamped(0, 1)})
                if selector.select(0.1):
                    seen += os.read(console.stdout.fileno(), 1 << 16)
                if b"README" in seen and b"100.1" in seen:
                    break
    finally:
        console.kill()
        console.communicate()
    assert b"README" in seen, seen[-2000:]
    assert b"100.1" in seen
    # A console prints the values of lines in a loop, too.
    assert b"True" not in seen


def test_a_client_goes_on_where_it_was_when_a_killed_plant_is_back(
    kx: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    def publish(plant: PlantProcess, values: range) -> None:
        q = connect(plant)
        for value in values:
            q.upd("trade", [stamped(0, 1), ["A"], [float(value)], *nothing(1)])

    with plant_process(tmp_path / "data") as plant:
        _, pushed = receive(
            kx, plant, [(".u.sub", "trade", "")], lambda: publish(plant, range(3)), 3
        )
        seqs = [q_bytes.columns(q_bytes.items(message)[2])["seq"][6:] for message in pushed]
        publish(plant, range(3, 5))
        plant.kill()
    with plant_process(tmp_path / "data") as plant:
        _, pushed = receive(
            kx, plant,
            [(".u.sub", "trade", "", {"from": int.from_bytes(seqs[-1], "little") + 1})],
            lambda: publish(plant, range(5, 7)), 3,
        )  # fmt: skip
        assert [value for message in pushed for value in floats(message, "price")] == [
            3.0, 4.0, 5.0, 6.0,
        ]  # fmt: skip


# What a kdb+ RDB does


def test_an_rdb_s_opening_call_tells_what_to_replay_and_that_equals_the_store(
    kx: Any, connect: Callable[..., Any], tmp_path: Path
) -> None:
    with plant_process(tmp_path / "data", SCHEMA) as plant:
        q = connect(plant)
        _, position = q_bytes.items(raw_of(kx, q("(.u.sub[`;`];.u `i`L)")))
        count, log = q_bytes.items(position)
        assert count[1:] == np.int64(-(2**63)).tobytes(), "no log is open yet"
        assert q_bytes.symbol(log) == ""
        for number in range(5):
            q.upd("trade", [stamped(0, 3), ["A", "B", "A"], [1.0, 2.0, number], *nothing(3)])
            q.upd("fx", [["EURUSD"], [1.0], [2.0], [number], [b"note"], ["B"]])
        for table in MARKET_DATA:
            q.upd(table.name, {"sym": ["A", "Ä"], "time": stamped(0, 2)})
        schemas, position = q_bytes.items(raw_of(kx, q("(.u.sub[`;`];.u `i`L)")))
        count, log = q_bytes.items(position)
        messages = int.from_bytes(count[1:], "little")
        replayed: dict[str, list[list[bytes]]] = {
            q_bytes.symbol(q_bytes.items(pair)[0]): [] for pair in q_bytes.items(schemas)
        }
        for message in replay(kx, Path(q_bytes.symbol(log).removeprefix(":")), messages):
            replayed[message[0]].append(message[1])
        assert len(replayed["trade"]) == 6
        published = {"fx", *(table.name for table in MARKET_DATA)}
        assert all(replayed[name] for name in published)
        for name, batches in replayed.items():
            store = q_bytes.columns(raw_of(kx, q(name)))
            for index, (key, column) in enumerate(store.items()):
                logged = b"".join(batch[index][6:] for batch in batches)
                assert column[6:] == logged, f"{name}.{key}"
        plant.stop()


def replay(kx: Any, log: Path, messages: int) -> Iterator[tuple[str, list[bytes]]]:
    """Replay as -11! does, by KX's own code; give each message's table and columns."""
    found = list(q_bytes.messages_of(log))[:messages]
    assert len(found) == messages
    for message in found:
        function, name, columns = q_bytes.items(raw_of(kx, kx.deserialize(q_bytes.framed(message))))
        assert q_bytes.symbol(function) == "upd"
        yield q_bytes.symbol(name), q_bytes.items(columns)
