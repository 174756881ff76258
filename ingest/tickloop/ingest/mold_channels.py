"""Which destinations of a capture are lines of one MoldUDP64 stream, and which are another's.

Venues give channels of one session the same session name and numbers of their own, so only the
messages tell: two lines carry the same one under the same number, two channels do not.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tickloop.ingest.feed import Health
from tickloop.ingest.frames import Bytes, destination_name
from tickloop.ingest.mold_walk import END_OF_SESSION, HEADER
from tickloop.ingest.pcap_walk import DESTINATION, LENGTH, OFFSET, Integers

# Lines of one stream without a common number in a piece of the capture are this close at least.
NEAR = 1 << 16
NAMED_MAX = 64
Told = dict[int, bytes]  # messages by sequence number


class Channels:
    """Keeps the packets of one channel; those of others are counted by their destination.

    The channel is the `wanted` destinations (address << 16 | port), else the one that carries
    the most messages of the session at the start, and every destination that agrees with it.
    """

    def __init__(self, *, health: Health, wanted: frozenset[int] = frozenset()) -> None:
        self._health = health
        self._wanted = wanted
        self._lines: set[int] = set(wanted)
        self._others: dict[int, str] = {}  # the name that each is counted by

    def only_wanted(self, packets: Integers) -> Integers:
        """Leave out packets to other destinations than the wanted ones, if any are."""
        if not self._wanted:
            return packets
        self._name(set(np.unique(packets[DESTINATION]).tolist()) - self._lines)
        return self._kept(packets)

    def followed(self, buffer: Bytes, packets: Integers, session: bytes) -> Integers:
        """Leave out packets of other channels of the session; look at each destination once."""
        if self._wanted:
            return packets
        fresh = self._fresh(buffer, packets, session)
        if fresh:
            self._judge(buffer, packets, session, fresh)
        return self._kept(packets)

    def _fresh(self, buffer: Bytes, packets: Integers, session: bytes) -> set[int]:
        """Find destinations that carry messages of the session and are not judged yet."""
        met = packets[DESTINATION]
        judged = _among(met, self._lines | set(self._others))
        if judged.all():
            return set()
        columns = np.flatnonzero(~judged & (packets[LENGTH] >= HEADER))
        heads = buffer[packets[OFFSET, columns][:, np.newaxis] + np.arange(HEADER)]
        counts = heads[:, -2].astype(np.int64) << 8 | heads[:, -1]
        wanted = np.frombuffer(session, dtype=np.uint8)
        telling = (counts > 0) & (counts != END_OF_SESSION)
        telling &= (heads[:, : len(session)] == wanted).all(axis=1)
        return set(np.unique(met[columns[telling]]).tolist())

    def _judge(self, buffer: Bytes, packets: Integers, session: bytes, fresh: set[int]) -> None:
        if not self._lines and len(fresh) == 1:
            # One destination, as in most captures: nothing to compare.
            self._lines |= fresh
            return
        told: dict[int, Told] = {}
        for destination, sequence, message in _messages(buffer, packets, session):
            told.setdefault(destination, {}).setdefault(sequence, message)
        known: Told = {}
        for destination in self._lines & set(told):
            known.update(told[destination])
        # The busiest first: it is the channel to follow if none is yet.
        for destination in sorted(fresh & set(told), key=lambda one: (-len(told[one]), one)):
            if not self._lines or _is_line(told[destination], known):
                self._lines.add(destination)
                known = told[destination] | known
            else:
                self._name({destination})

    def _name(self, destinations: set[int]) -> None:
        for destination in sorted(destinations - set(self._others)):
            name = f"other_channel_{destination_name(destination)}"
            named = len(set(self._others.values())) < NAMED_MAX
            self._others[destination] = name if named else "other_channels"

    def _kept(self, packets: Integers) -> Integers:
        if not self._others:
            return packets
        left_out = _among(packets[DESTINATION], set(self._others))
        if not left_out.any():
            return packets
        counts: Counter[int] = Counter(packets[DESTINATION, left_out].tolist())
        for destination, times in counts.items():
            self._health.count(self._others[destination], times)
        return np.ascontiguousarray(packets[:, ~left_out])


def _among(destinations: npt.NDArray[np.int64], some: set[int]) -> npt.NDArray[np.bool_]:
    return np.isin(destinations, np.array(sorted(some), dtype=np.int64))


def _messages(buffer: Bytes, packets: Integers, session: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Read (destination, sequence, message) of every packet of the session, as far as it goes."""
    for column in range(packets.shape[1]):
        offset, length = int(packets[OFFSET, column]), int(packets[LENGTH, column])
        payload = buffer[offset : offset + length].tobytes()
        if length < HEADER or payload[:10] != session:
            continue
        sequence = int.from_bytes(payload[10:18], "big")
        count = int.from_bytes(payload[18:20], "big")
        at = HEADER
        for index in range(0 if count == END_OF_SESSION else count):
            size = int.from_bytes(payload[at : at + 2], "big")
            if at + 2 + size > length:
                break
            yield int(packets[DESTINATION, column]), sequence + index, payload[at + 2 :][:size]
            at += 2 + size


def _is_line(one: Told, known: Told) -> bool:
    """Tell whether two destinations carry the same stream."""
    common = one.keys() & known.keys()
    if common:
        same = sum(one[sequence] == known[sequence] for sequence in common)
        return 2 * same > len(common)
    if not known:
        return True
    return min(one) - NEAR <= max(known) and min(known) - NEAR <= max(one)
