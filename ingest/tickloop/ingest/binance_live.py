"""Binance's WebSocket streams live: the frames of a connection as a recording's lines, at once.

A thread keeps the connection (combined streams, market data needs no account), stamps each frame
and hands it over as the line that a recording would hold; `poll` decodes what has come. Depth is
synced by snapshots over REST, asked for as soon as a symbol's differences wait for one. A lost
connection, also the venue's own after 24 hours, is one more line: books are stale from there on,
the next connection brings differences that wait, and those ask for a snapshot.
"""

import asyncio
import gzip
import re
import threading
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tickloop.core.batch import Slice
from tickloop.core.clock import Clock, WallClock, to_unix_ns
from tickloop.core.errors import ConfigError, FeedError, SchemaError
from tickloop.ingest.binance import FUTURES, SPOT, BinanceDecoder
from tickloop.ingest.feed import FeedContext
from tickloop.ingest.line_queue import LineQueue

POLL_S = 0.1
TAKE_BYTES = 1 << 22
FRAME_BYTES_MAX = 1 << 22
SNAPSHOT_BYTES_MAX = 1 << 24
FULL_NAP_S = 0.005
STREAMS_MAX = 1024  # of one connection, says the venue
STREAMS = ("trade", "bookTicker", "depth@100ms")
LOST = b'{"stream":"!connection","data":{"e":"disconnected"}}'

