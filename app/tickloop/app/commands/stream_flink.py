"""`tickloop stream setup|plan|deploy|upgrade|cancel`: jobs on a Flink cluster through REST."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tickloop.app.flink_cluster import rest_of, server_cache
from tickloop.app.options import DATA_HOME, json_option, settings_of
from tickloop.core.config import Config, load

if TYPE_CHECKING:
    from tickloop.app.flink_jobs import Wanted
    from tickloop.streaming.flink.changes import Comparison
    from tickloop.streaming.flink.operations import Operations
    from tickloop.streaming.flink.rest import Rest

F = TypeVar("F", bound=Callable[..., Any])
PENDING = 3  # the exit code of `plan` when something would change
_jobs = click.argument("jobs", nargs=-1, metavar="[NAME|FILE.py|FILE.sql]...")
_timeout = click.option(
    "--timeout", "timeout_s", type=click.FloatRange(1), default=120.0, show_default=True,
    metavar="SECONDS", help="How long a start, a stop or a savepoint may take.",
)  # fmt: skip


config_option = click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Configuration (TOML); `tickloop config show` lists every key.",
)  # fmt: skip


def cluster_options(function: F) -> F:
    """Add what says which cluster is meant."""
    for option in (
        click.option(
            "--home", type=click.Path(path_type=Path, file_okay=False),
            default=DATA_HOME / "servers", show_default=True,
            help="Folder of the servers that `tickloop up` started.",
        ),
        click.option("--flink", "url", metavar="URL", help="REST endpoint; else [flink] rest, else"
                     " the cluster that `tickloop up flink` started."),
        config_option,
    ):  # fmt: skip
        function = option(function)
    return function


def job_options(function: F) -> F:
    """Add what decides how a job should run."""
    for option in (
        click.option("--parallelism", type=click.IntRange(1), help="Slots, else [flink]'s."),
        click.option("--prefix", help="Of topics, else [sinks.kafka] prefix."),
        click.option("--brokers", metavar="HOST:PORT", help="Of Kafka, as the cluster reaches it;"
                     " else [flink] brokers, else [sinks.kafka] bootstrap."),
        click.option("--set", "given", multiple=True, metavar="NAME=VALUE",
                     help="Set a parameter, or a ${name} of a SQL file."),
    ):  # fmt: skip
        function = option(function)
    return function


def echo(text: str) -> None:
    """Say on stderr what is being done."""
    click.echo(text, err=True)


@click.command()
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), default=server_cache,
              help="Folder of what is installed. [~/.cache/tickloop/servers]")  # fmt: skip
@json_option
def setup(cache: Path, as_json: bool) -> None:
    """Install Flink, its Python packages and its Kafka connector, each pinned and checked.

    They get an environment of their own, about 1.2 GB, which `tickloop up flink` starts a cluster
    from. What is there already is checked and left; what is damaged is fetched again. Clusters of
    your own need none of it here.

    \b
    Example:
      tickloop stream setup && tickloop up flink
    """
    from tickloop.infra.flink_setup import set_up

    found = set_up(cache, echo)
    if as_json:
        print(json.dumps(found.as_json()))
        return
    print(f"Flink {found.flink} with Python {found.python} and Java {found.java} in {found.folder}")


def config_with(path: Path | None, options: dict[str, Any]) -> Config:
    from tickloop.app.flink_jobs import with_options

    return with_options(load(path), options["brokers"], options["prefix"], options["parallelism"])


def _operations(
    url: str | None, config: Config, home: Path, timeout_s: float = 120.0
) -> "Operations":
    from tickloop.streaming.flink.operations import Operations

    rest = rest_of(url, config, home)
    flink = config.flink
    return Operations(rest, echo, timeout_s, flink.savepoints or None, flink.settings)


def _compare(rest: "Rest", wanted: "Wanted") -> "Comparison":
    from tickloop.streaming.flink.changes import compare
    from tickloop.streaming.flink.deployed import running

    return compare(wanted.what, running(rest, wanted.name), wanted.bearing)


@click.command()
@_jobs
@job_options
@cluster_options
@json_option
def plan(
    jobs: tuple[str, ...], config_path: Path | None, url: str | None, home: Path,
    given: tuple[str, ...], as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Show what would change on the cluster: jobs, parameters, code, and whether state survives.

    Without names, for all of `[flink] streams`. Exits 0 if nothing would change, 3 if something
    would, 1 if an upgrade would be refused because the state does not survive it.

    \b
    Examples:
      tickloop stream plan --config desk.toml
      tickloop stream plan pairs --set entry=2.5 --flink http://10.0.0.5:8081
    """
    from tickloop.app.flink_jobs import chosen

    config = config_with(config_path, options)
    rest = rest_of(url, config, home)
    found = [_compare(rest, each) for each in chosen(config, jobs, settings_of(given))]
    if as_json:
        print(json.dumps([_as_json(each) for each in found]))
    for each in found if not as_json else ():
        _show(each, rest)
    verbs = {each.verb for each in found}
    return 1 if "refused" in verbs else PENDING if verbs - {"nothing"} else 0


