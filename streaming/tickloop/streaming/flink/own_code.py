"""The code of an operator that does not come with Tickloop: what of it travels with a job.

Of an operator in a file of the user's, that file; of an installed one, its module and what that
imports of its own package. Nothing else: a cluster has NumPy, Numba and Python's own modules.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tickloop.core.errors import OperatorError
from tickloop.core.own_imports import source_of
from tickloop.streaming.finding import is_file, module_of

# Where a user's file is within the archive; packages are at its root.
FILES = "own_operators"
_THERE = frozenset({"tickloop", "numpy", "numba", *sys.stdlib_module_names})


@dataclass(frozen=True, slots=True)
class OwnCode:
    """Sources by their place in the archive, and the modules of Tickloop that they import."""

    files: dict[str, bytes]
    imports: set[str]


def own_code(operator: str) -> OwnCode:
    """Collect it; nothing of an operator that comes with Tickloop.

    OperatorError for what a cluster does not have.
    """
    if is_file(operator):
        return _of_file(Path(operator))
    module = module_of(operator)
    return OwnCode({}, set()) if module is None else _of_package(module)


def place_of(path: str) -> str:
    """Give the place of a user's file in the archive."""
    return f"{FILES}/{Path(path).name}"


def _of_file(path: Path) -> OwnCode:
    if not path.is_file():
        raise OperatorError(f"{path}: no such file; give the path of an operator's file")
    text = path.read_bytes()
    found = list(_checked(path, text, "", "its one file"))
    return OwnCode({place_of(str(path)): text}, set(_ours(found)))


def _of_package(module: str) -> OwnCode:
    """Follow imports within the package that a module is of."""
    package = module.partition(".")[0]
    if package == "tickloop":  # somebody's addition to the namespace
        return OwnCode({}, {module})
    found = OwnCode({}, set())
    waiting, seen = [module], set[str]()
    while waiting:
        name = waiting.pop()
        path = None if name in seen else _installed(name)
        seen.add(name)
        if path is None:
            continue
        below = Path(*name.split("."))
        is_package = path.name == "__init__.py"
        text = path.read_bytes()
        found.files[str(below / path.name if is_package else below.with_suffix(".py"))] = text
        around = name if is_package else name.rpartition(".")[0]
        imports = list(_checked(path, text, around, f"its package {package}", package))
        found.imports.update(_ours(imports))
        waiting += [each for each in imports if each.partition(".")[0] == package]
        waiting.append(name.rpartition(".")[0])
    return found


def _installed(module: str) -> Path | None:
    """Find the source of an installed module; None for what is no module, or has none."""
    if not module:
        return None
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    if found is None or found.origin is None:
        return None
    if not found.origin.endswith(".py"):
        raise OperatorError(
            f"{module}: {found.origin} seen, Python's source expected: only that travels with a job"
        )
    return Path(found.origin)


def _checked(path: Path, text: bytes, around: str, home: str, package: str = "") -> Iterator[str]:
    """Yield what a source imports: modules, and names that may be modules.

    `around` is the package that its relative imports begin at.
    """
    tree = ast.parse(text, str(path))
    for node in _run(tree):
        for name in _names(node, around):
            if name.partition(".")[0] not in {*_THERE, package} - {""}:
                raise OperatorError(
                    f"{path}:{getattr(node, 'lineno', 1)}: import of {name or '.'} seen; machines"
                    " of a cluster have NumPy, Numba, Python's own modules and what of tickloop"
                    f" travels with the job: put what the operator needs into {home}"
                )
            yield name
            if isinstance(node, ast.ImportFrom):
                yield from (f"{name}.{each.name}" for each in node.names)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk over what is run: not what stands under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield node
            yield from _run(node)


def _names(node: ast.AST, around: str) -> list[str]:
    """Name the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if not node.level:
        return [node.module or ""]
    if not around:
        return [""]  # a file alone has nothing beside it
    above = around.split(".")
    above = above[: len(above) - node.level + 1]
    return [".".join(filter(None, (*above, node.module)))]


def _ours(imports: list[str]) -> Iterator[str]:
    return (name for name in imports if source_of(name) is not None)
