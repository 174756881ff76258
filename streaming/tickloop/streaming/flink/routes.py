"""Which elements of a job go to which shares, and how an element tells it."""

from collections.abc import Callable, Sequence

from tickloop.tickerplant.sinks.envelope import MAGIC, read_header

# In front of an element that goes to several shares: this, and the share in two bytes.
_MARK = b"TLS1"
_MARK_BYTES = len(_MARK) + 2


def copies(raw: bytes, count: int) -> Sequence[bytes]:
    """Address an element to every one of so many shares."""
    return [b"".join((_MARK, share.to_bytes(2, "little"), raw)) for share in range(count)]


def addressed(keys: Sequence[int]) -> Callable[[bytes], int]:
    """Give a function that tells an element's key: its message's shard, or its own address."""

    def key(raw: bytes) -> int:
        if raw[:4] == MAGIC:
            return keys[read_header(raw).shard]
        return keys[int.from_bytes(raw[len(_MARK) : _MARK_BYTES], "little")]

    return key


def content(raw: bytes) -> bytes:
    """Give an element without its address."""
    return raw[_MARK_BYTES:] if raw[:4] == _MARK else raw
