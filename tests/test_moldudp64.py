"""MoldUDP64 lines become one sequence: every message that came on any line, once, in order."""

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickloop.ingest.feed import Health
from tickloop.ingest.moldudp64 import HEADROOM, NO_WINDOW, Gap, MessageFrames, MoldArbiter
from tickloop.ingest.pcap import PcapReader

SESSION = b"000010059B"
ITCH = "itch/xnas-tvitch-20230822-0930.moldudp64.pcap"
Delivered = list[tuple[int, bytes, int]]  # sequence, message, time


def body(sequence: int) -> bytes:
    return b"message %d" % sequence


def mold(sequence: int, bodies: Sequence[bytes], *, session: bytes = SESSION) -> bytes:
    parts = [struct.pack(">10sQH", session, sequence, len(bodies))]
    parts += [struct.pack(">H", len(text)) + text for text in bodies]
    return b"".join(parts)


def run_of(first: int, count: int) -> bytes:
    return mold(first, [body(first + index) for index in range(count)])


def marker(sequence: int, count: int) -> bytes:
    return struct.pack(">10sQH", SESSION, sequence, count)


class Bench:
    """Feeds payloads to an arbiter piece by piece and copies out what it releases."""

    def __init__(
        self, *, window_ns: int = NO_WINDOW, first: int | None = 1, session: bytes | None = None
    ) -> None:
        self.health = Health()
        self.arbiter = MoldArbiter(
            health=self.health, window_ns=window_ns, first_sequence=first, session=session
        )
        self.buffer = np.zeros(HEADROOM + (4 << 20), dtype=np.uint8)
        self.delivered: Delivered = []

    def feed(self, payloads: Sequence[bytes], times: Sequence[int] | None = None) -> "Bench":
        packets = np.zeros((5, len(payloads)), dtype=np.int64)
        at = HEADROOM
        self.buffer[HEADROOM:] = 0xEE
        for column, payload in enumerate(payloads):
            self.buffer[at : at + len(payload)] = np.frombuffer(payload, dtype=np.uint8)
            time = times[column] if times else column
            packets[:, column] = (time, at, len(payload), 0, at)
            at += len(payload)
        self._take(self.arbiter.arrange(self.buffer, packets))
        return self

    def finish(self) -> "Bench":
        self._take(self.arbiter.finish(self.buffer))
        return self

    def _take(self, released: Iterable[MessageFrames]) -> None:
        for frames in released:
            for offset, length, time, sequence in zip(
                frames.offsets, frames.lengths, frames.times, frames.sequences, strict=True
            ):
                text = frames.buffer[offset : offset + length].tobytes()
                self.delivered.append((int(sequence), text, int(time)))

    @property
    def sequences(self) -> list[int]:
        assert all(text == body(sequence) for sequence, text, _ in self.delivered)
        return [sequence for sequence, _, _ in self.delivered]


# --- the real capture -----------------------------------------------------------------------


@pytest.mark.kernel
def test_the_real_capture_holds_269_messages_without_a_gap(
    market_data: Callable[[str], Path],
) -> None:
    health = Health()
    arbiter = MoldArbiter(health=health, window_ns=10**9)
    types: Counter[str] = Counter()
    delays = []
    midnight = (1_692_676_800 - 946_684_800) * 10**9  # 2023-08-22 00:00 in New York
    for chunk in PcapReader(market_data(ITCH), health=health, headroom=HEADROOM).chunks():
        for frames in arbiter.arrange(chunk.buffer, chunk.packets):
            for offset, time in zip(frames.offsets, frames.times, strict=True):
                types[chr(frames.buffer[offset])] += 1
                stamp = frames.buffer[offset + 5 : offset + 11].tobytes()
                delays.append(int(time) - midnight - int.from_bytes(stamp, "big"))
    assert types == {"A": 125, "U": 99, "D": 30, "F": 6, "I": 5, "E": 3, "S": 1}
    assert arbiter.session == SESSION
    assert health == Health()
    assert delays[0] == 164_351
    assert 160_000 < min(delays) <= max(delays) < 200_000


# --- sequence -------------------------------------------------------------------------------


@pytest.mark.kernel
def test_of_two_lines_the_first_arrival_of_each_message_wins() -> None:
    a = [run_of(1, 3), run_of(4, 1), run_of(5, 2)]
    bench = Bench().feed([a[0], a[0], a[1], a[2], a[1], a[2]], [10, 11, 12, 13, 14, 15])
    assert bench.sequences == [1, 2, 3, 4, 5, 6]
    assert [time for _, _, time in bench.delivered] == [10, 10, 10, 12, 13, 13]
    assert dict(bench.health.counts) == {"duplicate_messages": 6}


