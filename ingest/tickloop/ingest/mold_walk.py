"""Kernels that put MoldUDP64 packets of one session into sequence and cut them into messages.

Source: Nasdaq MoldUDP64 1.0. A packet is session 10, sequence of its first message 8, count 2,
then count × (length 2, message), big-endian; count 0 is a heartbeat, 0xFFFF ends the session.
"""

from tickloop.core.clock import NULL_TIME
from tickloop.core.kernel import inline_kernel, kernel
from tickloop.ingest.frames import Bytes, u16_be, u32_be
from tickloop.ingest.pcap_walk import LENGTH, OFFSET, TIME, Integers

HEADER = 20
END_OF_SESSION = 0xFFFF
# Packets held while an earlier one is missing, their bytes and their messages.
PENDING_MAX = 1024
STORE_BYTES = 1 << 20
PENDING_MESSAGES_MAX = 1 << 16
# The store's live packets are copied from one half to the other before each walk.
HEADROOM = 2 * STORE_BYTES
FRAMES_MAX = 1 << 18
# The most that one packet and everything it releases can hold.
FRAMES_RESERVE = PENDING_MESSAGES_MAX + (1 << 16)
SESSIONS_MAX = 64
GAPS_MAX = 1024
# A day of the busiest feed has about 10**9 messages; a jump beyond that is damage, not loss.
JUMP_MAX = 1 << 31

# Rows of the frame matrix, one column a message.
FRAME_OFFSET = 0
FRAME_LENGTH = 1
FRAME_TIME = 2
FRAME_SEQUENCE = 3
FRAME_ORIGIN = 4  # byte of the feed at which the message begins
FRAME_ROWS = 5

# Cells of the state.
EXPECTED = 0  # next sequence number; -1 before the first packet
FIRST = 1  # where the session was joined
KNOWN_NEXT = 2  # the venue has sent everything below this
ENDED = 3
HOLE_SINCE = 4  # when the hole at EXPECTED was noticed; NULL_TIME if there is none
STORE_USED = 5
STORE_HALF = 6
PENDING = 7
PENDING_MESSAGES = 8
GAPS = 9
WINDOW_NS = 10  # how long a hole may stay open by the feed's clock; -1 for ever
SESSION_HEAD = 11
SESSION_TAIL = 12
FRAMES = 13
REFUSED = 14
LAST_TIME = 15
BASE = 16  # byte of the feed that buffer[0] stands for
STATE_CELLS = 17

# Rows of the pending table.
P_SEQUENCE = 0
P_COUNT = 1
P_OFFSET = 2
P_LENGTH = 3
P_TIME = 4
P_ORIGIN = 5  # byte of the feed at which the packet's payload begins
PENDING_ROWS = 6

MESSAGES = 0
GAP_MESSAGES = 1
GAP_COUNT = 2
DUPLICATE_MESSAGES = 3
LATE_MESSAGES = 4
BEFORE_START = 5
HEARTBEATS = 6
NOT_MOLD = 7
BAD_LENGTH = 8
WILD_SEQUENCE = 9
OTHER_SESSION = 10
TRAILING_BYTES = 11
HELD = 12
COUNTS = (
    "messages",
    "gap_messages",
    "gaps",
    "duplicate_messages",
    "late_messages",
    "before_start_messages",
    "mold_heartbeats",
    "not_mold_packets",
    "mold_bad_lengths",
    "mold_wild_sequences",
    "other_session_packets",
    "mold_trailing_bytes",
    "reordered_packets",
)


@inline_kernel
def _sequence(buffer: Bytes, at: int) -> int:
    """Read the 8-byte sequence number; -1 if it does not fit a signed one."""
    high = u32_be(buffer, at + 10)
    return -1 if high >> 30 else high << 32 | u32_be(buffer, at + 14)


@inline_kernel
def _measure(buffer: Bytes, at: int, length: int, count: int) -> int:
    """Give how many bytes the packet's messages leave unused; -1 if they claim too many."""
    end = at + length
    here = at + HEADER
    for _ in range(count):
        if here + 2 > end:
            return -1
        here += 2 + u16_be(buffer, here)
    return end - here if here <= end else -1


