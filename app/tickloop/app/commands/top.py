"""`tickloop top`: what a plant, its sinks, streams and jobs are doing, on one screen."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.options import DATA_HOME, data_option, json_option, newest_data
from tickloop.core.config import Config, load

if TYPE_CHECKING:
    from tickloop.streaming.flink.rest import Rest

_HOME = "\x1b[H\x1b[2J"


@click.command()
@data_option
@click.option("--every", "every_s", type=click.FloatRange(0.1, 3600), default=1.0,
              show_default=True, metavar="SECONDS", help="Time between two looks.")  # fmt: skip
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("--flink", "url", metavar="URL", help="REST endpoint of a cluster; else [flink] rest,"
              " else the one that `tickloop up flink` started, if any.")  # fmt: skip
@json_option
def top(
    data: Path | None, config_path: Path | None, every_s: float, once: bool, url: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show rates of tables, how far each sink is behind, and how streams and their jobs are.

    Looks from outside, without a lock, at a live run as at a directory at rest. On a terminal the
    screen is overwritten; with --json each look is a line. Ctrl-C ends.

    \b
    Examples:
      tickloop top
      tickloop top --data day1 --every 5
      tickloop top --once --json
    """
    from tickloop.app.capture import stopping
    from tickloop.app.status_screen import screen
    from tickloop.app.vital_signs import Observer
    from tickloop.core.clock import monotonic_ns, sleep

    root = newest_data(data)
    observer = Observer(root, _cluster(url, load(config_path)))
    is_screen = sys.stdout.isatty() and not as_json and not once
    due_ns = monotonic_ns()
    with stopping() as stop:
        while True:
            signs = observer.look()
            shown = json.dumps(signs.as_json()) if as_json else screen(signs, str(root))
            print(f"{_HOME}{shown}" if is_screen else shown, flush=True)
            due_ns += int(every_s * 1e9)
            while not once and not stop.is_due and monotonic_ns() < due_ns:
                sleep(0.05)
            if once or stop.is_due:
                return
            if not is_screen and not as_json:
                print()


def _cluster(url: str | None, config: Config) -> "Rest | None":
    """Give the cluster that is meant, if one is; whether it answers is seen at each look."""
    from tickloop.infra import state
    from tickloop.streaming.flink.rest import Rest

    given = url or config.flink.rest
    if given:
        return Rest(given, timeout_s=5.0)
    known = state.read((DATA_HOME / "servers").resolve()).get("flink")
    return None if known is None else Rest(f"http://{known.address}", timeout_s=5.0)
