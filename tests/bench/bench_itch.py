"""ITCH decode and books: nanoseconds a message on a synthetic day of 400 symbols.

`python tests/bench/bench_itch.py` prints the figures; `measure()` gives them to other programs.
"""

import argparse
import struct
import time
from datetime import date

import numpy as np
import numpy.typing as npt

from tickloop.core.instruments import Instruments
from tickloop.core.kernel import kernel, warm_up
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import FeedContext, Health
from tickloop.ingest.itch import ItchDecoder
from tickloop.ingest.itch_decode import decode
from tickloop.ingest.itch_frames import walk_frames
from tickloop.ingest.itch_layout import LAYOUT, LENGTH

Bytes = npt.NDArray[np.uint8]
Longs = npt.NDArray[np.int64]

SYMBOLS = 400
MESSAGES = 2_000_000
PEER_MESSAGES = 40_000
LIVE_MIN = 40_000


@kernel("void(uint8[::1], int64, int64, int64)")
def put(buffer: Bytes, at: int, width: int, value: int) -> None:
    """Write a big-endian number."""
    for index in range(width):
        buffer[at + index] = (value >> (8 * (width - 1 - index))) & 255


@kernel(
    "int64(uint8[::1], int64, int64, int64[:, ::1], uint8[:, ::1], int64[:, ::1])",
    allocates=True,
)
def generate(
    buffer: Bytes, messages: int, live_min: int, draws: Longs, stocks: Bytes, live: Longs
) -> int:
    """Write length-prefixed order flow: half adds, the rest deletes, replaces, executions.

    Prices lie within 20 cents of a fixed middle; nine of ten changes touch a recent order.
    """
    at = 0
    count = 0
    order_id = 1000
    for index in range(messages):
        draw = draws[index]
        at += 2
        start = at
        choice = draw[0] % 100
        if count < live_min or choice < 46:
            locate = 1 + draw[1] % stocks.shape[0]
            side = draw[2] & 1
            away = 1 + (draw[3] % 20) * (draw[4] % 20) // 20
            price = (100 + locate) * 10_000 + (away if side else -away) * 100
            order_id += 1 + draw[5] % 3
            buffer[at] = ord("A")
            put(buffer, at + 11, 8, order_id)
            buffer[at + 19] = ord("S") if side else ord("B")
            put(buffer, at + 20, 4, 100 * (1 + draw[6] % 5))
            buffer[at + 24 : at + 32] = stocks[locate - 1]
            put(buffer, at + 32, 4, price)
            live[count, 0] = order_id
            live[count, 1] = locate
            live[count, 2] = 100 * (1 + draw[6] % 5)
            live[count, 3] = price
            count += 1
            at += 36
        else:
            span = count if draw[1] % 10 == 0 else min(count, 4000)
            pick = count - 1 - draw[2] % span
            locate = live[pick, 1]
            put(buffer, at + 11, 8, live[pick, 0])
            if choice < 84 or live[pick, 2] <= 100:
                buffer[at] = ord("D")
                count -= 1
                live[pick] = live[count]
                at += 19
            elif choice < 92:
                order_id += 1 + draw[5] % 3
                buffer[at] = ord("U")
                put(buffer, at + 19, 8, order_id)
                put(buffer, at + 27, 4, live[pick, 2])
                put(buffer, at + 31, 4, live[pick, 3])
                live[pick, 0] = order_id
                at += 35
            else:
                buffer[at] = ord("E") if choice < 98 else ord("X")
                put(buffer, at + 19, 4, 100)
                live[pick, 2] -= 100
                if choice < 98:
                    put(buffer, at + 23, 8, index)
                    at += 31
                else:
                    at += 23
        put(buffer, start - 2, 2, at - start)
        put(buffer, start + 1, 2, locate)
        put(buffer, start + 3, 2, 0)
        put(buffer, start + 5, 6, 34_200_000_000_000 + index * 1000)
    return at


def stock_names() -> list[bytes]:
    """Name the symbols T000, T001 and so on, padded as ITCH pads them."""
    return [b"T%03d" % number + b"    " for number in range(SYMBOLS)]


def directory() -> bytes:
    """Write the directory messages of all symbols."""
    messages = []
    for locate, stock in enumerate(stock_names(), 1):
        body = struct.pack(">cHH6s8s", b"R", locate, 0, bytes(6), stock)
        messages.append(
            struct.pack(">H", 39) + body + b"QN" + struct.pack(">I", 100) + b"NCC PN 1N"
        )
        messages[-1] = messages[-1].ljust(41, b" ")
    return b"".join(messages)