@inline_kernel
def _emit(
    buffer: Bytes, at: int, sequence: int, count: int, time: int, origin: int,
    state: Integers, frames: Integers, counts: Integers,
) -> None:  # fmt: skip
    """Write down a packet's messages from EXPECTED on; `origin` is where its payload came from."""
    known = state[EXPECTED] - sequence
    here = at + HEADER
    row = state[FRAMES]
    for index in range(count):
        size = u16_be(buffer, here)
        if index >= known:
            frames[FRAME_OFFSET, row] = here + 2
            frames[FRAME_LENGTH, row] = size
            frames[FRAME_TIME, row] = time
            frames[FRAME_SEQUENCE, row] = sequence + index
            frames[FRAME_ORIGIN, row] = origin + here + 2 - at
            row += 1
        here += 2 + size
    counts[DUPLICATE_MESSAGES] += known
    counts[MESSAGES] += count - known
    state[FRAMES] = row
    state[EXPECTED] = sequence + count


@inline_kernel
def _forget(pending: Integers, index: int, state: Integers) -> None:
    last = state[PENDING] - 1
    state[PENDING_MESSAGES] -= pending[P_COUNT, index]
    for row in range(PENDING_ROWS):
        pending[row, index] = pending[row, last]
    state[PENDING] = last


@inline_kernel
def _earliest(pending: Integers, state: Integers) -> int:
    """Find the held packet with the lowest sequence number; -1 if none is held."""
    best = -1
    for index in range(state[PENDING]):
        if best < 0 or pending[P_SEQUENCE, index] < pending[P_SEQUENCE, best]:
            best = index
    return best


@inline_kernel
def _drain(
    buffer: Bytes, time: int, state: Integers, pending: Integers, frames: Integers,
    counts: Integers,
) -> None:  # fmt: skip
    """Release held packets that are next now, and note whether a hole remains."""
    while True:
        index = _earliest(pending, state)
        if index < 0 or pending[P_SEQUENCE, index] > state[EXPECTED]:
            break
        sequence = pending[P_SEQUENCE, index]
        count = pending[P_COUNT, index]
        if sequence + count > state[EXPECTED]:
            _emit(
                buffer, pending[P_OFFSET, index], sequence, count, pending[P_TIME, index],
                pending[P_ORIGIN, index], state, frames, counts,
            )  # fmt: skip
        else:
            counts[DUPLICATE_MESSAGES] += count
        _forget(pending, index, state)
    if index >= 0:
        state[HOLE_SINCE] = pending[P_TIME, index]
    elif state[EXPECTED] < state[KNOWN_NEXT]:
        if state[HOLE_SINCE] == NULL_TIME:
            state[HOLE_SINCE] = time
    else:
        state[HOLE_SINCE] = NULL_TIME


@inline_kernel
def _pass_over(
    buffer: Bytes, time: int, state: Integers, pending: Integers, gaps: Integers,
    frames: Integers, counts: Integers,
) -> None:  # fmt: skip
    """Give the hole at EXPECTED up: count it, and go on behind it."""
    index = _earliest(pending, state)
    resume = pending[P_SEQUENCE, index] if index >= 0 else state[KNOWN_NEXT]
    missing = resume - state[EXPECTED]
    row = state[GAPS] % GAPS_MAX
    gaps[0, row] = state[EXPECTED]
    gaps[1, row] = missing
    gaps[2, row] = time
    state[GAPS] += 1
    counts[GAP_COUNT] += 1
    counts[GAP_MESSAGES] += missing
    state[EXPECTED] = resume
    state[HOLE_SINCE] = NULL_TIME
    _drain(buffer, time, state, pending, frames, counts)


@inline_kernel
def _count_old(
    sequence: int, count: int, state: Integers, gaps: Integers, counts: Integers
) -> None:
    """Name messages below EXPECTED: before the start, in a gap that was given up, or seen."""
    if sequence < state[FIRST]:
        counts[BEFORE_START] += count
        return
    for back in range(1, min(16, state[GAPS], GAPS_MAX) + 1):
        row = (state[GAPS] - back) % GAPS_MAX
        if gaps[0, row] <= sequence < gaps[0, row] + gaps[1, row]:
            counts[LATE_MESSAGES] += count
            return
    counts[DUPLICATE_MESSAGES] += count


