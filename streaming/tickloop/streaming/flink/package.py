"""The code that a job needs, as one archive named by its digest: equal code, equal name.

What a job's modules import, followed through the sources, goes in; nothing else does, so that a
change elsewhere does not look like an upgrade.
"""

import ast
import hashlib
import sys
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tickloop.core.errors import OperatorError
from tickloop.core.own_imports import own_imports, source_of, text_of

_ROOTS = (
    "tickloop.streaming.flink.entry",
    "tickloop.analytics.operators.bars",
    "tickloop.analytics.operators.signals",
    "tickloop.analytics.operators.pairs",
    "tickloop.analytics.operators.quality",
)
# Where a user's file is within the archive.
OWN = "own_operators"
_THERE = frozenset({"tickloop", "numpy", "numba", *sys.stdlib_module_names})
_STEM = "tickloop-code-"
# No archive tells when it was made.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive for Flink's `python.files`."""

    path: Path
    digest: str


def archive(folder: Path, user_file: Path | None = None) -> Archive:
    """Write the archive into a folder, if it is not there; OperatorError for a file that is not."""
    files = dict(_modules(_ROOTS))
    if user_file is not None:
        if not user_file.is_file():
            raise OperatorError(f"{user_file}: no such file; give the path of an operator's file")
        text = user_file.read_bytes()
        files |= _modules(imports_of_own(user_file, text))
        files[f"{OWN}/{user_file.name}"] = text
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


def imports_of_own(path: Path, text: bytes) -> list[str]:
    """List what a user's file imports of ours; OperatorError for what a cluster may not have."""
    tree = ast.parse(text, str(path))
    for node in _run(tree):
        for name in _names(node):
            if name.partition(".")[0] not in _THERE:
                raise OperatorError(
                    f"{path}:{getattr(node, 'lineno', 1)}: import of {name or '.'} seen; machines"
                    " of a cluster have NumPy, Numba, Python's own modules and what of tickloop"
                    " travels with the job: put what the operator needs into its one file"
                )
    return [name for name in _imported(tree) if source_of(name) is not None]


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk over what is run: not what stands under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield node
            yield from _run(node)


def _names(node: ast.AST) -> list[str]:
    """Name the modules that a statement imports; a relative one has no name here."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if isinstance(node, ast.ImportFrom):
        return ["" if node.level else node.module or ""]
    return []


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


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