@pytest.mark.kernel
def test_a_packet_that_came_too_early_waits_for_the_missing_one() -> None:
    bench = Bench().feed([run_of(1, 2), run_of(5, 2), run_of(3, 2)])
    assert bench.sequences == [1, 2, 3, 4, 5, 6]
    assert dict(bench.health.counts) == {"reordered_packets": 1}


@pytest.mark.kernel
def test_a_packet_waits_across_pieces_and_its_bytes_survive() -> None:
    bench = Bench().feed([run_of(1, 2), run_of(7, 2)]).feed([run_of(5, 2)]).feed([run_of(9, 1)])
    assert bench.sequences == [1, 2]
    assert bench.arbiter.missing() == (3, 2)
    assert bench.feed([run_of(3, 2)]).sequences == list(range(1, 10))
    assert bench.arbiter.missing() is None


@pytest.mark.kernel
def test_overlapping_packets_give_each_message_once() -> None:
    bench = Bench().feed([run_of(1, 5), run_of(3, 6), run_of(10, 2), run_of(9, 5)])
    assert bench.sequences == list(range(1, 14))
    assert dict(bench.health.counts) == {"duplicate_messages": 5, "reordered_packets": 1}


@pytest.mark.kernel
def test_a_hole_that_stays_open_longer_than_the_window_is_counted_and_passed_over() -> None:
    bench = Bench(window_ns=100).feed(
        [run_of(1, 1), run_of(5, 1), run_of(6, 1), run_of(7, 1), run_of(3, 1)],
        [0, 1, 101, 102, 103],
    )
    assert bench.sequences == [1, 5, 6, 7]
    assert bench.arbiter.gaps == [Gap(first=2, count=3, time=102)]
    assert dict(bench.health.counts) == {
        "reordered_packets": 2,
        "gaps": 1,
        "gap_messages": 3,
        "late_messages": 1,
    }


@pytest.mark.kernel
def test_a_heartbeat_reveals_what_was_lost_at_the_tail() -> None:
    bench = Bench().feed([run_of(1, 2), marker(3, 0)])
    assert bench.arbiter.missing() is None
    bench.feed([marker(6, 0)])
    assert bench.arbiter.missing() == (3, 3)
    bench.finish()
    assert bench.arbiter.gaps == [Gap(first=3, count=3, time=1)]
    assert dict(bench.health.counts) == {"mold_heartbeats": 2, "gaps": 1, "gap_messages": 3}


@pytest.mark.kernel
def test_the_session_ends_only_when_nothing_before_its_end_is_missing() -> None:
    bench = Bench().feed([run_of(1, 2), marker(5, 0xFFFF)])
    assert not bench.arbiter.ended
    bench.feed([run_of(3, 2)])
    assert bench.arbiter.ended
    assert bench.sequences == [1, 2, 3, 4]


@pytest.mark.kernel
def test_a_session_joined_in_the_middle_starts_there() -> None:
    bench = Bench(first=None).feed([run_of(100, 2), run_of(98, 2), run_of(102, 1)])
    assert bench.sequences == [100, 101, 102]
    assert dict(bench.health.counts) == {"before_start_messages": 2}


@pytest.mark.kernel
def test_packets_with_wrong_lengths_are_kept_aside_and_another_lines_copy_fills_the_hole() -> None:
    good = run_of(3, 2)
    bad = good[:20] + b"\xff\xff" + good[22:]
    bench = Bench().feed([run_of(1, 2), bad, run_of(5, 1), b"short", good])
    assert bench.sequences == [1, 2, 3, 4, 5]
    assert dict(bench.health.counts) == {
        "mold_bad_lengths": 1,
        "not_mold_packets": 1,
        "reordered_packets": 1,
    }
    assert [text for _, text in bench.health.aside] == [bad, b"short"]


@pytest.mark.kernel
def test_the_session_with_the_most_messages_is_followed_and_others_are_counted() -> None:
    other = mold(1, [b"x"], session=b"OTHER     ")
    bench = Bench().feed([other, run_of(1, 3), other, b"no mold at all, just text here"])
    assert bench.arbiter.session == SESSION
    assert bench.sequences == [1, 2, 3]
    assert dict(bench.health.counts) == {"other_session_packets": 3}
    chosen = Bench(session=b"OTHER     ").feed([other, run_of(1, 3)])
    assert [text for _, text, _ in chosen.delivered] == [b"x"]


