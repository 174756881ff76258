"""A job plan: everything that decides what a stream on Flink computes, as one JSON object."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from tickloop.core.errors import ConfigError
from tickloop.core.own_tables import known_tables
from tickloop.core.parameters import Setting
from tickloop.core.schema import Table

AT_LEAST_ONCE = "at_least_once"
EXACTLY_ONCE = "exactly_once"
GUARANTEES = (AT_LEAST_ONCE, EXACTLY_ONCE)
# Savepoints of one mode are silently empty in the other, so there is one mode only.
EXECUTION_MODE = "thread"
# Seconds that a transaction may stay open while a job is away; brokers allow 15 minutes.
TRANSACTION_TIMEOUT_MS = 600_000
_WITHOUT_TOPIC = ("symbol", "instrument", "clock")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

Start = Literal["earliest"] | Mapping[str, int]


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One stream on one cluster. Equal plans compute equal rows.

    `shards`, `max_parallelism` and `state_version` hold for as long as the state lives;
    `parallelism`, `guarantee`, `checkpoint_ms`, `params` and the code may change between a
    savepoint and the start from it.
    """

    name: str  # of the stream: in its rows, topics and uids
    operator: str  # a name, an installed module:class, or a file's name within the code archive
    brokers: str
    prefix: str  # of the plant's topics
    shards: int  # partitions of the plant's topics
    tables: tuple[str, ...]  # that the operator reads
    params: Mapping[str, Setting] = field(default_factory=dict)
    path: str = ""  # of a user's file, on the machine that packs the code
    parallelism: int = 1
    max_parallelism: int = 128
    guarantee: str = AT_LEAST_ONCE
    checkpoint_ms: int = 1000
    start: Start = "earliest"  # or {"seq": n}: rows after it
    state_version: int = 1  # the operator's
    code_digest: str = ""  # of the code archive, see `package`
    outputs: tuple[str, ...] = ()  # tables that the operator writes
    # The columns of tables that do not come with Tickloop, as `own_tables` spells them.
    schemas: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no job can be."""
        wrong = [
            f"{name} {value!r} seen, {expected} expected"
            for name, value, expected, is_right in self._checks()
            if not is_right
        ]
        if wrong:
            raise ConfigError(f"job plan {self.name!r}: {'; '.join(wrong)}")

    def _checks(self) -> list[tuple[str, object, str, bool]]:
        start = self.start
        return [
            ("name", self.name, "a letter, then letters, digits and _",
             bool(_NAME.fullmatch(self.name))),
            ("guarantee", self.guarantee, " or ".join(GUARANTEES), self.guarantee in GUARANTEES),
            ("shards", self.shards, "1 to 32768", 1 <= self.shards <= 1 << 15),
            ("max_parallelism", self.max_parallelism, f"{self.shards} (shards) to 32768",
             self.shards <= self.max_parallelism <= 1 << 15),
            ("parallelism", self.parallelism, f"1 to {self.shards} (shards)",
             1 <= self.parallelism <= self.shards),
            ("checkpoint_ms", self.checkpoint_ms, "at least 10", self.checkpoint_ms >= 10),
            ("tables", self.tables, "at least one table with a topic", bool(self.inputs)),
            ("schemas", sorted(self.schemas), f"all of {', '.join(self._foreign)}",
             set(self._foreign) <= set(self.schemas)),
            ("start", start, 'earliest or {"seq": n}', start == "earliest"
             or (isinstance(start, Mapping) and set(start) == {"seq"}
                 and isinstance(start["seq"], int))),
        ]  # fmt: skip

    # Tables

    @property
    def _foreign(self) -> list[str]:
        """Name the tables that do not come with Tickloop."""
        return [name for name in (*self.tables, *self.outputs) if name not in known_tables({})]

    def by_name(self) -> Mapping[str, Table]:
        """Give every table that the job may meet."""
        return known_tables(self.schemas)

    # Names on the cluster and on the bus

    @property
    def job_name(self) -> str:
        """What Flink shows."""
        return f"tickloop-{self.name}"

    @property
    def topic(self) -> str:
        """Where results go."""
        return f"{self.prefix}derived.{self.name}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Which tables have topics: names, units and time come with the others."""
        return tuple(name for name in self.tables if name not in _WITHOUT_TOPIC)

    @property
    def transactions(self) -> str:
        """What transactions are called: the same for every deployment.

        Another name would leave a dead job's open transaction in the way of its readers.
        """
        return f"{self.prefix}{self.name}"

    def uid(self, part: str) -> str:
        """Name an operator of the job for its savepoints."""
        return f"{self.name}-{part}"

    def to_json(self) -> str:
        """Spell it; equal plans have equal text."""
        return json.dumps(asdict(self), sort_keys=True)


def from_json(text: str) -> JobPlan:
    """Read a plan; ConfigError names what is missing, unknown or wrong."""
    try:
        found: Any = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"job plan: JSON expected ({error}), seen {text[:40]!r}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"job plan: a JSON object expected, seen {text[:40]!r}")
    known = {each.name for each in fields(JobPlan)}
    if unknown := sorted(set(found) - known):
        raise ConfigError(
            f"job plan: unknown {', '.join(unknown)}; expected {', '.join(sorted(known))}"
        )
    try:
        named = {key: tuple(found.get(key, ())) for key in ("tables", "outputs")}
        return JobPlan(**{**found, **named})
    except TypeError as error:
        raise ConfigError(f"job plan: {error}") from error


def read(argument: str) -> JobPlan:
    """Read the one argument of a job: a plan's text, or the path of a file with it."""
    if argument.lstrip().startswith("{"):
        return from_json(argument)
    try:
        return from_json(Path(argument).read_text())
    except OSError as error:
        raise ConfigError(f"job plan {argument}: {error.strerror}; give a file, or JSON") from error
