"""The Postgres port as such: logins, encryption, cancel, clients that misbehave or go away."""

import asyncio
import random
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pg_wire import Served, data, opener
from tickloop.analytics.pg.scram import Verifier
from tickloop.analytics.pg.server import PgServer
from tickloop.analytics.pg.threaded import ThreadedOpener
from tickloop.core.errors import ConfigError

FOREVER = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
MANY = "SELECT range AS n, range::VARCHAR AS t FROM range(50000000)"


@pytest.fixture(scope="module")
def open_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedOpener]:
    made = opener(data(tmp_path_factory.mktemp("data")))
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(open_data: ThreadedOpener) -> Iterator[Served]:
    server = Served(open_data)
    yield server
    server.close()


@pytest.fixture
def serve(open_data: ThreadedOpener) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def start(**more: object) -> Served:
        made.append(Served(open_data, **more))  # type: ignore[arg-type]
        return made[-1]

    yield start
    for server in made:
        server.close()


def connected(served: Served) -> socket.socket:
    return socket.create_connection(("127.0.0.1", served.port), timeout=10)


def startup(**parameters: str) -> bytes:
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    body = struct.pack("!i", 3 << 16) + pairs + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def exactly(sock: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = sock.recv(size - len(found))
        if not piece:
            raise EOFError(f"{len(found)} of {size} bytes came")
        found += piece
    return found


def answer(sock: socket.socket) -> tuple[bytes, bytes]:
    head = exactly(sock, 5)
    return head[:1], exactly(sock, int.from_bytes(head[1:], "big") - 4)


def until_ready(sock: socket.socket) -> list[tuple[bytes, bytes]]:
    found = [answer(sock)]
    while found[-1][0] != b"Z":
        found.append(answer(sock))
    return found


def logged_in(served: Served) -> socket.socket:
    sock = connected(served)
    sock.sendall(startup(user="ana"))
    until_ready(sock)
    return sock


def fields(raw: bytes) -> dict[str, str]:
    return {part[:1].decode(): part[1:].decode() for part in raw.split(b"\0") if part}


def is_healthy(served: Served) -> bool:
    with psycopg.connect(served.dsn()) as connection:
        row = connection.execute("SELECT count(*) FROM trade").fetchone()
        return row == (200,)


def eventually(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    end = time.perf_counter() + seconds
    while not check():
        if time.perf_counter() > end:
            return False
        time.sleep(0.01)
    return True


def passwords(user: str) -> Verifier | None:
    return {"ana": Verifier.of_password("correct horse")}.get(user)


def test_no_password_is_asked_for_on_loopback_alone(open_data: ThreadedOpener) -> None:
    limits = Served(open_data)
    limits.close()
    with pytest.raises(ConfigError, match="no user is checked"):
        PgServer(open_data, limits=limits.server.limits, host="0.0.0.0", port=0)
    PgServer(open_data, limits=limits.server.limits, host="::1", port=0)


def test_a_port_that_is_taken_is_said_to_be(served: Served, open_data: ThreadedOpener) -> None:
    second = PgServer(open_data, limits=served.server.limits, port=served.port)
    with pytest.raises(ConfigError, match=f"port {served.port} on 127.0.0.1 is in use"):
        asyncio.run(second.start())


@pytest.mark.parametrize("form", ["password", "what PostgreSQL keeps of it"])
def test_a_password_is_proven_and_not_sent(serve: Callable[..., Served], form: str) -> None:
    kept = Verifier.of_password("correct horse")
    kept = Verifier.of_text(str(kept)) if form != "password" else kept
    served = serve(verifiers=lambda user: kept if user == "ana" else None)
    dsn = served.dsn(password="'correct horse'", require_auth="scram-sha-256")
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("ana",)
    assert not served.server.counts


@pytest.mark.parametrize("user", ["ana", "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(
    serve: Callable[..., Served], user: str
) -> None:
    served = serve(verifiers=passwords)
    with pytest.raises(psycopg.OperationalError) as refused:
        psycopg.connect(served.dsn(user=user, password="wrong"))
    assert f'password authentication failed for user "{user}"' in str(refused.value)
    assert served.server.counts == {"login_refused": 1}


def test_an_unknown_user_sees_the_same_salt_each_time(serve: Callable[..., Served]) -> None:
    served = serve(verifiers=passwords)
    salts = set()
    for _ in range(2):
        with connected(served) as sock:
            sock.sendall(startup(user="nobody"))
            assert answer(sock)[1] == struct.pack("!i", 10) + b"SCRAM-SHA-256\0\0"
            first = b"n,,n=,r=abcdef"
            sock.sendall(message(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first))
            challenge = dict(part.split(b"=", 1) for part in answer(sock)[1][4:].split(b","))
            salts.add(challenge[b"s"])
    assert len(salts) == 1


def test_a_login_that_does_not_come_is_not_waited_for(serve: Callable[..., Served]) -> None:
    served = serve(login_s=0.2)
    with connected(served) as sock:
        kind, raw = answer(sock)
    assert kind == b"E"
    assert fields(raw)["M"] == "no login within 0.2 s"


def test_encryption_is_declined_where_there_is_no_certificate(served: Served) -> None:
    with connected(served) as sock:
        for code in (80877104, 80877103):
            sock.sendall(struct.pack("!ii", 8, code))
            assert sock.recv(1) == b"N"
        sock.sendall(startup(user="ana"))
        assert until_ready(sock)[-1] == (b"Z", b"I")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        pytest.skip("openssl, which makes the certificate, is absent")
    return folder


def tls_context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


def test_with_a_certificate_everything_is_encrypted(
    serve: Callable[..., Served], certificate: Path
) -> None:
    served = serve(tls=tls_context(certificate), verifiers=passwords)
    dsn = served.dsn(
        sslmode="verify-full", sslrootcert=certificate / "cert.pem", password="'correct horse'"
    )
    with psycopg.connect(dsn) as connection:
        assert connection.pgconn.ssl_in_use
        rows = connection.execute("SELECT seq FROM trade ORDER BY seq").fetchall()
    assert len(rows) == 200


def test_bytes_that_came_before_the_encryption_are_not_taken_for_encrypted(
    serve: Callable[..., Served], certificate: Path
) -> None:
    served = serve(tls=tls_context(certificate))
    with connected(served) as sock:
        sock.sendall(struct.pack("!ii", 8, 80877103) + startup(user="ana"))
        kind, raw = answer(sock)
    assert kind == b"E"
    assert "unencrypted bytes" in fields(raw)["M"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"speaks PostgreSQL's protocol"),
        (b"ana:secret\x03\0" + bytes(20), b"speaks PostgreSQL's protocol"),
        (struct.pack("!ii", 8, 2 << 16), b"protocol 2.0 seen, 3.0 expected"),
        (struct.pack("!i", 1 << 30), b"speaks PostgreSQL's protocol"),
        (struct.pack("!ii", 9, 3 << 16) + b"x", b"without its final NUL"),
        (startup(database="x"), b"no PostgreSQL user name"),
        (struct.pack("!ii", 8, 80877104) * 5, b"questions about encryption"),
    ],
    ids=["http", "q", "protocol 2", "huge", "torn", "nobody", "only questions"],
)  # fmt: skip
def test_a_client_of_another_protocol_gets_a_sentence(
    served: Served, sent: bytes, expected: bytes
) -> None:
    with connected(served) as sock:
        sock.sendall(sent)
        said = b""
        while piece := sock.recv(4096):
            said += piece
    assert expected in said
    assert is_healthy(served)


def test_a_newer_client_is_told_what_is_spoken(served: Served) -> None:
    with connected(served) as sock:
        body = struct.pack("!i", (3 << 16) + 2) + b"user\0ana\0_pq_.thing\0on\0\0"
        sock.sendall(struct.pack("!i", len(body) + 4) + body)
        kind, raw = answer(sock)
        assert (kind, raw) == (b"v", struct.pack("!ii", 3 << 16, 1) + b"_pq_.thing\0")
        assert until_ready(sock)[-1] == (b"Z", b"I")


def test_too_many_clients_are_turned_away_in_words(serve: Callable[..., Served]) -> None:
    served = serve(connections=2)
    full = pytest.raises(psycopg.OperationalError, match="too many clients")
    with psycopg.connect(served.dsn()), psycopg.connect(served.dsn()), full:
        psycopg.connect(served.dsn())
    assert eventually(lambda: served.server.connections == 0)
    assert is_healthy(served)


def test_a_runaway_statement_is_cancelled_within_half_a_second(served: Served) -> None:
    with psycopg.connect(served.dsn()) as connection:
        asked = threading.Timer(0.3, connection.cancel_safe)
        start = time.perf_counter()
        asked.start()
        with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
            connection.execute(FOREVER)
        assert time.perf_counter() - start < 0.3 + 0.5
        connection.rollback()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_cancel_is_prompt_however_it_falls(served: Served) -> None:
    with psycopg.connect(served.dsn(), autocommit=True) as connection:
        for wait_s in (0.0, 0.002, 0.01, 0.05, 0.2):
            times: dict[str, float] = {}

            def cancel(times: dict[str, float] = times) -> None:
                times["asked"] = time.perf_counter()
                connection.cancel_safe()

            timer = threading.Timer(wait_s, cancel)
            connection.execute("SET statement_timeout = '5s'")
            timer.start()
            # One that comes too early concerns nothing: the statement's own limit ends it then.
            with pytest.raises(psycopg.errors.QueryCanceled) as ended:
                connection.execute(FOREVER)
            if "user request" in str(ended.value):
                assert time.perf_counter() - times["asked"] < 0.5
            timer.join()


def test_a_cancel_without_the_key_stops_nothing(served: Served) -> None:
    with psycopg.connect(served.dsn()) as connection:
        done = threading.Event()

        def guess() -> None:
            process = connection.info.backend_pid
            for secret in range(20):
                with connected(served) as sock:
                    sock.sendall(struct.pack("!iiiI", 16, 80877102, process, secret))
                    assert sock.recv(1) == b""
            done.set()

        thread = threading.Thread(target=guess)
        thread.start()
        row = connection.execute(
            "SELECT count(*) FROM range(3000) a, range(30000) b WHERE a.range + b.range > 5"
        ).fetchone()
        thread.join()
    assert done.is_set()
    assert row is not None
    assert served.server.counts["wrong_cancel_key"] >= 20


def test_a_statement_that_takes_too_long_ends(served: Served) -> None:
    with psycopg.connect(served.dsn(options="'-c statement_timeout=200ms'")) as connection:
        start = time.perf_counter()
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            connection.execute(FOREVER)
        assert 0.15 < time.perf_counter() - start < 0.9
        connection.rollback()
        connection.execute("SET statement_timeout = 0")
        assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_the_servers_own_limit_holds_whatever_the_client_sets(
    serve: Callable[..., Served],
) -> None:
    served = serve(statement_s=0.2)
    with psycopg.connect(served.dsn(), autocommit=True) as connection:
        connection.execute("SET statement_timeout = '1h'")
        with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
            connection.execute(FOREVER)


def test_a_result_with_too_many_rows_is_refused_not_cut(serve: Callable[..., Served]) -> None:
    served = serve(rows=100_000)
    with psycopg.connect(served.dsn(), autocommit=True) as connection:
        assert len(connection.execute("SELECT * FROM range(100000)").fetchall()) == 100_000
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="more than 100,000 rows"):
            connection.execute("SELECT * FROM range(100001)")
        text = "COPY (SELECT * FROM range(200000)) TO STDOUT"
        refused = pytest.raises(psycopg.errors.ProgramLimitExceeded)
        with refused, connection.cursor() as cursor, cursor.copy(text) as copy:
            for _ in copy:
                pass
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_message_that_is_too_long_ends_the_connection(serve: Callable[..., Served]) -> None:
    served = serve(message_bytes=1000)
    with logged_in(served) as sock:
        sock.sendall(b"Q" + struct.pack("!i", 5000) + b"SELECT 1")
        kind, raw = answer(sock)
    assert (kind, fields(raw)["C"]) == (b"E", "08P01")
    assert is_healthy(served)


