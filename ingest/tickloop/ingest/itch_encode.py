"""ITCH 5.0 writer: columns of messages to the exchange's bytes, each with its length in front."""

import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types

from tickloop.core.errors import SchemaError
from tickloop.core.kernel import inline_kernel, kernel, records
from tickloop.core.symbols import Symbols
from tickloop.ingest.events import ADD, EVENT, NOT_PRINTABLE, TRADE_ONLY

# One record a message. Text is ASCII packed big-endian into an integer (`packed`).
MESSAGE = np.dtype(
    [
        ("timestamp", "<i8"),  # nanoseconds since the session's midnight
        ("order_id", "<i8"),  # U: the order that goes away
        ("new_order_id", "<i8"),  # U
        ("match", "<i8"),  # E C P Q B
        ("shares", "<i8"),  # I: paired shares
        ("imbalance", "<i8"),  # I
        ("price", "<i8"),  # 1/10,000 dollar; C: execution price; I: current reference price
        ("far", "<i8"),  # I
        ("near", "<i8"),  # I
        ("stock", "<i8"),  # A F P Q H I: eight characters, padded with blanks on the right
        ("text", "<i4"),  # F: attribution; H: reason; four characters
        ("locate", "<u2"),
        ("tracking", "<u2"),
        ("kind", "u1"),  # the message type's letter
        ("side", "u1"),  # A F P: B or S; I: direction of the imbalance
        ("code", "u1"),  # S: event; H: trading state; C: printable; Q, I: cross type
    ],
    align=True,
)

_PREFIX = 2
_BODY_LENGTHS = {
    "S": 12, "H": 25, "A": 36, "F": 40, "E": 31, "C": 36, "X": 23, "D": 19, "U": 35, "P": 44,
    "Q": 40, "B": 19, "I": 50,
}  # fmt: skip
LENGTHS = np.zeros(256, dtype=np.int64)
for _letter, _length in _BODY_LENGTHS.items():
    LENGTHS[ord(_letter)] = _length

_SYSTEM_EVENT, _TRADING_ACTION = ord("S"), ord("H")
_ADD, _ATTRIBUTED_ADD, _HIDDEN = ord("A"), ord("F"), ord("P")
_EXECUTED, _EXECUTED_AT = ord("E"), ord("C")
_CANCELLED, _DELETED, _REPLACED = ord("X"), ord("D"), ord("U")
_CROSS, _BROKEN, _IMBALANCE = ord("Q"), ord("B"), ord("I")

Messages = npt.NDArray[Any]
Bytes = npt.NDArray[np.uint8]


@inline_kernel
def _put(out: Bytes, at: int, value: int, width: int) -> None:
    for place in range(width):
        out[at + place] = (value >> (8 * (width - 1 - place))) & 255


@inline_kernel
def _put_order(out: Bytes, at: int, message: np.void) -> None:
    kind = message["kind"]
    _put(out, at + 11, message["order_id"], 8)
    out[at + 19] = message["side"]
    _put(out, at + 20, message["shares"], 4)
    _put(out, at + 24, message["stock"], 8)
    _put(out, at + 32, message["price"], 4)
    if kind == _ATTRIBUTED_ADD:
        _put(out, at + 36, message["text"], 4)
    elif kind == _HIDDEN:
        _put(out, at + 36, message["match"], 8)


@inline_kernel
def _put_execution(out: Bytes, at: int, message: np.void) -> None:
    _put(out, at + 11, message["order_id"], 8)
    _put(out, at + 19, message["shares"], 4)
    _put(out, at + 23, message["match"], 8)
    if message["kind"] == _EXECUTED_AT:
        out[at + 31] = message["code"]
        _put(out, at + 32, message["price"], 4)


@inline_kernel
def _put_change(out: Bytes, at: int, message: np.void) -> None:
    kind = message["kind"]
    _put(out, at + 11, message["order_id"], 8)
    if kind == _CANCELLED:
        _put(out, at + 19, message["shares"], 4)
    elif kind == _REPLACED:
        _put(out, at + 19, message["new_order_id"], 8)
        _put(out, at + 27, message["shares"], 4)
        _put(out, at + 31, message["price"], 4)


