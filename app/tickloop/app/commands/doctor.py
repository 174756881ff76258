"""`tickloop doctor`: what on this machine would keep a capture from running well."""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import click

from tickloop.app.options import DATA_HOME, data_option, json_option
from tickloop.core.config import Config, load

_DISK_BYTES = 5 << 30
_MEMORY_BYTES = 2 << 30
_JAVA_VERSION = 17


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: what was seen, and what to do if it is not well."""

    check: str
    state: str  # ok, warning, problem
    seen: str
    fix: str = ""


def _python() -> Finding:
    # An older Python cannot get here: the package refuses to install on it.
    return Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _disk(data: Path) -> Finding:
    folder = _existing(data)
    free = shutil.disk_usage(folder).free
    seen = f"{free / 2**30:.1f} GiB free at {folder.resolve()}"
    if free >= _DISK_BYTES:
        return Finding("disk", "ok", seen)
    return Finding("disk", "warning", seen, "a day of one exchange takes 5 GiB: free some space")


def _writable(data: Path) -> Finding:
    folder = _existing(data)
    if not folder.is_dir():
        fix = "give --data a directory, or a path where none exists yet"
        return Finding("data", "problem", f"{folder} is no directory", fix)
    try:
        # Without a name: nothing is left behind. Some folders allow it and still refuse.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        seen = f"{folder} is not writable: {error.strerror}"
        return Finding("data", "problem", seen, "give another --data")
    return Finding("data", "ok", f"{folder.resolve()} is writable")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _memory() -> Finding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    seen = f"{total / 2**30:.1f} GiB"
    if total >= _MEMORY_BYTES:
        return Finding("memory", "ok", seen)
    return Finding("memory", "warning", seen, "lower [store] flush_rows to hold fewer rows")


def _files() -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= 1024:
        return Finding("open files", "ok", str(soft))
    return Finding("open files", "warning", str(soft), f"ulimit -n {min(hard, 4096)}")


def _port(host: str, port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fix = f"stop what listens there, or set [serve] port (0 takes any) in --config: {error}"
            return Finding(f"port {port}", "problem", f"taken on {host}", fix)
    return Finding(f"port {port}", "ok", f"free on {host}")


def _clock() -> Finding:
    """Ask the system whether its clock is disciplined; containers often cannot tell."""
    tool = shutil.which("timedatectl")
    answer = ""
    if tool:
        shown = subprocess.run(  # noqa: S603 - the path comes from the system, no user text
            [tool, "show", "--property=NTPSynchronized", "--value"],
            capture_output=True, text=True, timeout=5, check=False,
        )  # fmt: skip
        answer = shown.stdout.strip()
    if answer == "yes":
        return Finding("clock", "ok", "synchronised")
    seen = "not synchronised" if answer == "no" else "cannot tell whether it is synchronised"
    fix = "live captures stamp with this clock: run chrony or another NTP client"
    return Finding("clock", "warning", seen, fix)


def _kernels() -> Finding:
    from tickloop.core.kernel import is_cold
    from tickloop.core.kernel_cache import cache_directory

    where = cache_directory()
    if is_cold():
        return Finding("kernels", "ok", "not compiled yet; the first run does it (a minute)")
    return Finding("kernels", "ok", f"compiled in {where}")


def _optional(module: str, what: str) -> Finding:
    if find_spec(module) is not None:
        return Finding(module, "ok", "installed")
    return Finding(module, "warning", "not installed", f"pip install {module}: {what}")


def _java() -> Finding:
    tool = shutil.which("java")
    if tool is None:
        return Finding("java", "warning", "not installed", "only Kafka, Flink and QuestDB need it")
    shown = subprocess.run(  # noqa: S603 - the path comes from the system, no user text
        [tool, "-version"], capture_output=True, text=True, timeout=20, check=False
    )
    first = (shown.stderr or shown.stdout).splitlines()[:1]
    seen = first[0] if first else "no version printed"
    digits = "".join(char if char.isdigit() else " " for char in seen).split()
    if digits and int(digits[0]) >= _JAVA_VERSION:
        return Finding("java", "ok", seen)
    return Finding("java", "warning", seen, f"Kafka, Flink and QuestDB want Java {_JAVA_VERSION}")


def examine(config: Config, data: Path) -> Iterator[Finding]:
    """Run every check; none changes anything."""
    checks: list[Callable[[], Finding]] = [
        _python, lambda: _writable(data), lambda: _disk(data), _memory, _files,
        lambda: _port(config.serve.host, config.serve.port), _clock, _kernels,
        lambda: _optional("pykx", "subscribe and publish as a kdb+ client"),
        lambda: _optional("pandas", "results as data frames"), _java,
    ]  # fmt: skip
    for check in checks:
        yield check()


@click.command()
@data_option
@json_option
def doctor(data: Path | None, config_path: Path | None, as_json: bool) -> int:
    """Check Python, disk, memory, ports, clock and optional parts; say how to fix them.

    Exits 1 if something would keep `tickloop run` from working.

    \b
    Example:
      tickloop doctor
    """
    findings = list(examine(load(config_path), data or DATA_HOME))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        marks = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}
        for finding in findings:
            fix = f"\n          {' ' * 12} -> {finding.fix}" if finding.fix else ""
            print(f"{marks[finding.state]}  {finding.check:12} {finding.seen}{fix}")
    return 1 if any(finding.state == "problem" for finding in findings) else 0
