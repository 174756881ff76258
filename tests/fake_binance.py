"""A small Binance: WebSocket streams and REST snapshots on loopback, with faults on request."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

# What a connection sends, frame by frame; None ends it from the venue's side, and a condition
# holds the rest back until it is true.
Script = Iterable[dict[str, Any] | bytes | Callable[[], bool] | None]


class FakeBinance:
    """Plays one script a connection, the last one's connection stays open."""

    def __init__(
        self,
        scripts: list[Script],
        snapshot: Callable[[str], dict[str, Any]],
        *,
        refusals: int = 0,
    ) -> None:
        self.paths: list[str] = []
        self.requests: list[str] = []
        self._scripts = iter(scripts)
        self._snapshot = snapshot
        self._refusals = refusals
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http_thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def __enter__(self) -> "FakeBinance":
        self._http_thread.start()
        self._thread.start()
        assert self._ready.wait(10)
        self.rest_url = f"http://127.0.0.1:{self._http.server_address[1]}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._http.shutdown()
        self._http_thread.join(10)
        self._http.server_close()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        server: Server = await serve(self._play, "127.0.0.1", 0)
        self.stream_url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        self._ready.set()
        await self._over.wait()
        server.close()
        await server.wait_closed()

    async def _play(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        for frame in next(self._scripts, ()):
            if frame is None:
                return
            if callable(frame):
                while not frame() and not self._over.is_set():
                    await asyncio.sleep(0.005)
                continue
            text = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
            await connection.send(text, text=True)
        await self._over.wait()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        venue = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                venue.requests.append(self.path)
                if venue._refusals:
                    venue._refusals -= 1
                    self.send_response(429)
                    self.send_header("Retry-After", "0")
                    self.end_headers()
                    return
                symbol = self.path.partition("symbol=")[2].partition("&")[0]
                body = json.dumps(venue._snapshot(symbol)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler
