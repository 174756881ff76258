"""What gateway and workers say to each other: short JSON messages, descriptors beside them."""

import json
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from tickloop.analytics.gateway.rights import Rights

MESSAGE_BYTES_MAX = 1 << 16


class Word(StrEnum):
    """The first field of every message."""

    LEASE = "lease"  # to a worker, with the connection's descriptor
    RECALL = "recall"  # to a worker: give the connection back as soon as it is idle
    FREE = "free"  # from a worker: the connection is the gateway's again
    CLOSED = "closed"  # from a worker: the connection ended
    PINNED = "pinned"  # from a worker: the connection has variables, so it stays here
    USAGE = "usage"  # from a worker: what was asked
    FORK = "fork"  # to the mother process, with control socket and slot
    READY = "ready"  # from the mother process, and from it with each child's descriptor


@dataclass(frozen=True, slots=True)
class Lease:
    """A logged-in connection, as a worker needs to know it."""

    user: str
    peer: str
    is_local: bool
    capability: int
    may_pin: bool
    rights: Rights


def spell(word: Word, fields: Mapping[str, Any] | None = None) -> bytes:
    """Make a message."""
    return json.dumps([word, fields or {}]).encode()


def read(raw: bytes) -> tuple[Word, dict[str, Any]]:
    """Read a message."""
    word, fields = json.loads(raw)
    return Word(word), fields


def spell_lease(lease: Lease) -> bytes:
    """Make the message that lends a connection."""
    fields = asdict(lease)
    for name, value in fields["rights"].items():
        if isinstance(value, frozenset):
            fields["rights"][name] = sorted(value)
    return spell(Word.LEASE, fields)


def read_lease(fields: Mapping[str, Any]) -> Lease:
    """Read what a worker is lent."""
    given = dict(fields["rights"])
    tables = given.pop("tables")
    denied = frozenset(given.pop("verbs_denied"))
    only = None if tables is None else frozenset(tables)
    rights = replace(Rights(**given), tables=only, verbs_denied=denied)
    return Lease(**{**fields, "rights": rights})


def receive(sock: socket.socket, fds: int = 0) -> tuple[bytes, Sequence[int]]:
    """Receive one message and the descriptors that came with it; b"" at the end."""
    raw, found, _, _ = socket.recv_fds(sock, MESSAGE_BYTES_MAX, fds) if fds else (
        sock.recv(MESSAGE_BYTES_MAX), [], 0, None
    )  # fmt: skip
    return raw, found