_SYMBOL = re.compile(r"[a-z0-9_]{1,40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceLiveConfig:
    """What to subscribe to, where, and the bounds of it all; no limit has a default."""

    symbols: tuple[str, ...]
    streams: tuple[str, ...]  # of each symbol
    venue: str
    stream_url: str  # e.g. wss://stream.binance.com:9443
    snapshot_url: str  # e.g. https://api.binance.com/api/v3/depth
    snapshot_levels: int
    snapshot_retry_s: float  # between requests for one symbol
    queue_bytes: int  # frames that wait to be decoded; past it the connection is not read
    attempts: int  # connections in a row that bring no frame before the feed gives up
    backoff_s: float  # wait before the second attempt; doubles with every further one
    backoff_max_s: float
    timeout_s: float  # for connecting, for a ping's answer, for a snapshot
    record: Path | None = None  # a new .gz file that gets every line

    def __post_init__(self) -> None:
        for symbol in self.symbols:
            if not _SYMBOL.fullmatch(symbol):
                raise ConfigError(
                    f"symbol {symbol!r} seen, lower case such as btcusdt expected, commas between"
                )
        count = len(self.symbols) * len(self.streams)
        if not 0 < count <= STREAMS_MAX:
            raise ConfigError(
                f"{count} streams asked for ({len(self.symbols)} symbols), 1 to {STREAMS_MAX} to a"
                " connection expected; run several feeds"
            )

    @property
    def url(self) -> str:
        """The address of the combined streams."""
        names = "/".join(f"{symbol}@{stream}" for symbol in self.symbols for stream in self.streams)
        return f"{self.stream_url.rstrip('/')}/stream?streams={names}"


def spot_config(
    symbols: str, *, stream_url: str, rest_url: str, record: Path | None = None
) -> BinanceLiveConfig:
    """Configure spot symbols, written `btcusdt,ethusdt`."""
    return BinanceLiveConfig(
        symbols=tuple(symbols.lower().split(",")), streams=STREAMS, venue=SPOT,
        stream_url=stream_url, snapshot_url=f"{rest_url.rstrip('/')}/api/v3/depth",
        snapshot_levels=1000, snapshot_retry_s=5.0, queue_bytes=1 << 26,
        attempts=100, backoff_s=0.5, backoff_max_s=30.0, timeout_s=20.0, record=record,
    )  # fmt: skip


def futures_config(
    symbols: str, *, stream_url: str, rest_url: str, record: Path | None = None
) -> BinanceLiveConfig:
    """Configure USD-M futures, written `btcusdt,ethusdt`."""
    return BinanceLiveConfig(
        symbols=tuple(symbols.lower().split(",")), streams=STREAMS, venue=FUTURES,
        stream_url=stream_url, snapshot_url=f"{rest_url.rstrip('/')}/fapi/v1/depth",
        snapshot_levels=1000, snapshot_retry_s=5.0, queue_bytes=1 << 26,
        attempts=100, backoff_s=0.5, backoff_max_s=30.0, timeout_s=20.0, record=record,
    )  # fmt: skip


class BinanceLive:
    """A live feed. `poll` gives what has come; `slices` polls until the feed ends or `stop`.

    It ends by itself only when `attempts` connections in a row bring no frame, or a symbol does
    not fit the data directory: then `health.damage` says why.
    """

    def __init__(
        self, config: BinanceLiveConfig, context: FeedContext, *, clock: Clock | None = None
    ) -> None:
        self.name = f"binance-live:{','.join(config.symbols)}"
        self.venue = config.venue
        self._decoder = BinanceDecoder(context, venue=config.venue)
        self.health = self._decoder.health
        self._queue = LineQueue(bytes_max=config.queue_bytes)
        self._link = _Link(config, self._queue, WallClock() if clock is None else clock)
        self._thread = threading.Thread(target=self._link.run, name=self.name, daemon=True)
        self._ready: deque[Slice] = deque()
        self._offset = 0

    @property
    def messages(self) -> int:
        """Count the frames decoded so far."""
        return self._decoder.messages

    @property
    def finished(self) -> bool:
        """Whether the feed ended and every slice was taken."""
        return self._link.ended and not self._queue and not self._ready

    def poll(self, timeout_s: float) -> Slice | None:
        """Give the next slice; None if no rows came within the time."""
        if not self._ready and not self.finished:
            if self._thread.ident is None:
                self._thread.start()
            self._decode(self._queue.take(timeout_s, bytes_max=TAKE_BYTES))
        return self._ready.popleft() if self._ready else None

    def slices(self) -> Iterator[Slice]:
        """Yield slices until the feed ends or `stop` is called; then close the connection."""
        try:
            while not self.finished:
                step = self.poll(POLL_S)
                if step is not None:
                    yield step
        finally:
            self.close()

    def stop(self) -> None:
        """Let the feed end after the frames in hand; another thread may call it."""
        self._link.stop()

    def close(self) -> None:
        """End the connection, finish the recording, and account for what was left."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._link.finish()
        self._account()
        self._decoder.finish()

    def _decode(self, text: bytes) -> None:
        self._account()
        try:
            self._ready.extend(self._decoder.decode(text, offset=self._offset))
        except SchemaError as error:
            self.health.damage.append(FeedError(f"{self.name}: {error}"))
            self.stop()
        self._offset += len(text)
        self._link.want(self._decoder.unsynced())

    def _account(self) -> None:
        # The link's thread only appends, this one only takes: no lock is needed.
        while self._link.conditions:
            self.health.count(self._link.conditions.popleft())
        while self._link.damage:
            self.health.damage.append(self._link.damage.popleft())


class _Link:
    """The connection and the snapshot requests: one event loop in one thread."""

    def __init__(self, config: BinanceLiveConfig, queue: LineQueue, clock: Clock) -> None:
        self.conditions: deque[str] = deque()
        self.damage: deque[FeedError] = deque()
        self.ended = False
        self._config = config
        self._queue = queue
        self._clock = clock
        self._frames = 0
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._due: dict[str, float] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._record = _Recording(config.record) if config.record else None

    def run(self) -> None:
        """Keep the connection until stopped or hopeless."""
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._keep())
        finally:
            self.ended = True
            self._queue.wake()

    def stop(self) -> None:
        """End the connection; from any thread, more than once."""
        self._stopping.set()
        self._call(self._cancel)

    def finish(self) -> None:
        """Close the recording once the thread is over."""
        self.ended = True
        if self._record is not None:
            self._record.close()

    def want(self, symbols: Iterable[str]) -> None:
        """Ask for snapshots; those asked for a moment ago are passed over."""
        for symbol in symbols:
            self._call(self._request, symbol)

    def _call(self, action: Callable[..., None], *arguments: str) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody to tell
                self._loop.call_soon_threadsafe(action, *arguments)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _keep(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        config = self._config
        failures = 0
        while not self._stopping.is_set():
            before = self._frames
            reason = await self._connection()
            failures = 0 if self._frames > before else failures + 1
            if failures >= config.attempts:
                self.damage.append(
                    FeedError(
                        f"{config.stream_url}: {failures} connections in a row brought no frame,"
                        f" the last one ended with: {reason}; check the address, the symbols and"
                        " the network"
                    )
                )
                return
            delay_s = config.backoff_s * 2 ** min(max(failures - 1, 0), 30)
            await asyncio.sleep(min(delay_s, config.backoff_max_s))

    async def _connection(self) -> str:
        # One connection from beginning to end; why it ended.
        config = self._config
        before = self._frames
        reason = "closed"
        try:
            async with connect(
                config.url, proxy=None, compression=None, max_size=FRAME_BYTES_MAX,
                open_timeout=config.timeout_s, close_timeout=1.0,
                ping_interval=config.timeout_s, ping_timeout=config.timeout_s,
            ) as connection:  # fmt: skip
                self.conditions.append("connected")
                await self._receive(connection)
        except (OSError, WebSocketException) as error:
            reason = f"{type(error).__name__}: {error}"
        if self._frames > before:
            self.conditions.append("disconnected")
            await self._put(LOST)
        else:
            self.conditions.append("connection_failed")
        return reason

    async def _receive(self, connection: ClientConnection) -> None:
        while True:
            frame = await connection.recv(decode=False)
            self._frames += 1
            await self._put(frame)

    async def _put(self, frame: bytes) -> None:
        # Past white space, JSON holds no line feed.
        stamp = to_unix_ns(self._clock.now())
        line = b"%d %s\n" % (stamp, frame.replace(b"\n", b" "))
        if self._record is not None:
            self._record.write(line, now_s=asyncio.get_running_loop().time())
        if self._queue.put(line):
            return
        self.conditions.append("queue_full")
        while not self._queue.put(line):
            await asyncio.sleep(FULL_NAP_S)

    def _request(self, symbol: str) -> None:
        loop = asyncio.get_running_loop()
        known = symbol.lower() in self._config.symbols
        if not known or self._stopping.is_set() or loop.time() < self._due.get(symbol, 0.0):
            return
        self._due[symbol] = loop.time() + self._config.snapshot_retry_s + self._config.timeout_s
        request = loop.create_task(self._snapshot(symbol))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def _snapshot(self, symbol: str) -> None:
        config = self._config
        url = f"{config.snapshot_url}?symbol={symbol}&limit={config.snapshot_levels}"
        self.conditions.append("snapshot_requested")
        wait_s = config.snapshot_retry_s
        try:
            body = await asyncio.to_thread(_fetch, url, config.timeout_s)
        except urllib.error.HTTPError as error:
            self.conditions.append(f"snapshot_refused_{error.code}")
            wait_s = max(wait_s, _retry_after_s(error))
        except (OSError, ValueError, HTTPException):
            self.conditions.append("snapshot_failed")
        else:
            name = symbol.lower().encode()
            await self._put(b'{"stream":"%s@depthSnapshot","data":%s}' % (name, body))
        self._due[symbol] = asyncio.get_running_loop().time() + wait_s


def _fetch(url: str, timeout_s: float) -> bytes:
    # Without the environment's proxies, as the stream.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as reply:
        body: bytes = reply.read(SNAPSHOT_BYTES_MAX)
    return body


def _retry_after_s(error: urllib.error.HTTPError) -> float:
    # A venue that bans the address for a while (429, 418) says for how long.
    seconds = error.headers.get("Retry-After", "")
    return min(float(seconds), 3600.0) if seconds.isdecimal() else 0.0


class _Recording:
    """Lines to a new gzip file; what is older than a second survives the process."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = gzip.open(path, "xb")  # noqa: SIM115, open for the feed's life
        except FileExistsError as error:
            raise ConfigError(
                f"{path}: the file exists, a recording begins a new one; name another"
            ) from error
        except OSError as error:
            raise ConfigError(f"{path}: cannot record: {error.strerror or error}") from error
        self._flushed_s = 0.0

    def write(self, line: bytes, *, now_s: float) -> None:
        """Add a line."""
        self._file.write(line)
        if now_s - self._flushed_s >= 1.0:
            self._file.flush()
            self._flushed_s = now_s

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
