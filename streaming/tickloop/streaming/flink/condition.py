"""How a job is: since when it runs, how old its last checkpoint is, what went in and out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tickloop.streaming.flink.deployed import Deployed
from tickloop.streaming.flink.rest import JobDetail, Rest

# A source counts what it read as in, a sink what it was given; both carry their kind in front.
_IN = ".numRecordsIn"
_LAG = ".pendingRecords"


@dataclass(frozen=True, slots=True)
class Condition:
    """A job at one instant; None for what the cluster does not say."""

    name: str
    job: str
    kind: str
    state: str
    tasks: str  # how many of them run
    uptime_s: float
    checkpoint_age_s: float | None
    checkpoint_bytes: int | None
    checkpoint_ms: int | None
    checkpoints: int
    checkpoints_failed: int
    records_in: int | None
    records_out: int | None
    lag: int | None  # records that wait in topics
    failures: int
    failure: str  # the last one's reason

    def as_json(self) -> Mapping[str, object]:
        """Give it for programs."""
        return asdict(self)


def condition(rest: Rest, found: Deployed) -> Condition:
    """Ask a cluster how a job is."""
    line = found.line
    detail = rest.job(line.id)
    kept = rest.checkpoints(line.id)
    failures = rest.failures(line.id)
    latest = kept.latest
    totals = _totals(rest, line.id, detail) if line.runs else {}
    tasks = [(state, n) for each in detail.vertices for state, n in each.tasks.items()]
    return Condition(
        name=found.name, job=line.id, kind=found.what.kind if found.what else "foreign",
        state=detail.state,
        tasks=f"{sum(n for s, n in tasks if s == 'RUNNING')}/{sum(n for _, n in tasks)}",
        uptime_s=detail.uptime_ms / 1000,
        checkpoint_age_s=None if latest is None else (detail.now_ms - latest.time_ms) / 1000,
        checkpoint_bytes=None if latest is None else latest.size,
        checkpoint_ms=None if latest is None else latest.duration_ms,
        checkpoints=kept.completed, checkpoints_failed=kept.failed,
        records_in=totals.get("in"), records_out=totals.get("out"), lag=totals.get("lag"),
        failures=len(failures), failure=failures[0].root if failures else "",
    )  # fmt: skip


def _totals(rest: Rest, job: str, detail: JobDetail) -> dict[str, int]:
    """Sum what sources read, what sinks were given, and what waits, over all parts of a job."""
    totals: dict[str, int] = {}
    for vertex in detail.vertices:
        for name, value in rest.metrics(job, vertex.id, (_IN, _LAG)).items():
            what = _meaning(name)
            if what:
                totals[what] = totals.get(what, 0) + int(value)
    return totals


def _meaning(metric: str) -> str:
    """Tell what a metric such as Source__trades.numRecordsIn says; empty if nothing we show."""
    if metric.endswith(_LAG):
        return "lag"
    if metric.startswith("Source__"):
        return "in"
    is_writer = "Writer" in metric.partition(".")[0] or metric.startswith("Sink__")
    return "out" if is_writer and "Committer" not in metric else ""
