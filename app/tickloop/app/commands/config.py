"""`tickloop config`: what is configured, defaults included."""

import dataclasses
import json
from pathlib import Path

import click

from tickloop.app.options import json_option
from tickloop.core.config import as_toml, load


@click.group()
def config() -> None:
    """Show the configuration in force.

    \b
    Example:
      tickloop config show > tickloop.toml
    """


@config.command()
@click.option(
    "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Configuration (TOML).",
)  # fmt: skip
@json_option
def show(config_path: Path | None, as_json: bool) -> None:
    """Print every key with its value and unit, as TOML that --config reads back.

    \b
    Examples:
      tickloop config show > tickloop.toml
      tickloop config show --config tickloop.toml --json
    """
    found = load(config_path)
    if as_json:
        print(json.dumps(dataclasses.asdict(found)))
    else:
        print(as_toml(found), end="")
