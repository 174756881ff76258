"""The plant's port: what an acknowledgement means, and who is let in."""

import socket
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.forgetful_disk import ForgetfulDisk
from tests.plant_process import plant_process
from tests.plants import NOON, logged, publish_trades
from tests.port import Port, Reader
from tickloop.app.password_file import read_passwords
from tickloop.app.plant_run import PlantRun, RunSettings
from tickloop.core.config import Config, ServeConfig
from tickloop.core.errors import ConfigError, QueryError, WireError
from tickloop.core.schema import TABLES
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.log_file import Sync
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_codec import MessageKind, encode, message

# A byte that is no UTF-8.
WRONG = "ann:\udcff"


def one_trade(trade_id: int) -> q.Value:
    """Make a publication of one row."""
    row = q.table(
        {
            "time": q.vector(q.QType.TIMESTAMP, [NOON + trade_id]),
            "sym": q.symbols(["AAPL"]),
            "trade_id": q.vector(q.QType.LONG, [trade_id]),
        }
    )
    return q.items(q.symbol(".u.upd"), q.symbol("trade"), row)


def whole_values(raw: bytes, *, dtype: str) -> npt.NDArray[np.generic]:
    """Read bytes as values, without what is left over."""
    width = np.dtype(dtype).itemsize
    return np.frombuffer(raw[: len(raw) // width * width], dtype=dtype)


# Acknowledgements


def test_with_sync_batch_a_publication_is_answered_when_it_would_survive_a_power_cut(
    tmp_path: Path,
) -> None:
    root = tmp_path / "data"
    root.mkdir()
    disk = ForgetfulDisk(root)
    port = Port(root, sync=Sync.BATCH, door=disk)
    reader = Reader(port)
    for number in range(3):
        left = tmp_path / f"before{number}"
        reader._sock.sendall(message(MessageKind.SYNC, encode(one_trade(number))))
        while not port.server.poll(0.01):
            pass
        # Handled but not committed: neither answered nor on the disk.
        port.server.flush()
        reader.read()
        assert len(reader.answers) == number
        assert ids_on(disk.leave(left)) == list(range(number))
        while len(reader.answers) == number:
            port.poll()
            reader.read()
        assert ids_on(disk.leave(tmp_path / f"after{number}")) == list(range(number + 1))
    reader.close()
    port.close()


def ids_on(left: Path) -> list[int]:
    return [value for _, value in logged(left)] if any(left.glob("journal/*.log")) else []


def test_publications_that_arrive_together_share_one_sync(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    disk = ForgetfulDisk(root)
    port = Port(root, sync=Sync.BATCH, door=disk)
    publish_trades(port.plant, 1)
    readers = [Reader(port) for _ in range(5)]
    before = disk.operations.count("sync")
    for number, reader in enumerate(readers):
        reader._sock.sendall(message(MessageKind.SYNC, encode(one_trade(number))))
    handled = 0
    while handled < 5:
        handled += port.server.poll(0.01)
    port.poll()
    for reader in readers:
        reader.read_all()
        assert reader.answers[0] == encode(q.IDENTITY)
        reader.close()
    assert disk.operations.count("sync") == before + 1
    port.close()


def test_a_publication_that_the_disk_refuses_is_answered_with_the_reason(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    disk = ForgetfulDisk(root)
    port = Port(root, door=disk)
    publish_trades(port.plant, 1)
    reader = Reader(port)
    disk._fail_at = len(disk.operations)
    reader.ask(one_trade(1))
    reader.ask(one_trade(2))
    reader.read_all()
    assert b"the disk is full" in reader.answers[0]
    assert reader.answers[1] == encode(q.IDENTITY)
    reader.close()
    port.close()
    assert [value for _, value in logged(root)] == [0, 2]


# Anything at all


WORDS = st.sampled_from(["", "time", "sym", "seq", "price", "size_unit", "body", "é", "AAPL", "x"])
TINY = (q.QType.CHAR, q.QType.BYTE, q.QType.BOOLEAN)
WHOLE = tuple(kind for kind in q.INFINITIES if kind not in (q.QType.REAL, q.QType.FLOAT))
ATOMS = st.one_of(
    st.builds(q.symbol, WORDS),
    st.builds(q.atom, st.sampled_from(WHOLE), st.sampled_from([0, 1, -1, 2**7 - 1])),
    st.builds(q.atom, st.sampled_from(TINY), st.integers(0, 1)),
    st.builds(q.float_atom, st.floats()),
    st.builds(q.null, st.sampled_from(list(q.QType))),
    st.just(q.IDENTITY),
    st.builds(q.Lambda, st.just(""), st.just("{x}")),
)
VECTORS = st.one_of(
    st.builds(q.symbols, st.lists(WORDS, max_size=12)),
    st.builds(q.chars, st.binary(max_size=12)),
    st.builds(
        lambda kind, raw: q.vector(kind, whole_values(raw, dtype=q.DTYPES[kind])),
        st.sampled_from(list(q.DTYPES)), st.binary(max_size=64),
    ),
)  # fmt: skip
VALUES = st.recursive(
    ATOMS | VECTORS,
    lambda inner: st.one_of(
        st.builds(lambda found: q.List(tuple(found)), st.lists(inner, max_size=12)),
        st.builds(q.Dictionary, inner, inner),
    ),
    max_leaves=14,
)
CALLS = st.sampled_from([".u.upd"] * 6 + [".u.sub", "cols", "get", ".u.end", "nosuch"])


@st.composite
def requests(draw: st.DrawFn) -> q.Value:
    """Make a call, often a publication of columns that may fit."""
    table = draw(st.sampled_from(TABLES))
    value: q.Value = draw(VALUES)
    if draw(st.booleans()):
        names = draw(st.permutations(table.names))
        keys = ["sym", *[name for name in names if name != "sym"][:2]]
        columns = tuple(draw(ATOMS | VECTORS) for _ in keys)
        value = q.Dictionary(q.symbols(keys), q.List(columns))
    return q.items(q.symbol(draw(CALLS)), q.symbol(table.name), value)


@given(data=st.data())
@settings(max_examples=150)
def test_whatever_is_sent_is_answered_and_the_plant_goes_on(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        with closing(Port(Path(folder))) as port, closing(Reader(port)) as reader:
            for _ in range(8):
                reader.ask(data.draw(requests()))
            reader.ask(one_trade(1))
            reader.read_all()
            assert len(reader.answers) == reader.asked
            assert reader.answers[-2] == encode(q.IDENTITY), "a good row is taken after bad ones"
        rows = logged(Path(folder))
        assert rows == sorted(rows)


# Who is let in


def serving(root: Path, **serve: Any) -> PlantRun:
    config = replace(Config(), serve=ServeConfig(port=0, **serve))
    return PlantRun(root, config, RunSettings("UTC", False, False))


def test_a_wide_bind_without_a_password_file_is_refused(tmp_path: Path) -> None:
    run = serving(tmp_path / "data", host="0.0.0.0")
    with pytest.raises(ConfigError, match="configure users and passwords, or listen on 127"):
        run.serve()
    run.abandon()


def test_a_wide_bind_with_a_password_file_asks_everybody(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("# who\n\njoe:se:cret\nann:pass\n")
    config = f'[serve]\nhost = "0.0.0.0"\npassword_file = "{tmp_path / "users"}"\n'
    with plant_process(tmp_path / "data", config) as plant:
        with QClient("127.0.0.1", plant.port, user="joe", password="se:cret") as client:
            assert "trade" in (q.names_of(client.call("tables[]")) or [])
        for login in ("joe:secret", "joe:", ":", "eve:pass", "ann:se:cret", "joe:se:cret ", WRONG):
            user, _, password = login.partition(":")
            with pytest.raises(WireError, match="refused the login"):
                QClient("127.0.0.1", plant.port, user=user, password=password)
        refused = pytest.raises(QueryError, match="ann may not publish into journal")
        with QClient("127.0.0.1", plant.port, user="ann", password="pass") as client, refused:
            client.call(q.items(q.symbol(".u.upd"), q.symbol("journal"), q.items()))
        plant.stop()


def test_users_publish_only_into_the_tables_that_they_were_granted(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("feed:a\nops:b\nguest:c\n")
    config = (
        f'[serve]\npassword_file = "{tmp_path / "users"}"\n'
        '[serve.publish]\nfeed = "trade quote"\nops = "*"\n'
    )
    asked = {("feed", "trade"), ("feed", "status"), ("ops", "status"), ("guest", "trade")}
    passwords = {"feed": "a", "ops": "b", "guest": "c"}
    let_in = set()
    with plant_process(tmp_path / "data", config) as plant:
        for user, table in sorted(asked):
            with QClient("127.0.0.1", plant.port, user=user, password=passwords[user]) as client:
                try:
                    client.call(q.items(q.symbol(".u.upd"), q.symbol(table), q.items()))
                except QueryError as error:
                    if f"{user} may not publish into {table}" in str(error):
                        continue
                let_in.add((user, table))
        plant.stop()
    assert let_in == {("feed", "trade"), ("ops", "status")}


@pytest.mark.parametrize(
    ("serve", "said"),
    [
        ({"publish": {"joe": "trade"}}, "everybody may call himself anything"),
        ({"publish": {"joe": "trade trad"}, "password_file": "x"}, "joe: table 'trad' seen"),
    ],
)
def test_rights_that_could_not_hold_are_refused(
    tmp_path: Path, serve: dict[str, Any], said: str
) -> None:
    run = serving(tmp_path / "data", **serve)
    with pytest.raises(ConfigError, match=said):
        run.serve()
    run.abandon()


def test_pykx_logs_in_with_a_password(kx: object, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("joe:secret\n")
    with plant_process(
        tmp_path / "data", f'[serve]\npassword_file = "{tmp_path / "users"}"\n'
    ) as plant:
        connect = kx.SyncQConnection  # type: ignore[attr-defined]
        with connect("127.0.0.1", plant.port, username="joe", password="secret") as q_port:
            assert "trade" in q_port("tables[]").py()
        with pytest.raises(Exception, match="Authentication error"):
            connect("127.0.0.1", plant.port, username="joe", password="wrong")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("joe:x\nsecret99\n", ":2: a line that is not `user:password` seen"),
        (":secret99\n", ":1: a line that is not `user:password` seen"),
        ("joe:\n", ":1: a line that is not `user:password` seen"),
        ("joe:secret99\njoe:secret98\n", ":2: user 'joe' seen twice"),
        ("# nobody\n", "no user in it"),
    ],
)
def test_a_bad_password_file_is_refused_by_line_without_its_secrets(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "users"
    path.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        read_passwords(str(path))
    assert said in str(refusal.value)
    assert "secret" not in str(refusal.value)


def test_a_missing_password_file_is_refused_before_anything_listens(tmp_path: Path) -> None:
    run = serving(tmp_path / "data", password_file=str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"none: cannot be read \(No such file"):
        run.serve()
    run.abandon()


def test_a_refused_login_leaves_no_password_in_what_the_server_remembers(tmp_path: Path) -> None:
    port = Port(tmp_path, authenticate=lambda user, password: False)
    with socket.create_connection(("127.0.0.1", port.server.port)) as sock:
        sock.sendall(b"joe:hunter2\x03\0")
        while not port.server.counts:
            port.poll()
        assert sock.recv(1) == b""
    assert port.server.counts == {"refused_login": 1}
    assert "hunter2" not in port.server.last_error
    port.close()
