"""Code on its way to a cluster: one archive, uploaded through REST, named by what is in it."""

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import PurePosixPath

from tickloop.streaming.flink.rest import Rest

_STEM = "tickloop-code-"
# Flink keeps uploads until they are deleted; a few old ones are there for a look.
_KEPT = 4
# No archive tells when it was made.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def jar_name(digest: str) -> str:
    """Name the upload of a digest."""
    return f"{_STEM}{digest}.jar"


def as_jar(files: Mapping[str, bytes]) -> bytes:
    """Pack files so that Python imports from the archive as it is.

    Folders get entries of their own: without them Python 3.11 finds no namespace package there.
    """
    folders = {
        f"{parent}/" for name in files for parent in PurePosixPath(name).parents if parent.name
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in sorted({*folders, *files}):
            target.writestr(zipfile.ZipInfo(name, _NO_TIME), files.get(name, b""))
    return packed.getvalue()


def jar_of_zip(archive: bytes) -> bytes:
    """Pack an archive's files anew."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        return as_jar({name: source.read(name) for name in source.namelist() if name[-1] != "/"})


def upload(rest: Rest, digest: str, jar: bytes) -> PurePosixPath:
    """Bring code to the cluster; give its path there, whose name is the jar's id."""
    return PurePosixPath(rest.upload(jar_name(digest), jar))


def find(rest: Rest, digest: str) -> str | None:
    """Give the id of an upload that is still on the cluster."""
    wanted = jar_name(digest)
    return next((each.id for each in rest.jars() if each.name == wanted), None)


def tidy(rest: Rest, in_use: Collection[str]) -> None:
    """Delete uploads that no running job came from, but for the last few."""
    wanted = {jar_name(digest) for digest in in_use}
    seen: set[str] = set()
    spare = 0
    for jar in rest.jars():
        if not jar.name.startswith(_STEM):
            continue
        is_needed = jar.name in wanted and jar.name not in seen
        seen.add(jar.name)
        spare += not is_needed
        if not is_needed and spare > _KEPT:
            rest.remove(jar.id)