@inline_kernel
def _is_held(sequence: int, count: int, state: Integers, pending: Integers) -> bool:
    for index in range(state[PENDING]):
        if pending[P_SEQUENCE, index] == sequence and pending[P_COUNT, index] >= count:
            return True
    return False


@inline_kernel
def _hold(
    buffer: Bytes, packets: Integers, column: int, sequence: int, count: int, state: Integers,
    pending: Integers, counts: Integers,
) -> bool:  # fmt: skip
    """Keep a packet that came too early; False if there is no room for it."""
    if _is_held(sequence, count, state, pending):
        counts[DUPLICATE_MESSAGES] += count
        return True
    length = packets[LENGTH, column]
    if (
        state[PENDING] >= PENDING_MAX
        or state[STORE_USED] + length > STORE_BYTES
        or state[PENDING_MESSAGES] + count > PENDING_MESSAGES_MAX
    ):
        return False
    offset = state[STORE_HALF] * STORE_BYTES + state[STORE_USED]
    for index in range(length):
        buffer[offset + index] = buffer[packets[OFFSET, column] + index]
    row = state[PENDING]
    pending[P_SEQUENCE, row] = sequence
    pending[P_COUNT, row] = count
    pending[P_OFFSET, row] = offset
    pending[P_LENGTH, row] = length
    pending[P_TIME, row] = packets[TIME, column]
    pending[P_ORIGIN, row] = state[BASE] + packets[OFFSET, column]
    state[PENDING] = row + 1
    state[PENDING_MESSAGES] += count
    state[STORE_USED] += length
    if state[HOLE_SINCE] == NULL_TIME:
        state[HOLE_SINCE] = packets[TIME, column]
    counts[HELD] += 1
    return True


@inline_kernel
def _condition(buffer: Bytes, packets: Integers, column: int, state: Integers) -> int:
    """Name what keeps a packet out of the sequence; MESSAGES if nothing does."""
    at = packets[OFFSET, column]
    if packets[LENGTH, column] < HEADER:
        return NOT_MOLD
    head = u32_be(buffer, at) << 16 | u16_be(buffer, at + 4)
    if head != state[SESSION_HEAD] or u32_be(buffer, at + 6) != state[SESSION_TAIL]:
        return OTHER_SESSION
    sequence = _sequence(buffer, at)
    if sequence < 0 or (state[EXPECTED] >= 0 and sequence > state[EXPECTED] + JUMP_MAX):
        return WILD_SEQUENCE
    count = u16_be(buffer, at + 18)
    if count == END_OF_SESSION:
        return MESSAGES
    if _measure(buffer, at, packets[LENGTH, column], count) < 0:
        return BAD_LENGTH
    return MESSAGES


@inline_kernel
def _place(
    buffer: Bytes, packets: Integers, column: int, forced: bool, state: Integers, pending: Integers,
    gaps: Integers, frames: Integers, counts: Integers,
) -> bool:  # fmt: skip
    """Emit, hold or drop a sound packet; False if it must wait for a fresh store."""
    at = packets[OFFSET, column]
    time = packets[TIME, column]
    sequence = _sequence(buffer, at)
    count = u16_be(buffer, at + 18)
    if state[EXPECTED] < 0:
        state[EXPECTED] = sequence
        state[FIRST] = sequence
    if count == 0 or count == END_OF_SESSION:
        counts[HEARTBEATS] += count == 0
        state[ENDED] |= count == END_OF_SESSION
        state[KNOWN_NEXT] = max(state[KNOWN_NEXT], sequence)
        _drain(buffer, time, state, pending, frames, counts)
        return True
    state[KNOWN_NEXT] = max(state[KNOWN_NEXT], sequence + count)
    while sequence > state[EXPECTED]:
        if _hold(buffer, packets, column, sequence, count, state, pending, counts):
            return True
        if not forced:
            return False
        _pass_over(buffer, time, state, pending, gaps, frames, counts)
    if sequence + count <= state[EXPECTED]:
        _count_old(sequence, count, state, gaps, counts)
        return True
    counts[TRAILING_BYTES] += _measure(buffer, at, packets[LENGTH, column], count)
    _emit(buffer, at, sequence, count, time, state[BASE] + at, state, frames, counts)
    if state[PENDING] > 0 or state[HOLE_SINCE] != NULL_TIME:
        _drain(buffer, time, state, pending, frames, counts)
    return True