@inline_kernel
def _put_imbalance(out: Bytes, at: int, message: np.void) -> None:
    _put(out, at + 11, message["shares"], 8)
    _put(out, at + 19, message["imbalance"], 8)
    out[at + 27] = message["side"]
    _put(out, at + 28, message["stock"], 8)
    _put(out, at + 36, message["far"], 4)
    _put(out, at + 40, message["near"], 4)
    _put(out, at + 44, message["price"], 4)
    out[at + 48] = message["code"]
    out[at + 49] = 32  # price variation: the indicative prices are not calculated


@inline_kernel
def _put_rare(out: Bytes, at: int, message: np.void) -> None:
    kind = message["kind"]
    if kind == _CROSS:
        _put(out, at + 11, message["shares"], 8)
        _put(out, at + 19, message["stock"], 8)
        _put(out, at + 27, message["price"], 4)
        _put(out, at + 31, message["match"], 8)
        out[at + 39] = message["code"]
    elif kind == _BROKEN:
        _put(out, at + 11, message["match"], 8)
    elif kind == _IMBALANCE:
        _put_imbalance(out, at, message)
    elif kind == _TRADING_ACTION:
        _put(out, at + 11, message["stock"], 8)
        out[at + 19] = message["code"]
        out[at + 20] = 32
        _put(out, at + 21, message["text"], 4)
    elif kind == _SYSTEM_EVENT:
        out[at + 11] = message["code"]


@inline_kernel
def _put_body(out: Bytes, at: int, message: np.void) -> None:
    kind = message["kind"]
    if kind in (_ADD, _ATTRIBUTED_ADD, _HIDDEN):
        _put_order(out, at, message)
    elif kind in (_DELETED, _CANCELLED, _REPLACED):
        _put_change(out, at, message)
    elif kind in (_EXECUTED, _EXECUTED_AT):
        _put_execution(out, at, message)
    else:
        _put_rare(out, at, message)


@kernel(types.int64(records(MESSAGE), types.int64[::1], types.uint8[::1]))
def _encode(messages: Messages, lengths: npt.NDArray[np.int64], out: Bytes) -> int:
    at = 0
    for row in range(messages.shape[0]):
        message = messages[row]
        length = lengths[message["kind"]]
        _put(out, at, length, 2)
        at += 2
        out[at] = message["kind"]
        _put(out, at + 1, message["locate"], 2)
        _put(out, at + 3, message["tracking"], 2)
        _put(out, at + 5, message["timestamp"], 6)
        _put_body(out, at, message)
        at += length
    return at


def encode(messages: Messages) -> Bytes:
    """Write MESSAGE records as ITCH 5.0: each a 2-byte big-endian length and the message.

    Offsets are those of Nasdaq TotalView-ITCH 5.0 (2023), section 1. SchemaError where a type
    is none of S H A F E C X D U P Q B I, or a number does not fit its field.
    """
    lengths = LENGTHS[messages["kind"]]
    _refuse(messages, lengths == 0, "type", "kind", "one of " + " ".join(_BODY_LENGTHS))
    wide = (messages["kind"] == _CROSS) | (messages["kind"] == _IMBALANCE)
    for field, bits in (("price", 32), ("far", 32), ("near", 32), ("timestamp", 48)):
        _refuse(messages, messages[field] >> bits != 0, field, field, f"0 to 2**{bits} - 1")
    shares = messages["shares"]
    _refuse(messages, (shares < 0) | ((shares >> 32 != 0) & ~wide), "shares", "shares", "32 bits")
    out = np.empty(int(lengths.sum()) + _PREFIX * len(messages), dtype=np.uint8)
    written = _encode(np.ascontiguousarray(messages), LENGTHS, out)
    assert written == len(out), f"wrote {written} of {len(out)} bytes"
    return out


