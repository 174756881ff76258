"""PyKX, wrapped: values across by their bytes, and its connections; its unlicensed mode suffices.

Values go through KX's own serialisation instead of PyKX's conversions, so that every null, every
infinity and every nanosecond arrives: what NumPy calls NaT is a null timestamp, for one.
"""

from types import ModuleType
from typing import Any

from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import ConfigError, QueryError, WireError
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.q_codec import MessageKind, encode, message, open_message

_BYTES_MAX = (1 << 31) - 1
_NAP_S = 0.0005


def pykx() -> ModuleType:
    """Give the package; ConfigError if it is not installed."""
    try:
        import pykx as package
    except ImportError as error:
        raise ConfigError(
            f"PyKX cannot be used ({error}): pip install 'tickloop[kdb]'; without a licence, set"
            " the environment's PYKX_UNLICENSED to 1"
        ) from error
    found: ModuleType = package
    return found


def is_pykx(value: object) -> bool:
    """Tell whether a value is PyKX's, without importing it."""
    return type(value).__module__.partition(".")[0] == "pykx"


def to_pykx(value: q.Value) -> Any:
    """Give a value as PyKX has it; WireError for one that cannot travel."""
    return pykx().deserialize(message(MessageKind.ASYNC, encode(value)))


def from_pykx(value: Any) -> q.Value:
    """Take a value of PyKX's; WireError for one that is no data (a q process's own)."""
    package = pykx()
    try:
        raw = bytes(package.serialize(value))
    except (package.QError, package.exceptions.LicenseException, TypeError, ValueError) as error:
        raise WireError(
            f"PyKX cannot serialise a {type(value).__name__}: {error}; tables, dictionaries, lists"
            " and atoms can travel"
        ) from error
    return open_message(raw, size_max=_BYTES_MAX)[1]


class PykxPublisher:
    """A `SyncQConnection` to a tickerplant, for `.u.upd`."""

    def __init__(self, host: str, port: int, *, user: str, password: str, timeout_s: float) -> None:
        package = pykx()
        self._name = f"{host}:{port}"
        self._errors = (package.QError, package.exceptions.PyKXException, OSError, RuntimeError)
        try:
            self._connection: Any = package.SyncQConnection(
                host, port, username=user, password=password, timeout=timeout_s, no_ctx=True
            )
        except self._errors as error:
            raise WireError(
                f"{self._name} let PyKX not in: {error}; is a tickerplant running there?"
            ) from error

    def upd(self, table: str, columns: list[q.Value], *, wait: bool) -> None:
        """Publish columns; with `wait` until they were taken, and QueryError if they were not."""
        data = to_pykx(q.List(tuple(columns)))
        name = pykx().SymbolAtom(table)
        try:
            self._connection(".u.upd", name, data, wait=wait)
        except self._errors as error:
            raise QueryError(f"{self._name}: .u.upd of {table}: {error}") from error

    def close(self) -> None:
        """Let go."""
        self._connection.close()


class PykxSubscriber:
    """A `RawQConnection` to a tickerplant, whose pushed messages are polled."""

    def __init__(self, host: str, port: int, *, user: str, password: str) -> None:
        package = pykx()
        self._name = f"{host}:{port}"
        self._errors = (package.QError, package.exceptions.PyKXException, OSError, RuntimeError)
        import asyncio

        self._loop = asyncio.new_event_loop()

        async def opened() -> Any:
            return await package.RawQConnection(
                host, port, username=user, password=password, no_ctx=True
            )

        try:
            self._connection: Any = self._loop.run_until_complete(opened())
        except self._errors as error:
            self._loop.close()
            raise WireError(
                f"{self._name} let PyKX not in: {error}; is a tickerplant running there?"
            ) from error

    def subscribe(self, table: str, symbols: list[str]) -> q.Value:
        """Subscribe; give what the tickerplant answers: the table's name and schema."""
        package = pykx()

        async def asked() -> Any:
            wanted = to_pykx(q.symbols(symbols)) if symbols else package.SymbolAtom("")
            return await self._connection(".u.sub", package.SymbolAtom(table), wanted)

        try:
            return from_pykx(self._loop.run_until_complete(asked()))
        except self._errors as error:
            raise QueryError(f"{self._name}: .u.sub of {table}: {error}") from error

    def receive(self, timeout_s: float) -> q.Value | None:
        """Give the next pushed message; None if none comes in time."""
        deadline = monotonic_ns() + int(timeout_s * 1e9)
        while True:
            try:
                found = self._connection.poll_recv()
            except self._errors as error:
                raise WireError(f"{self._name} went away: {error}; connect again") from error
            if found is not None:
                return from_pykx(found)
            if monotonic_ns() >= deadline:
                return None
            sleep(_NAP_S)

    def close(self) -> None:
        """Let go."""

        async def closed() -> None:
            await self._connection.close()

        self._loop.run_until_complete(closed())
        self._loop.close()
