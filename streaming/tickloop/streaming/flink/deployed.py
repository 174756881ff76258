"""What runs on a cluster, told by the cluster: each job carries its plan in its configuration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tickloop.core.clock import monotonic_ns, sleep
from tickloop.core.errors import JobError
from tickloop.streaming.flink.plan import EXECUTION_MODE, JobPlan
from tickloop.streaming.flink.rest import JobLine, Rest

_PLAN = "tickloop.plan"
_KIND = "tickloop.kind"
_MODE = "tickloop.mode"
_BEING_MADE = "INITIALIZING"
_MADE_NS = 60_000_000_000
_POLL_S = 0.2
STREAM = "stream"
SQL = "sql"


@dataclass(frozen=True, slots=True)
class Deployment:
    """A plan as it is submitted: enough to start it again, whatever code reads it later."""

    kind: str  # STREAM or SQL
    mode: str  # how its Python runs; savepoints of one mode are empty in another
    text: str  # the plan, JSON

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan's fields."""
        found: Mapping[str, Any] = json.loads(self.text)
        return found

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.plan["name"])

    @property
    def job_name(self) -> str:
        """What Flink shows."""
        return f"tickloop-{self.name}"

    @property
    def code_digest(self) -> str:
        """Which code it runs."""
        return str(self.plan["code_digest"])

    @property
    def parallelism(self) -> int:
        """Slots that it takes."""
        return int(self.plan["parallelism"])

    def marks(self) -> dict[str, str]:
        """Give what is written into the job's own configuration."""
        return {_PLAN: self.text, _KIND: self.kind, _MODE: self.mode}


def of_plan(plan: JobPlan) -> Deployment:
    """Make the deployment of a stream."""
    return Deployment(STREAM, EXECUTION_MODE, plan.to_json())


@dataclass(frozen=True, slots=True)
class Deployed:
    """A job on a cluster, and what it was deployed as; None for a job of somebody else."""

    line: JobLine
    what: Deployment | None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.what.name if self.what else self.line.name


def deployed(rest: Rest, *, ended: bool = False) -> list[Deployed]:
    """List what runs on a cluster, the last started first; with `ended`, what ended too."""
    return [Deployed(line, _read(rest, line)) for line in _lines(rest) if line.runs or ended]


def _lines(rest: Rest) -> list[JobLine]:
    """List jobs once all of them can be asked: one that is being made, or taken up, tells nothing.

    A job manager that was started again takes up its jobs one after the other.
    """
    deadline = monotonic_ns() + _MADE_NS
    while True:
        lines = rest.jobs()
        if all(line.state != _BEING_MADE for line in lines) or monotonic_ns() > deadline:
            return lines
        sleep(_POLL_S)


def _read(rest: Rest, line: JobLine) -> Deployment | None:
    marks = rest.user_config(line.id)
    if _PLAN not in marks:
        return None
    try:
        found = Deployment(marks.get(_KIND, STREAM), marks.get(_MODE, ""), marks[_PLAN])
        return found if {"name", "code_digest", "parallelism"} <= set(found.plan) else None
    except ValueError:
        return None


def running(rest: Rest, name: str) -> Deployed | None:
    """Find the running job of a name; JobError if there are two, or one without a plan."""
    jobs = deployed(rest)
    found = [each for each in jobs if each.what and each.name == name]
    if len(found) > 1:
        ids = ", ".join(each.line.id for each in found)
        raise JobError(
            f"{name} runs {len(found)} times on {rest.url} ({ids}), and both write the same rows:"
            " end all but one with `tickloop stream cancel --job ID`"
        )
    for each in jobs:
        if each.what is None and each.line.name == f"tickloop-{name}":
            raise JobError(
                f"job {each.line.name} ({each.line.id}) on {rest.url} tells no plan that can be"
                " read: it was started in another way, or by other code; end it with `tickloop"
                f" stream cancel --job {each.line.id}` first"
            )
    return found[0] if found else None


def must_run(rest: Rest, name: str) -> Deployed:
    """Find the running job of a name; JobError tells what runs instead."""
    found = running(rest, name)
    if found is None:
        others = ", ".join(each.name for each in deployed(rest) if each.what) or "nothing of ours"
        raise JobError(f"{name} does not run on {rest.url}; {others} runs there")
    return found
