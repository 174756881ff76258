"""What is at an address where no broker could be used: nothing, something else, an old broker.

Asks over a bare connection which requests are known, as every client does first; brokers behind
TLS answer it with nothing that can be read.
"""

import socket
import struct

_TIMEOUT_S = 2.0
_API_VERSIONS = 18
_CORRELATION = 84
_ANSWER_MAX = 1 << 16
# What is used, with the least version of it: records with headers, committed reads, idempotence.
_NEEDED = {0: (3, "Produce"), 1: (4, "Fetch"), 22: (0, "InitProducerId")}


def probe(bootstrap: str) -> str:
    """Say what the first address answers, and what to do about it."""
    host, _, port = bootstrap.partition(",")[0].strip().rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        return f"address {bootstrap!r} seen, HOST:PORT such as 127.0.0.1:9092 expected"
    try:
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as connection:
            return _judge(_ask(connection))
    except ConnectionRefusedError:
        return (
            "nothing listens there: is the broker up? `tickloop status` tells of those started here"
        )
    except OSError as error:
        return f"it cannot be reached ({error}); check the address and what is between"


def _ask(connection: socket.socket) -> dict[int, int] | None:
    """Ask for the highest version of every request; None if the answer is not Kafka's."""
    client = b"tickloop"
    body = struct.pack(">hhih", _API_VERSIONS, 0, _CORRELATION, len(client)) + client
    connection.sendall(struct.pack(">i", len(body)) + body)
    try:
        (size,) = struct.unpack(">i", _exactly(connection, 4))
        if not 10 <= size <= _ANSWER_MAX:
            return None
        answer = _exactly(connection, size)
        correlation, error, count = struct.unpack_from(">ihi", answer)
        if correlation != _CORRELATION or error or not 0 <= count <= (size - 10) // 6:
            return None
    except (TimeoutError, EOFError):
        return None
    keys = (struct.unpack_from(">hhh", answer, 10 + 6 * each) for each in range(count))
    return {key: highest for key, _, highest in keys}


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _judge(known: dict[int, int] | None) -> str:
    if known is None:
        return "what answers there is no Kafka broker, or wants TLS: check the port, and properties"
    for key, (least, name) in _NEEDED.items():
        if known.get(key, -1) < least:
            seen = f"version {known[key]}" if key in known else "none"
            return (
                f"the broker is too old: {name} {seen} seen, {least} or later expected, as Kafka"
                " has since 0.11"
            )
    return "a broker answers there, and did not do it; its log says why"
