"""What a sink is to the loop that drives it: it opens, takes chunks, and says what it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol

from tickloop.core.errors import SinkError
from tickloop.tickerplant.journal_tail import Chunk
from tickloop.tickerplant.sinks.cursor import Cursor

# What each sink needs beside the run's own packages.
PACKAGES = {"kafka": ("confluent_kafka",), "questdb": ("questdb", "pandas"), "kdb": ()}


def require_packages(name: str) -> None:
    """Refuse a sink whose client is not installed."""
    missing = [package for package in PACKAGES[name] if find_spec(package) is None]
    if missing:
        raise SinkError(
            f"package {missing[0].replace('_', '-')} is not installed, [sinks.{name}] needs it:"
            f" pip install 'tickloop[{name}]'"
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """What a sink's server has acknowledged since the sink was opened."""

    seq: int
    rows: int
    streams: Mapping[str, int] = field(default_factory=dict)


class Sink(Protocol):
    """A store or a bus outside the plant.

    SinkAwayError from any method means: close it, wait, open it again. Another SinkError is a
    refusal that a person has to look at.
    """

    @property
    def name(self) -> str:
        """What the sink is called in the configuration."""
        ...

    @property
    def target(self) -> str:
        """Where rows go: a server, and names there."""
        ...

    def open(self, cursor: Cursor) -> int:
        """Connect, check that the server fits; give the seq after which chunks are wanted."""
        ...

    def take(self, chunk: Chunk) -> None:
        """Send a chunk; waits while too much is on its way."""
        ...

    def idle(self) -> None:
        """Do what has to be done when there is nothing to send."""
        ...

    def settle(self) -> bool:
        """Do what has to be done when nothing more will come; tell whether all of it is done."""
        ...

    def taken(self) -> Taken:
        """Say what was acknowledged."""
        ...

    def close(self) -> None:
        """Let go; what was not acknowledged is sent again by the next one."""
        ...
