"""The command line: verbs with long flags; each command is imported only when it is called."""

import importlib
import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from tickloop.app.output import drop_output
from tickloop.core.errors import TickloopError

# Name, module and attribute, and the line that `tickloop --help` shows.
_COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run:run", "Capture a feed, keep it, and print what was captured."),
    "capture": ("capture:capture", "Capture a feed and print one line; for services."),
    "replay": ("replay:replay", "Play a file or a journal at its own pace, or faster."),
    "serve": ("serve:serve", "Answer q and SQL clients on a live or resting data directory."),
    "q": ("q:q", "Ask in q: a console, a script, or one question."),
    "sql": ("sql:sql", "Ask a live or resting data directory in SQL."),
    "explain": ("explain:explain", "Show what a q or SQL statement reads, and how."),
    "stream": ("stream:stream", "Run operators: bars, signals, pairs, quality, your own."),
    "journal": ("journal:journal", "Inspect, verify or repair the journal."),
    "hdb": ("hdb:hdb", "Describe history, or import a kdb+ database."),
    "sink": ("sink:sink", "Bring captured rows to Kafka or QuestDB."),
    "kafka": ("kafka:kafka", "List, follow or verify topics on Kafka."),
    "up": ("servers:up", "Start Kafka, QuestDB or Flink on this machine."),
    "down": ("servers:down", "Stop the servers that `up` started."),
    "status": ("servers:status", "Say which servers run, and where."),
    "top": ("top:top", "Watch a plant: rates, sinks, streams, jobs on Flink."),
    "doctor": ("doctor:doctor", "Check this machine and say how to fix what is wrong."),
    "config": ("config:config", "Show the configuration in force."),
    "version": ("version:version", "Print versions of Tickloop and its main parts."),
}


class _Group(click.Group):
    """A group whose commands live in modules that are imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name][0].split(":")
        found = getattr(importlib.import_module(f"tickloop.app.commands.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if args and args[0] not in _COMMANDS:
                raise click.UsageError(
                    f"no command {args[0]!r}; there are {', '.join(_COMMANDS)}", ctx
                ) from error
            raise


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Examples:\n\n\b\n  tickloop run\n  tickloop run --feed itch:12302019.NASDAQ_ITCH50.gz"
    "\n  tickloop sql 'SELECT sym, count(*) FROM trade GROUP BY sym'",
)
def cli() -> None:
    """Capture market data, keep it, ask it questions."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: exit 0 done, 1 refused (the reason on stderr), 2 usage."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is escaped; it must not end a capture.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(exit_code(arguments))


def exit_code(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code."""
    try:
        result: Any = cli.main(args=arguments, prog_name="tickloop", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.Abort:
        print("interrupted", file=sys.stderr)
        return 1
    except click.ClickException as error:
        error.show()
        return 2
    except TickloopError as error:
        _refuse(error, str(error))
        return 1
    except BrokenPipeError:
        drop_output()
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _refuse(error, f"{where}{error.strerror or error}")
        return 1
    return result if isinstance(result, int) else 0


def _refuse(error: Exception, text: str) -> None:
    print("\n".join([f"tickloop: {text}", *getattr(error, "__notes__", ())]), file=sys.stderr)