def _refuse(
    messages: Messages, wrong: npt.NDArray[np.bool_], what: str, field: str, expected: str
) -> None:
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    raise SchemaError(
        f"message {row}: {what} {messages[field][row]} seen, {expected} expected;"
        " ITCH 5.0 cannot say it"
    )


def packed(text: str, width: int) -> int:
    """Pack ASCII text, padded with blanks on the right, into a big-endian integer."""
    if len(text) > width or not text.isascii():
        raise SchemaError(f"{text!r} seen, at most {width} ASCII characters expected")
    return int.from_bytes(text.ljust(width).encode("ascii"), "big")


def from_events(
    events: npt.NDArray[Any],
    *,
    midnight_ns: int,
    symbols: Symbols,
    locates: Mapping[int, int],
    crosses: Mapping[int, str] | None = None,
) -> Messages:
    """Turn EVENT records (prices in units of 10**-4) into MESSAGE records.

    `locates` gives each symbol id's stock locate. An add with a market participant becomes F, a
    trade whose condition is in `crosses` a Q of that cross type. Stamps are `venue_time` since
    `midnight_ns`. SchemaError where an action has no ITCH message.
    """
    assert events.dtype == EVENT, f"{events.dtype} is not EVENT"
    messages = np.zeros(len(events), dtype=MESSAGE)
    messages["timestamp"] = events["venue_time"] - midnight_ns
    messages["kind"] = events["action"]
    messages["order_id"] = events["order_id"]
    replaced = events["action"] == _REPLACED
    messages["order_id"][replaced] = events["ref_order_id"][replaced]
    messages["new_order_id"][replaced] = events["order_id"][replaced]
    messages["match"] = events["trade_id"]
    messages["shares"] = np.maximum(events["size"], 0)
    messages["price"] = np.maximum(events["price"], 0)
    messages["side"] = events["side"]
    messages["code"] = np.where(events["flags"] & NOT_PRINTABLE, ord("N"), ord("Y"))
    messages["locate"] = _mapped(events["sym"], lambda sym: locates[sym])
    messages["stock"] = _mapped(events["sym"], lambda sym: packed(symbols.name(sym), 8))
    attributed = (events["action"] == ADD) & (events["mpid"] >= 0)
    messages["kind"][attributed] = _ATTRIBUTED_ADD
    messages["text"] = _mapped(events["mpid"], lambda mpid: packed(symbols.name(mpid), 4))
    for cond, letter in (crosses or {}).items():
        crossed = (events["action"] == TRADE_ONLY) & (events["cond"] == cond)
        messages["kind"][crossed] = _CROSS
        messages["code"][crossed] = ord(letter)
    return messages


def _mapped(ids: npt.NDArray[np.int32], value_of: Callable[[int], int]) -> npt.NDArray[np.int64]:
    distinct, rows = np.unique(ids, return_inverse=True)
    return np.array([value_of(int(one)) for one in distinct], dtype=np.int64)[rows]


def stock_directory(name: str, *, locate: int, timestamp: int, round_lot: int = 100) -> bytes:
    """Write a stock directory message R: a common stock of the Global Select Market, tier 1."""
    tail = struct.pack(
        ">8sccIcc2scccccIc",
        *(name.ljust(8).encode("ascii"), b"Q", b"N", round_lot, b"N", b"C", b"Z ", b"P"),
        *(b"N", b"N", b"1", b"N", 0, b"N"),
    )
    return _framed(b"R", locate, timestamp, tail)


def reg_sho(name: str, *, locate: int, timestamp: int, action: str = "0") -> bytes:
    """Write a Reg SHO short sale price test message Y: 0 none, 1 in effect, 2 remains."""
    return _framed(b"Y", locate, timestamp, name.ljust(8).encode("ascii") + action.encode("ascii"))


def _framed(kind: bytes, locate: int, timestamp: int, tail: bytes) -> bytes:
    head = kind + struct.pack(">HH", locate, 0) + timestamp.to_bytes(6, "big")
    return struct.pack(">H", len(head) + len(tail)) + head + tail
