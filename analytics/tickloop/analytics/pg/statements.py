"""What the wire asks of whoever runs statements: here in a thread, or in a worker process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

# A parameter's value as text, a list of them for an array, None for NULL.
ParameterValue = str | None | tuple["ParameterValue", ...]
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value for $1, $2 ...: its DuckDB type, empty where the client left it open, and text."""

    type: str = ""
    value: ParameterValue = None


@dataclass(frozen=True, slots=True)
class Question:
    """One statement as the client wrote it; plain data, so that it can go to another process."""

    text: str
    parameters: tuple[Parameter, ...] = ()
    settings: Mapping[str, str] = field(default_factory=lambda: dict(_NOTHING))


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """A column of a result: its name and DuckDB's name of its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Described:
    """What a statement takes and gives, found without running it."""

    parameters: tuple[str, ...]  # DuckDB types
    columns: tuple[ResultColumn, ...]


class Rows(Protocol):
    """A running statement's rows."""

    columns: tuple[ResultColumn, ...]

    async def next(self) -> "pa.RecordBatch | None":
        """Give the next rows; None after the last ones. PgError if the statement fails."""
        ...

    async def close(self) -> None:
        """Stop, if it still runs, and let everything go."""
        ...


class Statements(Protocol):
    """Runs one client's statements, read-only. Every refusal is a PgError."""

    async def describe(self, question: Question) -> Described:
        """Find types; the values of parameters are not looked at, open types are inferred."""
        ...

    async def execute(self, question: Question) -> Rows:
        """Start a statement; rows come as Arrow batches."""
        ...

    def cancel(self) -> None:
        """Stop what runs now, within half a second; harmless when nothing does."""
        ...

    async def close(self) -> None:
        """Let the client's things go."""
        ...


class Opener(Protocol):
    """Makes the runner of a client's statements once the client has logged in."""

    async def __call__(self, user: str, database: str) -> Statements:
        """Open for a user; PgError if the user has no business there."""
        ...