@kernel(
    "int64(uint8[::1], int64[:, ::1], int64, int64[::1], int64[:, ::1], int64[:, ::1],"
    " int64[:, ::1], int64[::1], int64[::1])"
)
def walk_packets(
    buffer: Bytes, packets: Integers, start: int, state: Integers, pending: Integers,
    gaps: Integers, frames: Integers, refused: Integers, counts: Integers,
) -> int:  # fmt: skip
    """Put packets from column `start` on into sequence; return the first one not taken.

    It returns early when `frames` or the store of held packets has no room left; called again
    it goes on. `refused` gets the columns of packets to keep aside.
    """
    for column in range(start, packets.shape[1]):
        if state[FRAMES] + FRAMES_RESERVE > frames.shape[1]:
            return column
        time = packets[TIME, column]
        state[LAST_TIME] = max(state[LAST_TIME], time)
        condition = _condition(buffer, packets, column, state)
        if condition != MESSAGES:
            counts[condition] += 1
            if condition != OTHER_SESSION and state[REFUSED] < refused.shape[0]:
                refused[state[REFUSED]] = column
                state[REFUSED] += 1
            continue
        if (
            state[HOLE_SINCE] != NULL_TIME
            and state[WINDOW_NS] >= 0
            and time - state[HOLE_SINCE] > state[WINDOW_NS]
        ):
            _pass_over(buffer, time, state, pending, gaps, frames, counts)
        if not _place(
            buffer, packets, column, column == start, state, pending, gaps, frames, counts
        ):  # fmt: skip
            return column
    return int(packets.shape[1])


@kernel("void(uint8[::1], int64[::1], int64[:, ::1], int64[:, ::1], int64[:, ::1], int64[::1])")
def pass_over(
    buffer: Bytes, state: Integers, pending: Integers, gaps: Integers, frames: Integers,
    counts: Integers,
) -> None:  # fmt: skip
    """Give up the hole that is open, if one is."""
    if state[HOLE_SINCE] != NULL_TIME:
        _pass_over(buffer, state[LAST_TIME], state, pending, gaps, frames, counts)


@kernel("void(uint8[::1], int64[::1], int64[:, ::1])")
def refresh_store(buffer: Bytes, state: Integers, pending: Integers) -> None:
    """Copy held packets to the other half of the store, which frees what they released."""
    half = 1 - state[STORE_HALF]
    used = 0
    for index in range(state[PENDING]):
        source = pending[P_OFFSET, index]
        target = half * STORE_BYTES + used
        length = pending[P_LENGTH, index]
        for position in range(length):
            buffer[target + position] = buffer[source + position]
        pending[P_OFFSET, index] = target
        used += length
    state[STORE_HALF] = half
    state[STORE_USED] = used


@kernel("int64(uint8[::1], int64[:, ::1], int64[:, ::1])")
def tally_sessions(buffer: Bytes, packets: Integers, sessions: Integers) -> int:
    """Count messages by session into `sessions` (head, tail, messages); return how many."""
    known = 0
    for column in range(packets.shape[1]):
        at = packets[OFFSET, column]
        length = packets[LENGTH, column]
        if length < HEADER:
            continue
        count = u16_be(buffer, at + 18)
        if count == END_OF_SESSION:
            count = 0
        if _sequence(buffer, at) < 0 or _measure(buffer, at, length, count) != 0:
            continue
        head = u32_be(buffer, at) << 16 | u16_be(buffer, at + 4)
        tail = u32_be(buffer, at + 6)
        row = 0
        while row < known and (sessions[0, row] != head or sessions[1, row] != tail):
            row += 1
        if row == sessions.shape[1]:
            continue
        if row == known:
            sessions[0, row] = head
            sessions[1, row] = tail
            sessions[2, row] = 0
            known += 1
        sessions[2, row] += count
    return known
