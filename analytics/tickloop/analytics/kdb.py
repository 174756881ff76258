"""kdb+ from Python, through PyKX: values and frames across, publish into and follow tickerplants.

Everything works in PyKX's unlicensed mode. Conversions keep what q has: each null and infinity of
each type, nanoseconds, symbols apart from strings.
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from tickloop.analytics.gateway.connection import ADDRESS
from tickloop.analytics.gateway.result import Result
from tickloop.analytics.q.convert import to_value
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.core.batch import Batch
from tickloop.core.errors import ConfigError, SchemaError
from tickloop.core.schema import Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import pykx_link
from tickloop.tickerplant import q_values as wire
from tickloop.tickerplant.names import Names
from tickloop.tickerplant.wire_rows import rows_from
from tickloop.tickerplant.wire_tables import table_of

_TIMEOUT_S = 10.0


def to_pykx(value: Any) -> Any:
    """Give an answer, a frame, an array or any Python value as PyKX has it."""
    return pykx_link.to_pykx(_wire(value))


def from_pykx(value: Any) -> Result:
    """Take a value of PyKX's: `.pandas()`, `.polars()`, `.arrow()` and `.numpy()` go on from it."""
    return Result(from_wire(pykx_link.from_pykx(value)))


def rows_to_pykx(rows: Batch, symbols: Symbols, *, fractional: bool = False) -> Any:
    """Give surface rows as a PyKX table; `symbols` say what their ids are called."""
    table = table_of(rows.table, rows.columns, Names(symbols), fractional=fractional)
    return pykx_link.to_pykx(table)


def rows_from_pykx(
    table: Table, value: Any, symbols: Symbols, *, fractional: bool = False, midnight_ns: int = 0
) -> Batch:
    """Take a PyKX table as rows of ours, without `seq`; SchemaError says what does not fit.

    Names that are new get ids; a time of day counts from `midnight_ns`.
    """
    return rows_from(
        table, pykx_link.from_pykx(value), symbols, fractional=fractional, today_ns=midnight_ns
    )


class Publisher:
    """Publishes into a kdb+ tickerplant, or a plant of ours, by `.u.upd`.

    `with Publisher("localhost:5010") as tick: tick.publish("trade", frame)`
    """

    def __init__(
        self, address: str, *, user: str = "", password: str = "", timeout_s: float = _TIMEOUT_S
    ) -> None:
        host, port = _address(address)
        self._link = pykx_link.PykxPublisher(
            host, port, user=user, password=password, timeout_s=timeout_s
        )

    def publish(self, table: str, rows: Any, *, wait: bool = True) -> None:
        """Publish a frame, a table, a mapping of columns, or a list of columns in their order.

        With `wait`, it returns when the rows were taken, and QueryError says why they were not.
        """
        self._link.upd(table, _columns(_wire(rows)), wait=wait)

    def close(self) -> None:
        """Let go."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Subscriber:
    """Follows tables of a kdb+ tickerplant, or of a plant of ours, by `.u.sub`.

    `for table, rows in Subscriber("localhost:5010", ["trade"]): rows.pandas()`
    """

    def __init__(
        self, address: str, tables: Sequence[str], *, symbols: Sequence[str] = (),
        user: str = "", password: str = "",
    ) -> None:  # fmt: skip
        """No symbols means all. QueryError if the tickerplant refuses."""
        host, port = _address(address)
        self._link = pykx_link.PykxSubscriber(host, port, user=user, password=password)
        self.schemas: dict[str, Result] = {}
        try:
            for table in tables:
                answer = self._link.subscribe(table, list(symbols))
                if isinstance(answer, wire.List) and len(answer) == 2:
                    self.schemas[table] = Result(from_wire(answer.items[1]))
        except BaseException:
            self._link.close()
            raise

    def next(self, timeout_s: float) -> tuple[str, Result] | None:
        """Give the next update, its table and rows; None if none comes in time."""
        while (found := self._link.receive(timeout_s)) is not None:
            if isinstance(found, wire.List) and len(found) == 3:
                function, table, data = found.items
                if wire.name_of(function) == "upd" and (name := wire.name_of(table)):
                    return name, Result(from_wire(data))
        return None

    def __iter__(self) -> Iterator[tuple[str, Result]]:
        while True:
            found = self.next(3600.0)
            if found is not None:
                yield found

    def close(self) -> None:
        """Let go."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _wire(value: Any) -> wire.Value:
    if pykx_link.is_pykx(value):
        return pykx_link.from_pykx(value)
    return to_wire(value.value if isinstance(value, Result) else to_value(value))


def _columns(value: wire.Value) -> list[wire.Value]:
    """Give columns as tickerplants want them: without names."""
    if isinstance(value, wire.Table):
        return list(value.columns)
    if isinstance(value, wire.Dictionary) and isinstance(value.values, wire.List):
        return list(value.values.items)
    if isinstance(value, wire.List):
        return list(value.items)
    raise SchemaError("type: a table, a frame, or a list of columns to publish expected")


def _address(text: str) -> tuple[str, int]:
    found = ADDRESS.fullmatch(text)
    if found is None or found["login"]:
        raise ConfigError(f"address {text!r} seen, HOST:PORT such as localhost:5010 expected")
    return found["host"].strip("[]"), int(found["port"])
