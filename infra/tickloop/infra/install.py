"""Servers from package registries into a cache folder; what has another checksum is not used."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.sax.saxutils import escape

from tickloop.core.errors import ServerError
from tickloop.infra.pins import Artifact, Pin

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
_TIMEOUT_S = 1800
# What Flink's own packages can be installed with.
_PYTHONS = ((3, 9), (3, 12))
Tell = Callable[[str], None]


def pom(artifacts: Sequence[Artifact], *, transitive: bool) -> str:
    """Spell a Maven project that depends on the artifacts and is nothing else."""
    stop = (
        ""
        if transitive
        else "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId>"
        "</exclusion></exclusions>"
    )
    dependencies = "".join(
        f"    <dependency><groupId>{escape(item.group)}</groupId>"
        f"<artifactId>{escape(item.name)}</artifactId>"
        f"<version>{escape(item.version)}</version>{stop}</dependency>\n"
        for item in artifacts
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0">\n'
        "  <modelVersion>4.0.0</modelVersion>\n"
        "  <groupId>tickloop</groupId><artifactId>servers</artifactId><version>1</version>\n"
        "  <packaging>pom</packaging>\n"
        f"  <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
    )


def damaged(folder: Path, checksums: dict[str, str]) -> list[str]:
    """List the files that are missing or are not what was pinned."""
    return [
        name
        for name, digest in checksums.items()
        if not (folder / name).is_file() or _sha256(folder / name) != digest
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed(pin: Pin, cache: Path, tell: Tell) -> Path:
    """Give the folder of a server's files; fetch what is missing or damaged first."""
    folder = cache / pin.folder
    bad = damaged(folder / "lib", pin.checksums())
    if bad:
        if (folder / "lib").exists():
            tell(f"{folder / 'lib' / bad[0]} is damaged or half downloaded: fetching again")
        check_disk(cache, pin)
        _fetch_jars(pin, folder, tell)
    if pin.packages and not (folder / "packages.done").exists():
        check_disk(cache, pin)
        _make_environment(pin, folder, tell)
    return folder


def check_disk(cache: Path, pin: Pin) -> None:
    """Refuse to begin a download that cannot end."""
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if free < pin.disk_bytes:
        raise ServerError(
            f"{cache}: {free >> 20:,} MiB free, {pin.server} {pin.version} needs"
            f" {pin.disk_bytes >> 20:,} MiB: free some space, or give another --cache folder"
        )


def _fetch_jars(pin: Pin, folder: Path, tell: Tell) -> None:
    """Let Maven copy the artifacts into a new folder, check it, and put it in place."""
    tell(f"installing {pin.server} {pin.version} into {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    # A library that comes with other files takes them along; a packaged one is alone.
    transitive = len(pin.checksums()) > len(pin.artifacts)
    with TemporaryDirectory(dir=folder, prefix="part-") as part:
        project = Path(part) / "pom.xml"
        project.write_text(pom(pin.artifacts, transitive=transitive))
        jars = Path(part) / "lib"
        _copy(project, jars)
        bad = damaged(jars, pin.checksums())
        if bad:
            # A download that broke off stays in Maven's own repository until it is removed.
            _forget(jars, bad)
            _copy(project, jars, "-U")
            bad = damaged(jars, pin.checksums())
        if bad:
            raise ServerError(
                f"{bad[0]}: SHA-256 {_seen(jars / bad[0])} seen,"
                f" {pin.checksums()[bad[0]]} expected: the registry serves another file than the"
                " one that was pinned; nothing of it was kept"
            )
        for extra in jars.iterdir():
            if extra.name not in pin.checksums():
                extra.unlink()
        shutil.rmtree(folder / "lib", ignore_errors=True)
        jars.rename(folder / "lib")


def _seen(path: Path) -> str:
    return _sha256(path) if path.is_file() else "no file"


def _forget(jars: Path, names: Sequence[str]) -> None:
    repository = Path.home() / ".m2" / "repository"
    for name in names:
        (jars / name).unlink(missing_ok=True)
        for known in repository.rglob(name) if repository.is_dir() else ():
            known.unlink()


def _copy(project: Path, jars: Path, *options: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerError(
            "Maven is not installed, it fetches the servers: `apt-get install maven`; or start a"
            " server of your own and name it with --external HOST:PORT"
        )
    _run(
        [maven, "-B", "-ntp", "-q", "-f", str(project), *options, f"{_PLUGIN}:copy-dependencies",
         f"-DoutputDirectory={jars}", "-DincludeScope=runtime"],
        "Maven could not fetch the files",
    )  # fmt: skip


def _make_environment(pin: Pin, folder: Path, tell: Tell) -> None:
    """Install packages into an environment of their own: their pins are not the plant's."""
    if not _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        seen = ".".join(map(str, sys.version_info[:2]))
        raise ServerError(
            f"Python {seen} seen, 3.9 to 3.12 expected: {pin.server} {pin.version} has packages"
            " for no other; run this command with one of those, or name a cluster of your own"
            " with --external HOST:PORT"
        )
    tell(f"installing the packages of {pin.server} {pin.version}; about 1 GB, a minute or two")
    venv = folder / "venv"
    shutil.rmtree(venv, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(venv)], "the environment could not be made")
    requirements = folder / "requirements.txt"
    requirements.write_text(pin.requirements())
    _run(
        [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes",
         "--disable-pip-version-check", "-r", str(requirements)],
        "pip could not install the packages",
    )  # fmt: skip
    (folder / "packages.done").write_text(f"{pin.version}\n")


def _run(command: Sequence[str], failure: str) -> None:
    done = subprocess.run(  # noqa: S603 - our own words and paths
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False,
        stdin=subprocess.DEVNULL, env={**os.environ, "MAVEN_OPTS": "-Xmx256m"},
    )  # fmt: skip
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        errors = [line for line in lines if "ERROR" in line] or lines
        told = "\n  ".join(errors[:6]) or "it said nothing"
        raise ServerError(
            f"{failure} (exit {done.returncode}); is the package registry reachable?\n  {told}"
        )
