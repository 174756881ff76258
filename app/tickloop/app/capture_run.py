"""A feed into a data directory, from the first kernel to the closed journal."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tickloop.app.beside import Wanted
from tickloop.app.capture import Stop, pump, stopping
from tickloop.app.capture import stay as stay_until
from tickloop.app.captures import Kept, prepare
from tickloop.app.catalogs import catalog_of
from tickloop.app.feeds import Specification, identity, load_kernels, open_feed, with_brought
from tickloop.app.followed import Followed, clear_the_way
from tickloop.app.job_start import JobStart
from tickloop.app.output import drop_output
from tickloop.app.plant_run import PlantRun, RunSettings
from tickloop.app.progress import Compiling, ProgressLine
from tickloop.app.sink_processes import SinkProcesses
from tickloop.app.sinks import wanted_sinks
from tickloop.app.streams import jobs_of
from tickloop.app.summary import Summary, summarise
from tickloop.core.clock import monotonic_ns
from tickloop.core.config import Config
from tickloop.core.errors import TickloopError
from tickloop.core.instruments import Instruments
from tickloop.core.kernel import warm_up
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import Feed
from tickloop.tickerplant.sinks.kafka_feed import KafkaFeed

Announce = Callable[[Summary, int | None], None]


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What a capture was asked for, besides the feed."""

    feed: Specification
    config: Config
    stay: bool
    port: int | None
    speed: float
    announce: Announce | None
    beside: Wanted | None


def capture_feed(
    wanted: Specification, root: Path, config: Config, *, append: bool, fresh: bool, stay: bool,
    port: int | None, speed: float, quiet: bool, announce: Announce | None,
    limit_ns: int | None = None, beside: Wanted | None = None,
) -> Summary:  # fmt: skip
    """Capture, flush, summarise and, if asked, stay; everything acknowledged is kept."""
    wanted = with_brought(replace(wanted, follows=stay and wanted.kind.growing), config)
    name = identity(wanted)
    load_kernels(wanted.kind)
    _try_out(wanted, config)
    is_new = not root.exists()
    prepare(root, name, append=append, fresh=fresh)
    line = ProgressLine(quiet=quiet)
    line.phase(f"capturing {wanted} into {root}")
    compile_kernels(line)
    settings = RunSettings(
        wanted.zone_in_force, wanted.is_fractional, wanted.kind.live, wanted.brings.tables
    )
    wishes = _Wishes(wanted, config, stay, port, speed, announce, beside)
    if wanted.kind.growing:
        clear_the_way(root)
    with stopping() as stop:
        run = PlantRun(root, config, settings)
        try:
            feed = open_feed(wanted, config, run.symbols, run.plant.instruments)
            kept = (
                Followed(root, feed, run, append=append)
                if isinstance(feed, KafkaFeed)
                else Kept(root, name, next_seq=run.plant.journal.next_seq, append=append)
            )
            sinks = SinkProcesses(root, config)
            jobs = JobStart(root, config)
            stop.at_ns = None if limit_ns is None else monotonic_ns() + limit_ns
            done = _capture(wishes, run, feed, stop, kept, jobs, line)
            run.close()
            for told in sinks.finish():
                line.phase(told)
        except BaseException as error:
            line.clear()
            # While the directory is still held, so that nobody else can have begun there.
            _leave(root, error, is_empty=is_new and not run.plant.rows)
            run.abandon()
            raise
    return done


def _try_out(wanted: Specification, config: Config) -> None:
    """Open a file once for nothing, so that a wrong one leaves no directory behind.

    Nor do tables that cannot be.
    """
    catalog_of(config, fractional=wanted.is_fractional)
    jobs_of(config)
    wanted_sinks(config)
    if not wanted.kind.live:
        open_feed(wanted, config, Symbols(), Instruments())


def _leave(root: Path, error: BaseException, *, is_empty: bool) -> None:
    """Remove a directory that this run made for nothing, else say how to go on."""
    if is_empty:
        shutil.rmtree(root, ignore_errors=True)
    elif isinstance(error, TickloopError | OSError):
        error.add_note(
            f"what was captured is kept in {root}: put this right and run the same command again,"
            " it goes on from there"
        )


