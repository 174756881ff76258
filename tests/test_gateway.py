"""The query gateway: answers, variables, limits; and nothing that one peer does hurts another."""

import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.gateway_process import Serving, cpu_s, seconds, serving, wait_until
from tickloop.core.errors import QueryError, WireError
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.q_client import QClient
from tickloop.tickerplant.q_codec import MessageKind, encode, message
from tickloop.tickerplant.q_login import login_bytes

TIMEOUT_S = 5.0
RIGHTS = f"""
[default]
timeout_s = {TIMEOUT_S}
memory_mib = 512
rows = 20000000
[users.reader]
write = false
rows = 3
[users.patient]
timeout_s = 60.0
[users.hasty]
queue = 2
timeout_s = 0.5
"""
FOREVER = "while[1b;1+1]"
# One call of the machine's own code, which no loop in the language interrupts.
DEAF = "s)select sum(a.range*b.range) from range(1000000) a, range(1000000) b"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    root = tmp_path_factory.mktemp("gateway") / "data"
    root.mkdir()
    rights = root.with_name("rights.toml")
    rights.write_text(RIGHTS)
    with serving(root, f'[query]\nrights = "{rights}"\nworkers = 3\nprocesses = 16\n') as found:
        yield found


@pytest.fixture
def client(served: Serving) -> Iterator[QClient]:
    with served.client() as found:
        yield found


def test_text_is_evaluated(client: QClient) -> None:
    assert client.call("1+1") == q.long(2)
    assert client.call('"abc"') == q.chars("abc")


def test_a_function_of_text_is_applied_to_arguments(client: QClient) -> None:
    asked = q.items(q.chars("{x+2*y}"), q.long(3), q.vector(q.QType.LONG, [1, 2]))
    assert client.call(asked) == q.vector(q.QType.LONG, [5, 7])


def test_a_function_that_travels_is_applied(client: QClient) -> None:
    assert client.call(q.items(q.Lambda("", "{x-y}"), q.long(3), q.long(1))) == q.long(2)
    assert client.call(q.items(q.Primitive(102, 1), q.long(3), q.long(1))) == q.long(4)


def test_a_name_is_called_and_read(client: QClient) -> None:
    client.call("double:{2*x}")
    assert client.call(q.items(q.symbol("double"), q.long(4))) == q.long(8)
    assert client.call(q.symbol("double")) == q.Lambda("", "{2*x}")


def test_variables_belong_to_their_connection(served: Serving, client: QClient) -> None:
    client.call("mine:5")
    with served.client() as other:
        assert client.call("mine+1") == q.long(6)
        with pytest.raises(QueryError, match="mine"):
            other.call("mine")


def test_a_message_that_nobody_waits_for_is_evaluated(client: QClient) -> None:
    client.post("sent:7")
    assert client.call("sent") == q.long(7)


def test_a_wrong_question_is_an_error_and_the_connection_goes_on(client: QClient) -> None:
    for wrong in ("(1+", "`a+1", "nothing_has_this_name", "s)selec 1", "{x}[1;2;3;4;5;6;7;8;9]"):
        with pytest.raises(QueryError):
            client.call(wrong)
    assert client.call("1+1") == q.long(2)


def test_sql_is_answered_on_the_same_port(client: QClient) -> None:
    found = client.call("s)select 6*7 as answer, 'x' as name")
    assert isinstance(found, q.Table)
    assert found["answer"] == q.vector(q.QType.INT, [42])
    assert found["name"] == q.symbols(["x"])
    assert client.call(q.items(q.symbol(".s.e"), q.chars("select 1 as one"))) == client.call(
        "s)select 1 as one"
    )


def test_a_query_that_runs_too_long_ends_with_a_sentence_and_keeps_variables(
    client: QClient,
) -> None:
    client.call("kept:1")
    took = seconds(
        lambda: _refused(client, FOREVER, f"timeout: the query ran longer than {TIMEOUT_S:g} s")
    )
    assert TIMEOUT_S <= took < 3 * TIMEOUT_S
    assert client.call("kept") == q.long(1)


def test_a_query_that_hears_nothing_is_killed_and_others_do_not_notice(
    served: Serving, client: QClient
) -> None:
    client.call("lost:1")
    with served.client() as other, ThreadPoolExecutor(1) as pool:
        deaf = pool.submit(lambda: _refused(client, DEAF, "timeout"))
        worst = 0.0
        while not deaf.done():
            worst = max(worst, seconds(lambda: other.call("1+1")))
        deaf.result()
    assert worst < 1.0
    assert client.call("1+1") == q.long(2)


def _refused(client: QClient, text: str, pattern: str) -> None:
    with pytest.raises(QueryError, match=pattern):
        client.call(text)