@pytest.mark.kernel
def test_an_impossible_sequence_number_does_not_make_a_gap() -> None:
    wild = [marker(2**63 + 5, 0), mold(2**40, [b"x"])]
    bench = Bench().feed([run_of(1, 1), *wild, run_of(2, 1)]).finish()
    assert bench.sequences == [1, 2]
    assert dict(bench.health.counts) == {"mold_wild_sequences": 2}


def test_more_early_packets_than_can_be_held_open_the_hole_by_themselves() -> None:
    early = [run_of(3 + index, 1) for index in range(1025)]
    bench = Bench().feed([run_of(1, 1), *early[:-1]])
    assert bench.sequences == [1]
    bench.feed(early[-1:])
    assert bench.sequences == [1, *range(3, 1028)]
    assert bench.health.counts["gap_messages"] == 1


def test_early_packets_with_more_bytes_than_can_be_held_open_the_hole_by_themselves() -> None:
    big = [mold(3 + index, [b"%d" % index + b"x" * 60_000]) for index in range(40)]
    bench = Bench().feed([run_of(1, 1), *big]).finish()
    assert [sequence for sequence, _, _ in bench.delivered] == [1, *range(3, 43)]
    assert [text[:3] for _, text, _ in bench.delivered[11:]] == [
        (b"%dxx" % index)[:3] for index in range(10, 40)
    ]
    assert bench.health.counts["gap_messages"] == 1


def test_many_tiny_messages_are_released_in_bounded_steps() -> None:
    payloads = [mold(1 + 30_000 * index, [b""] * 30_000) for index in range(20)]
    bench = Bench().feed(payloads)
    assert [sequence for sequence, _, _ in bench.delivered] == list(range(1, 600_001))


# --- properties -----------------------------------------------------------------------------


@st.composite
def two_lossy_lines(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Draw (first, count) packets as they arrive from two lines that lose, repeat and reorder."""
    counts = draw(st.lists(st.integers(1, 5), min_size=1, max_size=40))
    starts = np.cumsum([1, *counts]).tolist()
    arrivals = []
    for _ in range(2):
        for index, count in enumerate(counts):
            if draw(st.booleans()):
                arrivals.append((index + draw(st.integers(0, 6)), starts[index], count))
    return [(first, count) for _, first, count in sorted(arrivals, key=lambda item: item[0])]


@pytest.mark.kernel
@given(two_lossy_lines(), st.integers(1, 9))
@settings(max_examples=60)
def test_what_any_line_brought_is_delivered_once_and_in_order(
    arrivals: list[tuple[int, int]], piece: int
) -> None:
    bench = Bench(session=SESSION)
    payloads = [run_of(first, count) for first, count in arrivals]
    for start in range(0, len(payloads), piece):
        bench.feed(payloads[start : start + piece])
    bench.finish()
    came = {first + index for first, count in arrivals for index in range(count)}
    end = max(came, default=0)
    assert bench.sequences == sorted(came)
    assert bench.health.counts["gap_messages"] == end - len(came)
    lost = {gap.first + index for gap in bench.arbiter.gaps for index in range(gap.count)}
    assert lost == set(range(1, end + 1)) - came
    total = sum(count for _, count in arrivals)
    assert bench.health.counts["duplicate_messages"] == total - len(came)


@pytest.mark.kernel
@given(st.lists(st.binary(max_size=80), max_size=20), st.booleans())
def test_random_payloads_are_counted_without_a_crash(noise: list[bytes], framed: bool) -> None:
    payloads = [SESSION + bytes(7) + text if framed else text for text in noise]
    bench = Bench(session=SESSION).feed([run_of(1, 1), *payloads, run_of(2, 1)]).finish()
    assert bench.delivered[0][:2] == (1, body(1))
    assert [s for s, _, _ in bench.delivered] == sorted({s for s, _, _ in bench.delivered})


def test_mutated_real_packets_are_counted_without_a_crash(
    market_data: Callable[[str], Path],
) -> None:
    (chunk,) = PcapReader(market_data(ITCH), health=Health()).chunks()
    draws = np.random.default_rng(7)
    payloads = [
        bytearray(chunk.buffer[offset : offset + length].tobytes())
        for offset, length in chunk.packets[1:3].T.tolist()
    ]
    for _ in range(50):
        mutated = [bytearray(payload) for payload in payloads]
        for payload in mutated:
            payload[draws.integers(10, len(payload))] = draws.integers(0, 256)
        bench = Bench(first=None).feed([bytes(payload) for payload in mutated]).finish()
        sequences = [sequence for sequence, _, _ in bench.delivered]
        assert sequences == sorted(set(sequences))
        assert len(sequences) <= 100_000