def order_flow(messages: int) -> Bytes:
    """Write a directory and then `messages` length-prefixed order messages."""
    draws = np.random.default_rng(7).integers(0, 2**31, (messages, 7))
    stocks = np.frombuffer(b"".join(stock_names()), dtype=np.uint8).reshape(SYMBOLS, 8).copy()
    buffer = np.zeros(messages * 38, dtype=np.uint8)
    live = np.zeros((messages, 4), dtype=np.int64)
    used = generate(buffer, messages, LIVE_MIN, draws, stocks, live)
    start = np.frombuffer(directory(), dtype=np.uint8)
    return np.concatenate([start, buffer[:used]])


def frames(stream: Bytes) -> tuple[Longs, Longs]:
    """Frame a stream of length-prefixed messages."""
    offsets = np.empty(len(stream) // 14 + 1, dtype=np.int64)
    lengths = np.empty_like(offsets)
    result = np.zeros(2, dtype=np.int64)
    count = walk_frames(stream, len(stream), True, False, LAYOUT[LENGTH], offsets, lengths, result)
    assert result[0] == len(stream), f"framed {result[0]} of {len(stream)} bytes"
    return offsets[:count].copy(), lengths[:count].copy()


def decoder(depth_levels: int) -> ItchDecoder:
    """Make a decoder for the synthetic day."""
    context = FeedContext(
        Symbols(), Instruments(), session_date=date(2026, 1, 5), depth_levels=depth_levels
    )
    return ItchDecoder(context, Health())


def time_decode(stream: Bytes, offsets: Longs, lengths: Longs) -> float:
    """Time the kernel alone, messages to event columns, in seconds; names are known."""
    warm = decoder(0)
    for _ in warm.decode(stream, offsets[:20_000], lengths[:20_000]):
        pass
    step = warm._step_of(16_384)
    none = np.zeros(0, dtype=np.int64)
    started = time.process_time()
    for first in range(0, len(offsets), 16_384):
        part = slice(first, first + 16_384)
        decode(
            stream, offsets[part], lengths[part], none, LAYOUT, warm._conditions, warm._state,
            *warm._directory, step.events, step.others, step.refused, step.times,
        )  # fmt: skip
    return time.process_time() - started


def time_books(stream: Bytes, offsets: Longs, lengths: Longs, depth_levels: int) -> float:
    """Time decoding, books and slices of all their rows, in seconds."""
    whole = decoder(depth_levels)
    started = time.process_time()
    for _ in whole.decode(stream, offsets, lengths):
        pass
    return time.process_time() - started


def time_fold(stream: Bytes, offsets: Longs, lengths: Longs) -> float:
    """Time decoding and books with BBO rows, before slices are ordered, in seconds."""
    whole = decoder(0)
    spent = 0.0
    books = whole.books
    inner = books.apply
    spans = []

    def timed(events: npt.NDArray[np.void]) -> object:
        begun = time.process_time()
        made = inner(events)
        spans.append(time.process_time() - begun)
        return made

    books.apply = timed  # type: ignore[method-assign, assignment]
    for _ in whole.decode(stream, offsets, lengths):
        pass
    spent = sum(spans)
    return spent + time_decode(stream, offsets, lengths)


def time_frames(stream: Bytes) -> float:
    """Time the walk over length prefixes, in seconds."""
    started = time.process_time()
    frames(stream)
    return time.process_time() - started


def time_peer(stream: Bytes, lengths: Longs) -> float:
    """Time the `itchfeed` package's parser on the same bytes, in seconds for each message."""
    from itch.parser import MessageParser

    used = int((lengths[:PEER_MESSAGES] + 2).sum())
    raw = stream[:used].tobytes()
    started = time.process_time()
    parsed = sum(1 for _ in MessageParser().parse_stream(raw))
    assert parsed == PEER_MESSAGES, f"the peer parsed {parsed} of {PEER_MESSAGES}"
    return (time.process_time() - started) / PEER_MESSAGES


def measure(messages: int = MESSAGES, repeats: int = 3) -> dict[str, float]:
    """Give figures by name: ns a message (best of `repeats`), and the ratio to the peer."""
    warm_up()
    stream = order_flow(messages)
    offsets, lengths = frames(stream)

    def best(run: object, *arguments: object) -> float:
        spans = [run(*arguments) for _ in range(repeats)]  # type: ignore[operator]
        return float(min(spans)) / len(offsets) * 1e9

    decoding = best(time_decode, stream, offsets, lengths)
    figures = {
        "frame_ns_per_message": best(time_frames, stream),
        "decode_ns_per_message": decoding,
        "decode_and_books_ns_per_message": best(time_fold, stream, offsets, lengths),
        "slices_ns_per_message": best(time_books, stream, offsets, lengths, 0),
        "slices_with_depth_5_ns_per_message": best(time_books, stream, offsets, lengths, 5),
    }
    try:
        peer = time_peer(stream, lengths) * 1e9
    except ImportError:
        return figures
    return {**figures, "itchfeed_ns_per_message": peer, "times_itchfeed": peer / decoding}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for name, value in measure(options.messages, options.repeats).items():
        print(f"{name:40} {value:10.1f}")


if __name__ == "__main__":
    main()