def test_too_much_memory_is_an_error(client: QClient) -> None:
    _refused(client, "s)select list(range) from range(500000000)", ".")
    assert client.call("1+1") == q.long(2)


def test_limits_of_rows_and_writing_are_the_user_s(served: Serving) -> None:
    with served.client("reader") as reader:
        assert reader.call("1 2 3") == q.vector(q.QType.LONG, [1, 2, 3])
        _refused(reader, "1 2 3 4", "limit: 4 rows in the answer, at most 3")
        _refused(reader, "a:1", "noupdate")
        _refused(reader, "a", "a: ")


def test_files_and_commands_of_the_host_are_out_of_reach(client: QClient) -> None:
    for text in ('system "ls"', "\\ls", "read0 `:/etc/passwd", "get `:/etc/passwd", "hopen 5010"):
        with pytest.raises(QueryError):
            client.call(text)


def test_a_peer_that_goes_away_frees_the_machine_within_half_a_second(served: Serving) -> None:
    for endless in (FOREVER, DEAF):
        # A machine that has no time at one moment says nothing of the gateway.
        freed = min(_freed(served, endless) for _ in range(3))
        assert freed < 0.5 + 0.25, freed  # of which a quarter is watching


def _freed(served: Serving, endless: str) -> float:
    """Ask for what never ends and go away; give how long workers go on, and watching."""
    with served.client("patient") as asking:
        asking.post("1+1")
        asking._send(MessageKind.SYNC, endless)
        busy = _running(served)
    return wait_until(lambda: _are_quiet(busy), 5.0)


def _running(served: Serving) -> list[int]:
    """Wait for workers that are at work, and list them."""
    before = {pid: cpu_s(pid) for pid in served.workers()}
    found: list[int] = []

    def is_running() -> bool:
        found[:] = [pid for pid in before if cpu_s(pid) - before[pid] > 0.1]
        return bool(found)

    wait_until(is_running, 30.0)
    return found


def _are_quiet(pids: list[int]) -> bool:
    """Tell whether processes are gone or do nothing for a quarter of a second."""
    before = [cpu_s(pid) for pid in pids]
    time.sleep(0.25)
    return all(
        after == float("inf") or after == start
        for start, after in zip(before, map(cpu_s, pids), strict=True)
    )


def test_a_peer_that_leaves_in_the_middle_of_an_answer_hurts_nobody(served: Serving) -> None:
    for _ in range(4):
        with served.client("patient") as leaving:
            leaving._send(MessageKind.SYNC, "s)select range from range(5000000)")
            leaving._fill(100_000, leaving._deadline(30.0))
    with served.client() as other:
        assert other.call("1+1") == q.long(2)


def test_a_peer_that_does_not_read_keeps_its_worker_and_nobody_else_s(served: Serving) -> None:
    with ExitStack() as stack:
        first, second, third, fourth = (
            stack.enter_context(served.client("patient")) for _ in range(4)
        )
        other = stack.enter_context(served.client())
        for lazy in (first, second, third, fourth):
            lazy._send(MessageKind.SYNC, "s)select range from range(10000000)")
        time.sleep(2.0)
        assert seconds(lambda: other.call("1+1")) < 2.0
        assert q.count_of(first._answer(first._deadline(60.0))[1]) == 10_000_000


@pytest.mark.parametrize(
    "wrong",
    [b"GET / HTTP/1.0\r\n\r\n", b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"x" * 5000, b"\xff" * 40],
)
def test_another_protocol_is_shown_the_door(served: Serving, wrong: bytes) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as stranger:
        stranger.settimeout(30)
        with suppress(ConnectionError, OSError):  # reset where bytes were left unread
            stranger.sendall(wrong)
            stranger.shutdown(socket.SHUT_WR)
            while stranger.recv(65536):
                pass
    with served.client() as other:
        assert other.call("1+1") == q.long(2)


@pytest.mark.parametrize(
    "bad",
    [
        struct.pack("<BBBBi", 1, 1, 0, 0, 2**31 - 1),
        struct.pack("<BBBBi", 9, 9, 9, 9, 100) + bytes(100),
        struct.pack("<BBBBi", 1, 1, 0, 0, 3),
    ],
)
def test_bytes_that_are_no_message_end_their_connection_alone(
    served: Serving, client: QClient, bad: bytes
) -> None:
    client.call("still:1")
    with socket.create_connection(("127.0.0.1", served.port)) as stranger:
        stranger.sendall(login_bytes("", ""))
        assert len(stranger.recv(1)) == 1
        stranger.sendall(bad)
        stranger.settimeout(40)
        assert stranger.recv(10) == b""
    assert client.call("still") == q.long(1)