def test_a_client_that_goes_away_stops_its_statement(served: Served) -> None:
    before = served.server.connections
    for text in (FOREVER, MANY):
        sock = logged_in(served)
        sock.sendall(message(b"Q", text.encode() + b"\0"))
        time.sleep(0.2)
        sock.close()
    assert eventually(lambda: served.server.connections == before)
    assert is_healthy(served)


def test_a_client_that_goes_away_in_the_middle_of_a_result_harms_nobody(served: Served) -> None:
    before = served.server.connections
    for size in (1, 100, 100_000):
        sock = logged_in(served)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.sendall(message(b"Q", MANY.encode() + b"\0"))
        exactly(sock, size)
        sock.close()  # as a reset
    assert eventually(lambda: served.server.connections == before)
    assert is_healthy(served)
    assert served.server.counts["internal"] == 0


def test_a_client_that_does_not_read_holds_up_nobody(served: Served) -> None:
    with logged_in(served) as slow:
        slow.sendall(message(b"Q", MANY.encode() + b"\0"))
        time.sleep(0.3)
        assert is_healthy(served)


def test_a_hundred_clients_at_once_leave_it_healthy(served: Served) -> None:
    def ask(number: int) -> tuple[int, float]:
        with psycopg.connect(served.dsn(), autocommit=True) as connection:
            total = 0
            for _ in range(3):
                row = connection.execute(
                    "SELECT count(*), sum(price) FROM trade WHERE seq >= %s", (number,)
                ).fetchone()
                assert row is not None
                total = row[0]
            return number, total

    with ThreadPoolExecutor(100) as pool:
        found = dict(pool.map(ask, range(100)))
    # Trades are the even seqs up to 400.
    assert found == {number: len(range(number + number % 2, 400, 2)) for number in range(100)}
    assert eventually(lambda: served.server.connections == 0)
    assert is_healthy(served)