def _show(comparison: "Comparison", rest: "Rest") -> None:
    wanted, found = comparison.wanted, comparison.found
    if found is None:
        print(f"{wanted.name}: does not run on {rest.url}; would be deployed")
        for name, value in wanted.plan.items():
            if name not in ("name", "path", "statements"):
                print(f"    {name.replace('_', ' ')}: {value}")
        return
    told = {
        "nothing": "runs as it should", "upgrade": "would be upgraded, its state survives",
        "refused": "cannot be upgraded",
    }  # fmt: skip
    print(f"{wanted.name}: {told[comparison.verb]} (job {found.line.id}, {found.line.state})")
    for change in comparison.changes:
        print(f"    {change}")


def _as_json(comparison: "Comparison") -> dict[str, object]:
    found = comparison.found
    return {
        "name": comparison.wanted.name, "verb": comparison.verb,
        "job": found.line.id if found else None,
        "changes": [
            {"what": each.what, "before": each.before, "after": each.after, "refused": each.refused}
            for each in comparison.changes
        ],
        "plan": comparison.wanted.plan,
    }  # fmt: skip


@click.command()
@_jobs
@job_options
@click.option("--from", "savepoint", metavar="PATH", help="Take up a savepoint or a checkpoint.")
@_timeout
@cluster_options
@json_option
def deploy(
    jobs: tuple[str, ...], config_path: Path | None, url: str | None, home: Path,
    given: tuple[str, ...], savepoint: str | None, timeout_s: float, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Start jobs that do not run yet, and wait until each runs and has kept its state once.

    A name is a [stream.NAME] section or an operator; a file is an operator of your own, or SQL:
    ohlc.sql, asof.sql and reversal.sql come with Tickloop. The code travels with the job, so that
    the cluster's machines need Flink's packages, NumPy and Numba, and nothing of Tickloop.

    \b
    Examples:
      tickloop stream deploy bars signals --config desk.toml
      tickloop stream deploy my_op.py --brokers 10.0.0.7:9092 --flink http://10.0.0.5:8081
      tickloop stream deploy ohlc.sql --set minutes=15
      tickloop stream deploy pairs --from file:/flink/savepoints/savepoint-1a2b3c
    """
    from tickloop.app.flink_jobs import chosen, ensure_topics

    config = config_with(config_path, options)
    operations = _operations(url, config, home, timeout_s)
    for each in chosen(config, jobs, settings_of(given)):
        ensure_topics(config, each)
        job = operations.deploy(each.what, each.jar, savepoint)
        _done(each.name, job, f"deployed {each.name} as {job}: it runs and keeps its state",
              as_json=as_json)  # fmt: skip


def _done(name: str, job: str | None, text: str, *, as_json: bool, **more: object) -> None:
    print(json.dumps({"name": name, "job": job, **more}) if as_json else text)


@click.command()
@_jobs
@job_options
@_timeout
@cluster_options
@json_option
def upgrade(
    jobs: tuple[str, ...], config_path: Path | None, url: str | None, home: Path,
    given: tuple[str, ...], timeout_s: float, as_json: bool, **options: Any,
) -> None:  # fmt: skip
    """Replace running jobs by changed ones that take over their state.

    Each is stopped with a savepoint, started from it with the new code and parameters, and
    verified: every task runs, and a checkpoint is complete. One that does not start is rolled
    back to the savepoint and to what ran before, and the command exits 1. A change that the state
    would not survive is refused before anything is stopped; `tickloop stream plan` shows it.

    \b
    Examples:
      tickloop stream upgrade --config desk.toml
      tickloop stream upgrade pairs --set entry=2.5
    """
    from tickloop.app.flink_jobs import chosen, ensure_topics
    from tickloop.streaming.flink.deployed import must_run

    config = config_with(config_path, options)
    operations = _operations(url, config, home, timeout_s)
    for each in chosen(config, jobs, settings_of(given)):
        must_run(operations.rest, each.name)
        comparison = _compare(operations.rest, each)
        if comparison.verb == "nothing":
            _done(each.name, None, f"{each.name} runs as it should: nothing to do",
                  as_json=as_json, changes=0)  # fmt: skip
            continue
        ensure_topics(config, each)
        job = operations.upgrade(comparison, each.jar)
        for change in comparison.changes if not as_json else ():
            print(f"    {change}")
        _done(each.name, job, f"upgraded {each.name}: it runs as {job}", as_json=as_json,
              changes=len(comparison.changes))  # fmt: skip


@click.command()
@click.argument("jobs", nargs=-1, metavar="[NAME]...")
@click.option("--job", "ids", multiple=True, metavar="ID", help="A job of any kind by its id.")
@_timeout
@cluster_options
def cancel(
    jobs: tuple[str, ...], ids: tuple[str, ...], config_path: Path | None, url: str | None,
    home: Path, timeout_s: float,
) -> None:  # fmt: skip
    """End jobs at once. Their last checkpoint stays: `deploy --from` takes it up again.

    `tickloop stream savepoint NAME --stop` ends a job and leaves nothing to be done twice.

    \b
    Example:
      tickloop stream cancel pairs
    """
    from tickloop.streaming.flink.deployed import must_run

    if not jobs and not ids:
        raise click.UsageError("a NAME or --job ID expected; `tickloop stream status` lists them")
    operations = _operations(url, load(config_path), home, timeout_s)
    wanted = [(name, must_run(operations.rest, name).line.id) for name in jobs]
    for name, job in [*wanted, *((job, job) for job in ids)]:
        operations.cancel(job)
        kept = operations.rest.checkpoints(job).latest
        print(f"cancelled {name}; " + (f"last kept in {kept.path}" if kept else "nothing was kept"))


@click.command()
@click.argument("job", metavar="NAME")
@click.option("--stop", is_flag=True, help="End the job with it.")
@click.option("--to", "folder", metavar="FOLDER", help="Folder or bucket, else [flink] savepoints,"
              " else the cluster's own.")  # fmt: skip
@_timeout
@cluster_options
@json_option
def savepoint(
    job: str, stop: bool, folder: str | None, config_path: Path | None, url: str | None,
    home: Path, timeout_s: float, as_json: bool,
) -> None:  # fmt: skip
    """Keep a job's state where it stays until somebody deletes it, and print the path.

    \b
    Examples:
      tickloop stream savepoint bars
      tickloop stream savepoint bars --stop --to s3://desk/savepoints
    """
    from tickloop.streaming.flink.deployed import must_run

    config = load(config_path)
    rest = rest_of(url, config, home)
    found = must_run(rest, job)
    path = rest.savepoint(
        found.line.id, folder or config.flink.savepoints or None, stop=stop, timeout_s=timeout_s
    )
    _done(job, found.line.id, path, as_json=as_json, savepoint=path)
