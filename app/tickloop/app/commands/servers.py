"""`tickloop up`, `down` and `status`: Kafka, QuestDB and Flink on this machine."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tickloop.app.flink_cluster import server_cache
from tickloop.app.live_feeds import address
from tickloop.app.options import DATA_HOME, json_option
from tickloop.core.errors import ConfigError

if TYPE_CHECKING:
    from tickloop.infra.servers import Health
    from tickloop.infra.state import Running

_SERVERS = ("kafka", "questdb", "flink")
_home = click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), default=DATA_HOME / "servers",
    show_default=True, help="Folder of the servers' data, logs and list.",
)  # fmt: skip
_servers = click.argument(
    "servers", nargs=-1, type=click.Choice([*_SERVERS, "all"]), metavar="kafka|questdb|flink|all"
)


def _named(given: tuple[str, ...]) -> list[str]:
    return list(_SERVERS) if "all" in given or not given else list(dict.fromkeys(given))


def _pairs(given: tuple[str, ...], option: str, servers: list[str]) -> dict[str, str]:
    """Read `SERVER=VALUE`, or a bare value where one server is meant."""
    found = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator and len(servers) == 1:
            name, value = servers[0], text
        if name not in servers or not value:
            raise ConfigError(
                f"{option} {text!r} seen, SERVER=VALUE with one of {', '.join(servers)} expected"
            )
        found[name] = value
    return found


def _numbers(given: tuple[str, ...], option: str, servers: list[str]) -> dict[str, int]:
    pairs = _pairs(given, option, servers)
    for name, text in pairs.items():
        if not text.isdecimal() or int(text) > 65535:
            raise ConfigError(f"{option} {name}={text} seen, a number up to 65535 expected")
    return {name: int(text) for name, text in pairs.items()}


@click.command()
@_servers
@click.option("--port", "ports", multiple=True, metavar="[SERVER=]PORT", help="0 takes any.")
@click.option("--external", multiple=True, metavar="[SERVER=]HOST:PORT", help="Use your own.")
@click.option("--memory", "memory", multiple=True, metavar="[SERVER=]MIB", help="Its heap.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True,
              help="Flink's task managers, a slot each.")  # fmt: skip
@_home
@click.option("--cache", type=click.Path(path_type=Path, file_okay=False), default=server_cache,
              help="Folder of what is installed. [~/.cache/tickloop/servers]")  # fmt: skip
@json_option
def up(
    servers: tuple[str, ...], ports: tuple[str, ...], external: tuple[str, ...],
    memory: tuple[str, ...], workers: int, home: Path, cache: Path, as_json: bool,
) -> None:  # fmt: skip
    """Install and start servers on loopback; ones that run already are left as they are.

    Versions and checksums are pinned. Ports are the usual ones where they are free, else others.

    \b
    Examples:
      tickloop up all
      tickloop up kafka --port 19092
      tickloop up questdb --external 10.0.0.5:9000
    """
    from tickloop.infra.servers import Wishes
    from tickloop.infra.servers import up as start

    named = _named(servers)
    wishes = Wishes(
        home, cache, ports=_numbers(ports, "--port", named),
        external={
            name: address(text) for name, text in _pairs(external, "--external", named).items()
        },
        memory_mib=_numbers(memory, "--memory", named), workers=workers,
        tell=lambda text: click.echo(text, err=True),
    )  # fmt: skip
    found = start(named, wishes)
    if as_json:
        print(json.dumps([asdict(running) for running in found]))
        return
    for running in found:
        print(_line(running, "answers"))


@click.command()
@_servers
@_home
def down(servers: tuple[str, ...], home: Path) -> None:
    """Stop servers that `tickloop up` started; their data stays. Your own go on.

    \b
    Example:
      tickloop down
    """
    from tickloop.infra.servers import down as end

    count = 0
    for running, ended in end(_named(servers), home):
        count += 1
        verb = "stopped" if ended else "forgotten" if running.is_external else "was gone"
        print(f"{running.server:8} {verb}")
    if not count:
        print(f"nothing was started from {home}")


@click.command()
@_home
@json_option
def status(home: Path, as_json: bool) -> int:
    """List the servers that were started, where they listen, and whether they answer.

    Exits 1 if one does not.

    \b
    Example:
      tickloop status
    """
    from tickloop.infra.servers import status as ask

    found = ask(home)
    if as_json:
        print(json.dumps([{**asdict(each.running), "state": each.word} for each in found]))
    elif not found:
        print(f"nothing was started from {home}; `tickloop up` starts servers")
    for health in found if not as_json else ():
        print(_shown(health))
    return 0 if all(health.answers for health in found) else 1


def _shown(health: "Health") -> str:
    return _line(health.running, health.word)


def _line(running: "Running", word: str) -> str:
    others = ", ".join(f"{name} {port}" for name, port in list(running.ports.items())[1:])
    pids = ", ".join(f"{known.role} {known.pid}" for known in running.processes)
    notes = [others, f"process {pids}" if pids else "your own"]
    version = f"{running.server} {running.version}".strip()
    return f"{version:14} {running.address:22} {word}  ({'; '.join(filter(None, notes))})"