def test_statements_that_wait_for_a_thread_can_be_cancelled(served: Served) -> None:
    with ThreadPoolExecutor(8) as pool:
        connections = [psycopg.connect(served.dsn()) for _ in range(8)]
        asked = [pool.submit(connection.execute, FOREVER) for connection in connections]
        time.sleep(0.3)
        start = time.perf_counter()
        for connection in connections:
            connection.cancel_safe()
        for future in asked:
            with pytest.raises(psycopg.errors.QueryCanceled):
                future.result(10)
        assert time.perf_counter() - start < 2.0
        for connection in connections:
            connection.close()
    assert is_healthy(served)


def test_a_server_that_ends_says_so(serve: Callable[..., Served]) -> None:
    served = serve()
    connection = psycopg.connect(served.dsn())
    served.run(served.server.close())
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


KINDS = st.sampled_from(b"QPBDECSHXdcfFpRZ\0\xff")
BODIES = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=30).map(lambda text: text.encode() + b"\0"),
    st.sampled_from(
        [
            b"SELECT 1\0", b"\0SELECT $1\0\0\0", b"S\0", b"P\0", b"\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0", b"\0\0\0\x01\0\x01\0\x01\xff\xff\xff\xff\0\0",
            b"\0\0\xff\xff", b"\0\0\0\0\0\x01\x7f\xff\xff\xff", b"BEGIN\0", b"SELECT 'x\0",
            b"DECLARE c CURSOR FOR SELECT 1\0", b"FETCH 5 c\0", b"COPY trade TO STDOUT BINARY\0",
            b"SELECT now() SAMPLE BY\0", b"LATEST ON\0", b"SET a TO\0", b"(((((\0",
        ]
    ),
)  # fmt: skip