def test_a_value_that_is_none_is_an_error(served: Serving) -> None:
    with served.client() as asking:
        body = b"\x62\x00\x63\x00\x00\x00\x00\x00\x00"
        asking._sock.sendall(message(MessageKind.SYNC, body))
        _, found = asking._answer(asking._deadline(10.0))
        assert isinstance(found, q.Signal)
        assert asking.call("1+1") == q.long(2)


def test_a_hundred_clients_at_once_are_all_answered(served: Serving) -> None:
    def ask(number: int) -> bool:
        with served.client(f"user{number % 7}") as one:
            for _ in range(5):
                assert one.call(f"{number}+1") == q.long(number + 1)
            if number % 10 == 0:
                _refused(one, "wrong+", ".")
        return True

    with ThreadPoolExecutor(100) as pool:
        assert all(pool.map(ask, range(100)))
    with served.client() as other:
        assert seconds(lambda: other.call("1+1")) < 1.0


def test_more_connections_with_variables_than_allowed_get_a_sentence(served: Serving) -> None:
    clients = [served.client() for _ in range(14)]
    try:
        kept, refused = [], []
        for number, one in enumerate(clients):
            try:
                one.call(f"v:{number}")
                kept.append((number, one))
            except QueryError as error:
                assert "hold variables already" in str(error)
                refused.append(one)
        assert kept and refused
        assert [one.call("v") for _, one in kept] == [q.long(number) for number, _ in kept]
        assert all(one.call("1+1") == q.long(2) for one in refused)
    finally:
        for one in clients:
            one.close()


def test_requests_beyond_a_user_s_queue_are_refused_and_others_are_served(
    served: Serving,
) -> None:
    hasty = [served.client("hasty") for _ in range(12)]
    try:
        for one in hasty:
            one._send(MessageKind.SYNC, FOREVER)
        with served.client("patient") as other:
            assert seconds(lambda: other.call("1+1")) < 2.0
        answers = []
        for one in hasty:
            _, found = one._answer(one._deadline(30.0))
            assert isinstance(found, q.Signal)
            answers.append(found.text.partition(":")[0])
        assert set(answers) == {"limit", "timeout"}
    finally:
        for one in hasty:
            one.close()


def test_what_was_asked_is_a_table(served: Serving) -> None:
    marked = "1+40000+1"
    with served.client("accountant") as asking:
        asking.call(marked)
        _refused(asking, marked + "+`a", ".")

        def rows() -> q.Table:
            found = asking.call(
                's)select "user", rows, bytes, error, duration from usage'
                f" where query like '{marked}%' order by seq"
            )
            assert isinstance(found, q.Table)
            return found

        wait_until(lambda: len(rows()) == 2)
        found = rows()
    assert found["user"] == q.symbols(["accountant", "accountant"])
    assert found["rows"] == q.vector(q.QType.LONG, [1, 0])
    errors = found["error"]
    assert isinstance(errors, q.SymbolVector)
    assert errors.names[0] == "" and errors.names[1] != ""


def test_a_wide_port_needs_passwords(tmp_path: Path) -> None:
    from tests.command import tickloop

    config = tmp_path / "wide.toml"
    config.write_text('[serve]\nhost = "0.0.0.0"\n')
    done = tickloop("serve", "--data", tmp_path, "--config", config, "--q-port", "0")
    done.refused("no user is checked")


def test_passwords_are_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    users = tmp_path / "users"
    users.write_text("ann:secret\n")
    with serving(root, f'[serve]\npassword_file = "{users}"\n[query]\nworkers = 2\n') as found:
        with found.client("ann", "secret") as ann:
            assert ann.call("1+1") == q.long(2)
        for user, password in (("ann", "wrong"), ("", ""), ("bob", "secret")):
            with pytest.raises(WireError, match="refused the login"):
                found.client(user, password)


def test_a_killed_worker_is_replaced_and_its_peer_told(served: Serving) -> None:
    import os
    import signal

    with served.client("patient") as asking:
        asking._send(MessageKind.SYNC, FOREVER)
        for pid in _running(served):
            os.kill(pid, signal.SIGKILL)
        _, found = asking._answer(asking._deadline(10.0))
        assert isinstance(found, q.Signal)
        assert found.text.startswith("crash:")
        assert asking.call("1+1") == q.long(2)


def test_encoded_answers_are_whole_messages(client: QClient) -> None:
    client._send(MessageKind.SYNC, "1 2 3")
    whole = client._next_raw(client._deadline(10.0))
    body = encode(q.vector(q.QType.LONG, [1, 2, 3]))
    assert whole == message(MessageKind.RESPONSE, body)
