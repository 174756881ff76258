"""Captures of the cryptofeed library: WebSocket frames in one file, REST replies in another."""

import re
from collections.abc import Iterator
from heapq import merge
from pathlib import Path

from tickloop.core.errors import FeedError
from tickloop.ingest.recorded_lines import Lines, recorded_lines

# Both files are read whole to be merged; these captures last seconds.
CAPTURE_BYTES_MAX = 1 << 28

_STAMP = re.compile(rb"(?:https?://\S+ -> )?(\d{1,12})(?:\.(\d{1,9}))?\d*: ")


def is_cryptofeed(text: bytes) -> bool:
    """Tell whether a file begins as a capture of the WebSocket side does."""
    return text.startswith(b"wss://") or _STAMP.match(text) is not None


def _replies(path: Path) -> Path | None:
    # BINANCE.ws.1.0.gz lies beside BINANCE.http.0.0.gz.
    exchange, found, _ = path.name.partition(".ws.")
    beside = sorted(path.parent.glob(f"{exchange}.http.*")) if found else []
    return beside[0] if beside else None


def _stamped(text: bytes) -> Iterator[tuple[int, bytes]]:
    # Lines with their stamps; those without one (connects, requests) go with the line before.
    latest_ns = 0
    for line in text.split(b"\n"):
        stamp = _STAMP.match(line)
        if stamp:
            latest_ns = int(stamp[1]) * 10**9 + int((stamp[2] or b"").ljust(9, b"0"))
        if line:
            yield latest_ns, line


def _whole(path: Path, chunks: Iterator[Lines]) -> bytes:
    parts: list[bytes] = []
    size = 0
    for lines in chunks:
        parts.append(lines.text)
        size += len(lines.text)
        if size > CAPTURE_BYTES_MAX:
            raise FeedError(
                f"{path}: more than {CAPTURE_BYTES_MAX} bytes of a cryptofeed capture, which is"
                " read whole; split it"
            )
    return b"".join(parts)


def with_snapshots(path: Path, first: Lines, rest: Iterator[Lines]) -> Iterator[Lines]:
    """Merge a capture's frames with the depth snapshots beside it, in the order of arrival."""
    frames = first.text + _whole(path, rest)
    replies = _replies(path)
    if replies is None:
        yield Lines(0, frames)
        return
    snapshots = _whole(replies, recorded_lines(replies))
    both = merge(_stamped(snapshots), _stamped(frames), key=lambda line: line[0])
    yield Lines(0, b"\n".join(line for _, line in both) + b"\n")
