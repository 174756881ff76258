"""What would change if a plan replaced the one that runs, and whether its state would survive."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tickloop.streaming.flink.deployed import SQL, Deployed, Deployment

# What a job reads but for its first start.
_ONCE = ("start", "path")
_ANEW = "`tickloop stream cancel` it and `deploy` it, which folds the log from its start"
# Fields that hold for as long as the state lives, and why.
_LASTING = {
    "operator": "a state belongs to one operator",
    "prefix": "the state knows its place in topics of the old name alone",
    "shards": "a shard is a key of the state",
    "tables": "the state knows its place in the tables that it has read so far",
    "outputs": "who reads the results waits for each of these tables",
    "schemas": "rows with the columns of before are on the topic",
    "max_parallelism": "it decides in which key group a state lies",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that would be different; `refused` says why it cannot be."""

    what: str
    before: object
    after: object
    refused: str = ""

    def __str__(self) -> str:
        before, after = _shown(self.before), _shown(self.after)
        told = f"{self.what}: {before} -> {after}"
        return f"{told}  REFUSED: {self.refused}" if self.refused else told


@dataclass(frozen=True, slots=True)
class Comparison:
    """A plan against what runs."""

    wanted: Deployment
    found: Deployed | None
    changes: tuple[Change, ...]

    @property
    def verb(self) -> str:
        """Say what it would take: deploy, upgrade, refused or nothing."""
        if self.found is None:
            return "deploy"
        if any(change.refused for change in self.changes):
            return "refused"
        return "upgrade" if self.changes else "nothing"

    @property
    def reasons(self) -> list[str]:
        """Say why the state would not survive."""
        return [str(change) for change in self.changes if change.refused]


@dataclass(frozen=True, slots=True)
class Bearing:
    """What an operator's state bears."""

    migrates: bool = False  # it reads states of older versions
    live: frozenset[str] = frozenset()  # parameters that may change while the state lives


def compare(wanted: Deployment, found: Deployed | None, bearing: Bearing) -> Comparison:
    """Compare a plan with the running job of its name."""
    if found is None or found.what is None:
        return Comparison(wanted, None, ())
    before, after = found.what, wanted
    changes = [
        *_kinds(before, after),
        *_versions(before.plan, after.plan, migrates=bearing.migrates),
        *_fields(before.plan, after.plan, is_sql=after.kind == SQL),
        *_params(before.plan.get("params", {}), after.plan.get("params", {}), bearing.live),
    ]
    return Comparison(wanted, found, tuple(changes))


def _kinds(before: Deployment, after: Deployment) -> Iterator[Change]:
    if before.kind != after.kind:
        yield Change("kind", before.kind, after.kind, f"another kind of job; {_ANEW}")
    elif before.mode != after.mode:
        reason = "a savepoint of one execution mode is empty in another, without an error"
        yield Change("execution mode", before.mode, after.mode, f"{reason}; {_ANEW}")


def _versions(
    before: Mapping[str, Any], after: Mapping[str, Any], *, migrates: bool
) -> Iterator[Change]:
    old, new = before.get("state_version"), after.get("state_version")
    if old == new or old is None or new is None:
        return
    refused = ""
    if new < old:
        refused = f"newer code wrote the state; run that code, or {_ANEW}"
    elif not migrates:
        refused = f"the operator has no migration from version {old}; {_ANEW}"
    yield Change("state version", old, new, refused)


def _fields(
    before: Mapping[str, Any], after: Mapping[str, Any], *, is_sql: bool
) -> Iterator[Change]:
    apart = {*_ONCE, "name", "params", "state_version"}
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if name in apart or (old or None) == (new or None):
            continue
        if name == "outputs" and not old:
            continue  # plans of old did not say
        reason = _LASTING.get(name, "")
        if is_sql and name == "statements":
            reason = "Flink cannot tell which state belongs to which part of another statement"
        yield Change(name.replace("_", " "), old, new, f"{reason}; {_ANEW}" if reason else "")


def _params(
    before: Mapping[str, Any], after: Mapping[str, Any], live: frozenset[str]
) -> Iterator[Change]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            refused = "" if name in live else f"it holds for as long as the state lives; {_ANEW}"
            yield Change(f"parameter {name}", before.get(name), after.get(name), refused)


def _shown(value: object) -> str:
    text = "none" if value is None else str(value)
    return f"{len(text):,} characters" if len(text) > 200 else text
