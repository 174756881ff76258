"""q values as their documented bytes: a slow walk by KX's type table, used as an oracle.

Without a licence PyKX gives no item of a list, so messages are taken apart here.
"""

from collections.abc import Iterator
from pathlib import Path

WIDTHS = {
    1: 1, 2: 16, 4: 1, 5: 2, 6: 4, 7: 8, 8: 4, 9: 8, 10: 1, 12: 8, 13: 4, 14: 4, 15: 8, 16: 8,
    17: 4, 18: 4, 19: 4,
}  # fmt: skip
LOG_HEADER = bytes.fromhex("ff01000000000000")


def end_of(raw: bytes, at: int = 0) -> int:
    """Give the byte after the value that begins at `at`."""
    kind = int.from_bytes(raw[at : at + 1], "little", signed=True)
    if kind == -11:
        return raw.index(b"\0", at + 1) + 1
    if kind == 98:
        return end_of(raw, at + 2)
    if kind == 99:
        return end_of(raw, end_of(raw, at + 1))
    if kind < 0:
        return at + 1 + WIDTHS[-kind]
    count = int.from_bytes(raw[at + 2 : at + 6], "little")
    at += 6
    if kind in (0, 11):
        for _ in range(count):
            at = end_of(raw, at) if kind == 0 else raw.index(b"\0", at) + 1
        return at
    return at + count * WIDTHS[kind]


def items(raw: bytes) -> list[bytes]:
    """Take a general list apart."""
    assert raw[0] == 0, f"a general list expected, type {raw[0]} seen"
    found, at = [], 6
    for _ in range(int.from_bytes(raw[2:6], "little")):
        end = end_of(raw, at)
        found.append(raw[at:end])
        at = end
    assert at == len(raw)
    return found


def symbol(raw: bytes) -> str:
    """Read a symbol atom."""
    assert raw[0] == 0xF5
    assert raw[-1] == 0
    return raw[1:-1].decode()


def columns(table: bytes) -> dict[str, bytes]:
    """Take a table apart: each column's bytes without its attribute."""
    assert table[:3] == bytes([98, 0, 99])
    names = end_of(table, 3)
    keys = table[9:names].decode().split("\0")[:-1]
    return {
        key: column[:1] + b"\0" + column[2:]
        for key, column in zip(keys, items(table[names:]), strict=True)
    }


def framed(payload: bytes) -> bytes:
    """Put a header before a payload, so that KX's code reads it."""
    return bytes([1, 0, 0, 0]) + (8 + len(payload)).to_bytes(4, "little") + payload


def messages_of(log: Path) -> Iterator[bytes]:
    """Cut a tickerplant log into its messages, one value after another."""
    raw = log.read_bytes()
    assert raw[:8] == LOG_HEADER
    at = len(LOG_HEADER)
    while at < len(raw):
        end = end_of(raw, at)
        yield raw[at:end]
        at = end
