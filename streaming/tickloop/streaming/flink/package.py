"""The code that a job needs, as one archive named by its digest: equal code, equal name.

What a job's modules import, followed through the sources, goes in; nothing else does, so that a
change elsewhere does not look like an upgrade.
"""

import hashlib
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tickloop.core.own_imports import own_imports, source_of, text_of
from tickloop.streaming.flink.own_code import own_code

_ROOTS = (
    "tickloop.streaming.flink.entry",
    "tickloop.analytics.operators.bars",
    "tickloop.analytics.operators.signals",
    "tickloop.analytics.operators.pairs",
    "tickloop.analytics.operators.quality",
)
_STEM = "tickloop-code-"
# No archive tells when it was made.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive for Flink's `python.files`."""

    path: Path
    digest: str


def archive(folder: Path, operator: str = "") -> Archive:
    """Write the archive into a folder, if it is not there.

    `operator` is named as in a configuration; OperatorError if its code cannot travel.
    """
    own = own_code(operator)
    files = {**dict(_modules((*_ROOTS, *own.imports))), **own.files}
    digest = digest_of(files)
    path = folder / archive_name(digest)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as target:
            for name in sorted({*_folders(files), *files}):
                target.writestr(zipfile.ZipInfo(name, _NO_TIME), files.get(name, b""))
        fresh.replace(path)
    return Archive(path, digest)


def _folders(files: Collection[str]) -> Collection[str]:
    """Name the folders: without entries for them Python 3.11 finds no namespace packages there."""
    return {f"{parent}/" for name in files for parent in PurePosixPath(name).parents if parent.name}


def archive_name(digest: str) -> str:
    """Name the archive of a digest."""
    return f"{_STEM}{digest}.zip"


def digest_of(files: Mapping[str, bytes]) -> str:
    """Digest names and texts."""
    digest = hashlib.blake2b(digest_size=8)
    for name, text in sorted(files.items()):
        digest.update(f"{name} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def _modules(roots: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield every source that the roots import, by its place below the archive's root."""
    waiting, seen = list(roots), set[str]()
    while waiting:
        module = waiting.pop()
        path, text = source_of(module), text_of(module)
        if module in seen or path is None or text is None:
            continue
        seen.add(module)
        below = Path(*module.split("."))
        yield (
            str(below / "__init__.py" if path.name == "__init__.py" else below.with_suffix(".py")),
            text,
        )
        waiting.append(module.rpartition(".")[0])
        waiting.extend(own_imports(text))
