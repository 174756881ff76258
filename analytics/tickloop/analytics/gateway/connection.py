"""`connect`: one way to ask a data directory and a running server alike."""

import re
from collections.abc import Generator, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from tickloop.analytics.gateway.engine import SQL_ON
from tickloop.analytics.gateway.result import Result
from tickloop.analytics.gateway.row_streams import STREAM_NEXT, STREAM_Q, STREAM_SQL
from tickloop.analytics.gateway.sql_arguments import with_arguments
from tickloop.analytics.q.convert import to_value
from tickloop.analytics.q.values import Value
from tickloop.analytics.q.wire import from_wire, to_wire
from tickloop.tickerplant import q_values as wire

ADDRESS = re.compile(r"(?:(?P<login>[^@/]*)@)?(?P<host>[^/:@]+|\[[0-9a-fA-F:]+\]):(?P<port>\d+)")
# Results one after another; `close` ends what makes them.
Results = Generator[Result, None, None]


class _Way(Protocol):
    """How questions reach an engine."""

    def q(self, text: str, arguments: list[Value]) -> Value:
        """Answer q text, applied to arguments if there are any."""
        ...

    def sql(self, text: str, on: str) -> Result:
        """Answer SQL, in the engine that `on` names."""
        ...

    def stream_q(self, text: str, arguments: list[Value], rows: int) -> Results:
        """Answer q text in blocks."""
        ...

    def stream_sql(self, text: str, rows: int) -> Results:
        """Answer SQL in blocks."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class Connection:
    """A database to ask, in q or SQL. One thread at a time."""

    def __init__(self, way: _Way, name: str) -> None:
        self._way = way
        self._name = name

    def q(self, text: str, *arguments: object) -> Result:
        """Ask in q; with arguments, `text` is a function or its name.

        Variables live as long as the connection. QueryError says why there is no answer.
        """
        return Result(self._way.q(text, [to_value(argument) for argument in arguments]))

    def sql(self, text: str, *arguments: object, on: str = "") -> Result:
        """Ask in SQL; each `?` in it stands for an argument.

        `on="questdb"` asks the QuestDB server that the database's sink fills.
        """
        return self._way.sql(with_arguments(text, arguments), on)

    def stream_q(self, text: str, *arguments: object, rows: int = 100_000) -> Results:
        """Ask in q for more than fits memory: results of at most `rows` rows, one after another.

        A select from a partitioned table whose rows depend on nothing but themselves is answered
        piece by piece; other answers are made whole where they are made. It is another session
        than that of `q`, without its variables.
        """
        return self._way.stream_q(text, [to_value(argument) for argument in arguments], rows)

    def stream_sql(self, text: str, *arguments: object, rows: int = 100_000) -> Results:
        """Ask in SQL for more than fits memory: results of at most `rows` rows each."""
        return self._way.stream_sql(with_arguments(text, arguments), rows)

    def close(self) -> None:
        """End the connection; its variables go with it."""
        self._way.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tickloop connection to {self._name}>"


def connect(
    where: str | Path, *, user: str = "", password: str = "", questdb: str = ""
) -> Connection:
    """Connect to a data directory, or to a server given as "host:port".

    A directory may be live or at rest, and needs no server. "user:password@host:port" logs in.
    `questdb`, as "host:port", is where a directory's questions go with `on="questdb"`; by default
    where its sink sends. A server knows its own.
    """
    found = ADDRESS.fullmatch(str(where))
    if found is None or Path(where).is_dir():
        return Connection(_Local(Path(where), questdb), str(where))
    if found["login"]:
        user, _, password = found["login"].partition(":")
    host, port = found["host"].strip("[]"), int(found["port"])
    return Connection(_Remote(host, port, user, password), f"{host}:{port}")


class _Local:
    """Engines in this process over a directory."""

    def __init__(self, root: Path, questdb: str) -> None:
        from tickloop.analytics.gateway.engine import Engine, Shared
        from tickloop.analytics.gateway.rights import Rights
        from tickloop.analytics.questdb.place import Place
        from tickloop.tickerplant.database import Database

        Database(root)  # a directory that is none is refused now
        self._rights = Rights(outside=True, share=True)
        self._shared = Shared(root, Place(questdb))
        self._engine = Engine(self._shared, self._rights)

    def q(self, text: str, arguments: list[Value]) -> Value:
        found = self._engine.text(text)
        return self._engine.language.apply(found, arguments) if arguments else found

    def sql(self, text: str, on: str) -> Result:
        return Result.of_arrow(self._engine.sql_table(text, on))

    def stream_q(self, text: str, arguments: list[Value], rows: int) -> Results:
        from tickloop.analytics.gateway.engine import Engine

        engine = Engine(self._shared, self._rights)
        try:
            for block in engine.stream_q(text, arguments, rows):
                yield Result(block)
        finally:
            engine.forget()

    def stream_sql(self, text: str, rows: int) -> Results:
        for table in self._engine.stream_sql(text, rows):
            yield Result.of_arrow(table)

    def close(self) -> None:
        self._shared.close()


class _Remote:
    """A server that speaks q IPC."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        from tickloop.tickerplant.q_client import QClient

        self._open = partial(QClient, host, port, user=user, password=password, timeout_s=86_400.0)
        self._client = self._open()

    def q(self, text: str, arguments: list[Value]) -> Value:
        asked: wire.Value = wire.chars(text)
        if arguments:
            asked = wire.items(asked, *map(to_wire, arguments))
        return self._ask(asked)

    def sql(self, text: str, on: str) -> Result:
        call = (wire.symbol(SQL_ON), wire.symbol(on)) if on else (wire.symbol(".s.e"),)
        return Result(self._ask(wire.items(*call, wire.chars(text))))

    def stream_q(self, text: str, arguments: list[Value], rows: int) -> Results:
        return self._stream(STREAM_Q, text, rows, map(to_wire, arguments))

    def stream_sql(self, text: str, rows: int) -> Results:
        return self._stream(STREAM_SQL, text, rows, ())

    def _stream(self, call: str, text: str, rows: int, arguments: Iterable[wire.Value]) -> Results:
        """Take blocks over a connection of their own, so that questions can go on meanwhile."""
        with self._open() as client:
            opening = (wire.symbol(call), wire.chars(text), wire.long(rows), *arguments)
            client.call(wire.items(*opening))
            following = wire.items(wire.symbol(STREAM_NEXT), wire.IDENTITY)
            while (block := client.call(following)) != wire.IDENTITY:
                yield Result(from_wire(block, _function))

    def _ask(self, asked: wire.Value) -> Value:
        return from_wire(self._client.call(asked), _function)

    def close(self) -> None:
        self._client.close()


def _function(source: str, namespace: str) -> Value:
    from tickloop.analytics.q.values import Lambda

    return Lambda(source, (), None, namespace)
