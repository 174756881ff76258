"""`tickloop stream status` and `logs`: how jobs on a Flink cluster are, and what they say."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.commands.stream_flink import cluster_options
from tickloop.app.flink_cluster import rest_of
from tickloop.app.options import json_option
from tickloop.core.config import load

if TYPE_CHECKING:
    from tickloop.streaming.flink.condition import Condition
    from tickloop.streaming.flink.rest import Rest


@click.command()
@click.option("--all", "ended", is_flag=True, help="Show jobs that ended, and others' jobs.")
@cluster_options
@json_option
def status(
    ended: bool, config_path: Path | None, url: str | None, home: Path, as_json: bool
) -> int:
    """Show jobs: state, uptime, age and size of the last checkpoint, records in and out, lag.

    Exits 1 if one does not run as it should.

    \b
    Examples:
      tickloop stream status
      tickloop stream status --flink http://10.0.0.5:8081 --json
    """
    from tickloop.streaming.flink.condition import condition
    from tickloop.streaming.flink.deployed import deployed

    rest = rest_of(url, load(config_path), home)
    slots = rest.slots()
    jobs = [each for each in deployed(rest, ended=ended) if each.what or ended]
    found = [condition(rest, each) for each in jobs]
    if as_json:
        print(json.dumps({
            "flink": rest.url, "version": slots.version, "slots": slots.total,
            "slots_free": slots.free, "jobs": [each.as_json() for each in found],
        }))  # fmt: skip
    else:
        print(
            f"Flink {slots.version} at {rest.url}: {slots.task_managers} task managers,"
            f" {slots.free} of {slots.total} slots free"
        )
        for each in found:
            print(_line(each))
        if not found:
            print("no jobs; `tickloop stream deploy` starts them")
    return 0 if all(_is_well(each) for each in found) else 1


def _is_well(found: "Condition") -> bool:
    return found.state in ("FINISHED", "CANCELED") or (
        found.state == "RUNNING" and len(set(found.tasks.split("/"))) == 1
    )


def _line(found: "Condition") -> str:
    kept = "no checkpoint yet"
    if found.checkpoint_age_s is not None and found.checkpoint_bytes is not None:
        kept = (
            f"checkpoint {_span(found.checkpoint_age_s)} ago, {found.checkpoint_bytes:,} bytes in"
            f" {found.checkpoint_ms:,} ms"
        )
    counts = [("in", found.records_in), ("out", found.records_out), ("lag", found.lag)]
    moved = ", ".join(f"{name} {count:,}" for name, count in counts if count is not None)
    trouble = f"; failed {found.failures} times: {found.failure}" if found.failures else ""
    return (
        f"{found.name:12} {found.state:10} {found.tasks:>5} tasks, up {_span(found.uptime_s)},"
        f" {kept}; {moved or 'nothing counted yet'}{trouble}  ({found.kind} {found.job})"
    )


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@click.command()
@click.argument("job", required=False, metavar="[NAME]")
@click.option("--lines", type=click.IntRange(1), default=40, show_default=True,
              help="How many of each log's last lines.")  # fmt: skip
@click.option("--of", "of", type=click.Choice(["job", "task", "all"]), default="all",
              show_default=True, help="Whose log: the job manager's, task managers'.")  # fmt: skip
@cluster_options
def logs(
    job: str | None, lines: int, of: str, config_path: Path | None, url: str | None, home: Path
) -> None:
    """Print what a job failed with, then the last lines of the managers' logs.

    A job's name may be one that has ended. Without a name, the logs alone.

    \b
    Examples:
      tickloop stream logs bars
      tickloop stream logs --of job --lines 200
    """
    rest = rest_of(url, load(config_path), home)
    if job is not None:
        _print_failures(rest, job)
    managers = [*([None] if of != "task" else []), *(rest.task_managers() if of != "job" else [])]
    for manager in managers:
        print(f"== {f'task manager {manager}' if manager else 'job manager'}")
        print("\n".join(rest.log(manager).splitlines()[-lines:]))


def _print_failures(rest: "Rest", name: str) -> None:
    from tickloop.core.errors import JobError
    from tickloop.streaming.flink.deployed import deployed

    found = next((each for each in deployed(rest, ended=True) if each.name == name), None)
    if found is None:
        raise JobError(f"{rest.url} knows no job {name}; `tickloop stream status --all` lists them")
    failures = rest.failures(found.line.id)
    print(f"== {name} ({found.line.id}): {found.line.state}, {len(failures)} failures")
    for each in reversed(failures):
        print(f"{each.task or 'the job'}: {each.root}")
    if failures:
        print(failures[0].stack.rstrip())
