"""Synthetic exchange day: nanoseconds a message to make it, to write it, and to run it as a feed.

`python tests/bench/bench_synthetic.py` prints the figures; `measure()` gives them to other
programs. The workload is the default day: 100 stocks, 2,000,000 messages, seed 1.
"""

import argparse
import time

import numpy as np

from tickloop.core.instruments import Instruments
from tickloop.core.kernel import warm_up
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import FeedContext
from tickloop.ingest.itch_encode import MESSAGE, encode
from tickloop.ingest.synthetic import SyntheticDay, SyntheticFeed

WRITTEN = 16_384


def time_day(day: SyntheticDay) -> float:
    """Time the day's bytes, in seconds."""
    started = time.process_time()
    written = sum(len(block) for block in day.blocks())
    spent = time.process_time() - started
    assert written > 20 * day.messages, f"{written} bytes in {day.messages} messages"
    return spent


def time_writer(messages: int) -> float:
    """Time the ITCH writer alone on half adds, half deletes, in seconds."""
    records = np.zeros(WRITTEN, dtype=MESSAGE)
    records["kind"] = np.where(np.arange(WRITTEN) % 2 == 0, ord("A"), ord("D"))
    started = time.process_time()
    for _ in range(messages // WRITTEN):
        encode(records)
    return (time.process_time() - started) * messages / (messages // WRITTEN * WRITTEN)


def time_feed(day: SyntheticDay) -> float:
    """Time the day through decoder and books to slices of rows, in seconds."""
    feed = SyntheticFeed(day, FeedContext(Symbols(), Instruments()))
    started = time.process_time()
    rows = sum(one.rows for one in feed.slices())
    spent = time.process_time() - started
    assert rows > feed.messages == day.messages, f"{rows} rows of {feed.messages} messages"
    return spent


def measure(messages: int = 2_000_000, repeats: int = 3) -> dict[str, float]:
    """Give figures by name: ns a message, best of `repeats`, and the day's seconds."""
    warm_up()
    day = SyntheticDay(messages=messages)
    days = min(time_day(day) for _ in range(repeats))
    return {
        "day_seconds": days,
        "day_ns_per_message": days / messages * 1e9,
        "itch_writer_ns_per_message": min(time_writer(messages) for _ in range(repeats))
        / messages
        * 1e9,
        "feed_ns_per_message": min(time_feed(day) for _ in range(repeats)) / messages * 1e9,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    for name, value in measure(options.messages, options.repeats).items():
        print(f"{name:40} {value:10.2f}")


if __name__ == "__main__":
    main()
