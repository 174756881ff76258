"""A feed into a data directory, from the first kernel to the closed journal."""

import sys
from collections.abc import Callable
from pathlib import Path

from tickloop.app.capture import Stop, pump, stopping
from tickloop.app.capture import stay as stay_until
from tickloop.app.feeds import Specification, identity, load_kernels, open_feed
from tickloop.app.plant_run import PlantRun, RunSettings, prepare, remember
from tickloop.app.progress import ProgressLine
from tickloop.app.summary import Summary, summarise
from tickloop.core.clock import monotonic_ns
from tickloop.core.config import Config
from tickloop.core.kernel import is_cold, warm_up
from tickloop.ingest.feed import Feed

Announce = Callable[[Summary, int | None], None]


def capture_feed(
    wanted: Specification, root: Path, config: Config, *, append: bool, fresh: bool, stay: bool,
    port: int | None, speed: float, quiet: bool, announce: Announce | None,
    limit_ns: int | None = None,
) -> Summary:  # fmt: skip
    """Capture, flush, summarise and, if asked, stay; everything acknowledged is kept."""
    name = identity(wanted)
    prepare(root, name, append=append, fresh=fresh)
    line = ProgressLine(quiet=quiet)
    line.phase(f"capturing {wanted} into {root}")
    compile_kernels(wanted, line)
    settings = RunSettings(wanted.zone_in_force, wanted.kind.fractional, wanted.kind.live)
    with stopping() as stop:
        run = PlantRun(root, config, settings)
        try:
            done = _capture(wanted, run, config, stop, line, stay=stay, port=port, speed=speed,
                            announce=announce, limit_ns=limit_ns)  # fmt: skip
        except BaseException:
            run.abandon()
            raise
        run.close()
    if not stop.requested or wanted.kind.live:
        remember(root, name)
    return done


def _capture(
    wanted: Specification, run: PlantRun, config: Config, stop: Stop, line: ProgressLine, *,
    stay: bool, port: int | None, speed: float, announce: Announce | None, limit_ns: int | None,
) -> Summary:  # fmt: skip
    feed = open_feed(wanted, config, run.symbols, run.plant.instruments)
    serving = wanted.kind.live or stay or speed > 0 or port is not None
    number = run.serve(port) if serving else None
    run.announce()
    started = monotonic_ns()
    line.restart()
    pump(feed, run, stop, speed=speed, tell=line.capture, limit_ns=limit_ns)
    line.phase(f"read {feed.messages:,} messages; writing history")
    run.flush()
    for session in run.finish():
        line.phase(f"history of {session} written")
    found = _summary(feed, run, (monotonic_ns() - started) / 1e9)
    if announce is not None:
        announce(found, number)
    _complain(feed, stop)
    if stay and not stop.requested:
        line.phase(f"serving on port {number}; Ctrl-C ends")
        stay_until(run, stop)
    return found


def _summary(feed: Feed, run: PlantRun, seconds: float) -> Summary:
    _keep_aside(feed, run.directory.root)
    return summarise(
        feed, run.directory.root, seconds, refused=run.plant.refused, recovered=run.recovered,
        cut_tails=run.plant.journal.cut_tails,
    )  # fmt: skip


def _keep_aside(feed: Feed, root: Path) -> None:
    """Write refused messages where a person can look at them."""
    if not feed.health.aside:
        return
    folder = root / "aside"
    folder.mkdir(exist_ok=True)
    for offset, body in feed.health.aside:
        (folder / f"byte-{offset}.bin").write_bytes(body)


def _complain(feed: Feed, stop: Stop) -> None:
    for error in feed.health.damage:
        print(f"damaged: {error}", file=sys.stderr)
    if stop.requested:
        print("stopped as asked; everything captured so far is kept", file=sys.stderr)


def compile_kernels(wanted: Specification, line: ProgressLine) -> None:
    """Compile or load every kernel before the session, and say so when it takes long."""
    load_kernels(wanted.kind)
    cold = is_cold()
    if cold:
        line.phase("compiling kernels, first run only")

    def tell(done: int, total: int) -> None:
        if cold:
            line.step(f"  compiling kernels, first run only: {done} of {total}")
            if not sys.stderr.isatty() and done and done % 10 == 0:
                line.phase(f"  compiled {done} of {total}")

    warm_up(tell)
    line.clear()