def _capture(
    wishes: _Wishes, run: PlantRun, feed: Feed, stop: Stop, kept: Kept | Followed,
    jobs: JobStart, line: ProgressLine,
) -> Summary:  # fmt: skip
    is_live = wishes.feed.kind.live
    serving = is_live or wishes.stay or wishes.speed > 0 or wishes.port is not None
    run.on_guest = kept.note_guests
    number = run.serve(wishes.port) if serving else None
    if wishes.beside is not None:
        run.on_answers = lambda ports: line.phase(_answers(ports))
        run.answer_beside(wishes.beside)
    run.announce()
    started = monotonic_ns()
    line.restart()
    is_whole = pump(feed, run, stop, kept, speed=wishes.speed, tell=line.capture)
    if feed.health.damage and not feed.messages:
        raise feed.health.damage[0]
    if not wishes.stay or stop.is_due:
        # Before the feed is noted as captured: a run that is killed until then goes on.
        _wait_for_results(run, jobs, stop, line)
    line.phase(f"read {feed.messages:,} messages; writing history")
    run.flush()
    for session in run.finish():
        line.phase(f"history of {session} written")
    # A tickerplant goes on: the same command goes on where this one ended.
    kept.end(is_whole=is_whole and wishes.feed.kind.name != "kdb")
    found = _summary(feed, run, kept, (monotonic_ns() - started) / 1e9)
    if wishes.announce is not None:
        _announce(wishes.announce, found, number)
    _complain(feed, stop, is_live=is_live or wishes.feed.follows, is_whole=is_whole)
    for line_of_stream in run.streams.complaints():
        print(line_of_stream, file=sys.stderr)
    if wishes.stay and not stop.is_due:
        line.phase(f"serving on port {number}; Ctrl-C ends")
        stay_until(run, stop)
    return found


def _wait_for_results(run: PlantRun, jobs: JobStart, stop: Stop, line: ProgressLine) -> None:
    if not run.streams.are_away:
        return
    if not jobs.is_done:
        line.phase("waiting for jobs on Flink to start; Ctrl-C does not")
        jobs.wait(stop)
    line.phase("waiting for the results of jobs on Flink")
    run.streams.drain()


def _answers(ports: dict[str, int]) -> str:
    return f"q clients on port {ports['q']}, SQL clients on port {ports['pg']}"


def _announce(announce: Announce, found: Summary, number: int | None) -> None:
    """Print the summary now, also into a pipe; a reader that went away does not end the run."""
    try:
        announce(found, number)
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def _summary(feed: Feed, run: PlantRun, kept: Kept | Followed, seconds: float) -> Summary:
    _keep_aside(feed, run.directory.root)
    return summarise(
        feed, run.directory.root, seconds, refused=run.plant.refused, recovered=run.recovered,
        cut_tails=run.plant.journal.cut_tails, new_rows=run.plant.rows, resumed=kept.resumed,
        raised=run.plant.raised_times,
    )  # fmt: skip


def _keep_aside(feed: Feed, root: Path) -> None:
    """Write refused messages where a person can look at them, beside those of earlier runs."""
    if not feed.health.aside:
        return
    folder = root / "aside"
    folder.mkdir(exist_ok=True)
    for offset, body in feed.health.aside:
        path = folder / f"byte-{offset}.bin"
        again = 1
        # Live feeds have no file to point into: buffers are used again, and so are offsets.
        while path.exists():
            again += 1
            path = folder / f"byte-{offset}-{again}.bin"
        path.write_bytes(body)


def _complain(feed: Feed, stop: Stop, *, is_live: bool, is_whole: bool) -> None:
    for error in feed.health.damage:
        print(f"damaged: {error}", file=sys.stderr)
    if feed.health.damage and not is_live:
        print("a whole file replaces this capture with --fresh", file=sys.stderr)
    if stop.is_due:
        then = "" if is_live or is_whole else "; the same command goes on from here"
        print(f"stopped as asked; everything captured so far is kept{then}", file=sys.stderr)


def compile_kernels(line: ProgressLine) -> None:
    """Compile or load every kernel before the session, and say so when it takes long."""
    warm_up(Compiling(line))
    line.clear()
