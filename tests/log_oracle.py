"""A slow reader of kdb+ tickerplant logs: q's serialisation by its published description."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_HEADER = 8  # ff 01, then an empty general list
_WIDTHS = {1: "b", 4: "B", 5: "h", 6: "i", 7: "q", 9: "d", 12: "q", 14: "i"}


def messages(log: Path) -> Iterator[tuple[str, list[list[Any]]]]:
    """Yield table and columns of every (`upd;`table;columns) of a log."""
    data = log.read_bytes()
    position = _HEADER
    while position < len(data):
        (name, table, columns), position = _value(data, position)
        assert name == "upd"
        yield table, columns


def rows(logs: list[Path], table: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """List a table's rows over several logs."""
    return [
        dict(zip(names, row, strict=True))
        for log in logs
        for name, columns in messages(log)
        if name == table
        for row in zip(*columns, strict=True)
    ]


def _value(data: bytes, at: int) -> tuple[Any, int]:
    kind = struct.unpack_from("b", data, at)[0]
    if kind == -11:
        end = data.index(b"\0", at + 1)
        return data[at + 1 : end].decode(), end + 1
    (count,) = struct.unpack_from("<i", data, at + 2)
    at += 6
    if kind == 10:
        return [data[i : i + 1].decode() for i in range(at, at + count)], at + count
    if kind in _WIDTHS:
        form = f"<{count}{_WIDTHS[kind]}"
        return list(struct.unpack_from(form, data, at)), at + struct.calcsize(form)
    values = []
    for _ in range(count):
        if kind == 11:
            end = data.index(b"\0", at)
            values.append(data[at:end].decode())
            at = end + 1
        else:
            assert kind == 0, f"type {kind} at byte {at}"
            value, at = _value(data, at)
            values.append(value)
    return values, at
