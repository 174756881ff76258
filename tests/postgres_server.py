"""A PostgreSQL server of the machine's own package, for a while: what ours is compared with."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg


class AbsentError(Exception):
    """There is no server here, or it does not start; the text says why."""


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    which = shutil.which("initdb")
    if not found and which is None:
        raise AbsentError("PostgreSQL's server is absent (package postgresql)")
    return found[-1].parent if found else Path(str(which)).parent


@contextmanager
def postgres(folder: Path, port: int) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Start a server whose socket and files are in a folder; AbsentError if that cannot be."""
    binaries = _binaries()
    as_user: list[str] = []
    if os.getuid() == 0:
        # PostgreSQL refuses to run as root.
        if subprocess.run(["id", "postgres"], capture_output=True, check=False).returncode:
            raise AbsentError("there is no user postgres to run PostgreSQL as")
        for parent in (folder, *folder.parents[:3]):
            parent.chmod(parent.stat().st_mode | 0o755)
        shutil.chown(folder, "postgres")
        as_user = ["su", "postgres", "-c"]

    def run(*command: object) -> None:
        words = [str(word) for word in command]
        words = [*as_user, " ".join(words)] if as_user else words
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
        if done.returncode:
            raise AbsentError(f"PostgreSQL does not start here: {done.stderr.strip()[-300:]}")

    run(binaries / "initdb", "-D", folder / "db", "-A", "trust", "-E", "UTF8", "--locale=C")
    options = f"'-p {port} -k {folder} -c listen_addresses= -c timezone=UTC -c fsync=off'"
    run(
        binaries / "pg_ctl", "-D", folder / "db", "-w", "-l", folder / "log", "-o", options, "start"
    )
    try:
        with psycopg.connect(host=str(folder), port=port, user="postgres") as connection:
            connection.autocommit = True
            yield connection
    finally:
        run(binaries / "pg_ctl", "-D", folder / "db", "-m", "immediate", "stop")
