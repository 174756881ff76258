"""Options that several commands share, and what they mean."""

import math
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click

from tickloop.core.clock import is_zone
from tickloop.core.errors import ConfigError, DataDirectoryError

F = TypeVar("F", bound=Callable[..., Any])
DATA_HOME = Path("data")


class SessionDate(click.ParamType[date]):
    """A date as YYYY-MM-DD."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read a date; a usage error otherwise."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} seen, a date such as 2012-06-21 expected", param, ctx)


class SessionZone(click.ParamType[str]):
    """A time zone's name."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check a name; a usage error if no zone has it."""
        if value and not is_zone(value):
            self.fail(
                f"{value!r} seen, a time zone such as America/New_York or UTC expected", param, ctx
            )
        return str(value)


class FiniteRange(click.FloatRange):
    """A range of numbers without infinities and NaN, which compare with nothing."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read a number; a usage error if it is none or out of range."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} seen, a finite number expected", param, ctx)
        return found


def _checked(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a bad configuration, also where the command needs none of its keys."""
    if path is not None:
        from tickloop.core.config import load

        load(path)
    return path


def data_option(function: F) -> F:
    """Add --data and --config."""
    with_config = click.option(
        "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False),
        callback=_checked, metavar="FILE",
        help="Configuration (TOML); `tickloop config show` lists every key.",
    )(function)  # fmt: skip
    return click.option(
        "--data", type=click.Path(path_type=Path), metavar="DIR",
        help="Data directory. Writing commands make a new dated one under ./data by default;"
        " reading commands take the newest there.",
    )(with_config)  # fmt: skip


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def settings_of(given: tuple[str, ...]) -> dict[str, str]:
    """Read `--set NAME=VALUE` options."""
    found = {}
    for each in given:
        name, sign, value = each.partition("=")
        if not sign or not name:
            raise ConfigError(f"--set {each!r} seen, NAME=VALUE expected")
        found[name.strip()] = value.strip()
    return found


def newest_data(given: Path | None) -> Path:
    """Give the data directory to read: the one named, else the newest under ./data."""
    if given is not None:
        if given.is_dir():
            return given
        if given.exists():
            raise DataDirectoryError(f"{given} is a file, a data directory expected")
        raise DataDirectoryError(
            f"{given}: no such directory; `tickloop run --data {given}` makes one"
        )
    found = [path for path in DATA_HOME.glob("*") if (path / "manifest.json").exists()]
    if not found:
        raise DataDirectoryError(
            "no data directory under ./data; run `tickloop run` first, or name one with --data"
        )
    return max(found, key=lambda path: (path / "manifest.json").stat().st_mtime)


def new_data(given: Path | None, today: date) -> Path:
    """Give the data directory to write: the one named, else a new dated one under ./data."""
    if given is not None:
        return given
    number = 1
    while True:
        suffix = "" if number == 1 else f"-{number}"
        path = DATA_HOME / f"{today.isoformat()}{suffix}"
        if not path.exists():
            return path
        number += 1
