"""`tickloop version`: what is installed."""

import json
import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

import click

from tickloop.app.options import json_option

_PARTS = ("numpy", "numba", "pyarrow", "duckdb", "databento-dbn", "websockets", "pykx")


def versions() -> dict[str, str]:
    """Give versions by part; parts that are not installed say so."""
    found = {"tickloop": installed("tickloop"), "python": platform.python_version()}
    for part in _PARTS:
        try:
            found[part] = installed(part)
        except PackageNotFoundError:
            found[part] = "not installed"
    return found


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print versions of Tickloop and its main parts.

    \b
    Example:
      tickloop version --json
    """
    if as_json:
        print(json.dumps(versions()))
        return
    for part, number in versions().items():
        print(f"{part:14} {number}")