@settings(max_examples=150)
@given(messages=st.lists(st.tuples(KINDS, BODIES), max_size=8), tail=st.binary(max_size=20))
def test_any_messages_give_clean_errors(
    served: Served, messages: list[tuple[int, bytes]], tail: bytes
) -> None:
    with logged_in(served) as sock:
        sent = b"".join(message(bytes([kind]), body) for kind, body in messages)
        sock.sendall(sent + tail)
        sock.shutdown(socket.SHUT_WR)
        said = b""
        while piece := sock.recv(1 << 16):
            said += piece
    # What came back is whole messages, and none of them speaks of a mistake in the server.
    at = 0
    while at < len(said):
        size = int.from_bytes(said[at + 1 : at + 5], "big")
        kind, raw = said[at : at + 1], said[at + 5 : at + 1 + size]
        assert kind in b"RSKZTDCE123nIsHdcNt"
        if kind == b"E":
            assert fields(raw)["C"] != "XX000", fields(raw)
        at += 1 + size
    assert at == len(said)
    assert served.server.counts["internal"] == 0


def test_random_bytes_as_a_first_message_give_clean_ends(served: Served) -> None:
    chance = random.Random(7)
    for _ in range(200):
        raw = chance.randbytes(chance.randrange(1, 60))
        if chance.random() < 0.5:
            raw = struct.pack("!ii", len(raw) + 8, 3 << 16) + raw
        with connected(served) as sock:
            sock.sendall(raw)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
    assert served.server.counts["internal"] == 0
    assert is_healthy(served)
