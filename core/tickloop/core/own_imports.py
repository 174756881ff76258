"""Which modules of the product a module of it imports, read from its text.

Commands ask this of a hundred modules before they begin, so that it is a pattern and no parser:
the product's own texts are formatted, and a test compares what both find.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_IMPORTED = re.compile(
    rb"^[ \t]*from (tickloop(?:\.\w+)*) import (?:\(([^)]*)\)|(.*))", re.MULTILINE
)
_COMMENT = re.compile(rb"#.*")
_NAME = re.compile(rb"(\w+)(?: as \w+)?")


def source_roots() -> list[Path]:
    """List the folders that hold the product's modules."""
    import tickloop

    return [Path(root) for root in tickloop.__path__]


@cache
def source_of(module: str) -> Path | None:
    """Find a module's source; the namespace itself, and what is a name and no module, have none."""
    head, _, rest = module.partition(".")
    if head != "tickloop" or not rest:
        return None
    path = Path(*rest.split("."))
    for root in source_roots():
        for file in (root / path.with_suffix(".py"), root / path / "__init__.py"):
            if file.is_file():
                return file
    return None


@cache
def text_of(module: str) -> bytes | None:
    """Read a module's source; None if there is no such module."""
    path = source_of(module)
    return None if path is None else path.read_bytes()


def own_imports(text: bytes) -> Iterator[str]:
    """Yield what a text imports of the product: modules, and names that may be modules."""
    for module, several, one in _IMPORTED.findall(text):
        name = module.decode()
        yield name
        for each in _NAME.findall(_COMMENT.sub(b"", several or one)):
            yield f"{name}.{each.decode()}"
