"""What a module imports of the product, found by a pattern as by a parser."""

import ast
from pathlib import Path

import pytest

from tickloop.core.own_imports import own_imports, source_of, source_roots, text_of

SOURCES = sorted(path for root in source_roots() for path in root.rglob("*.py"))


def parsed(text: bytes) -> set[str]:
    """List the same by Python's own parser."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tickloop":
            found |= {str(node.module), *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def test_every_source_of_the_product_imports_what_the_parser_says() -> None:
    assert len(SOURCES) > 300
    for path in SOURCES:
        text = path.read_bytes()
        assert set(own_imports(text)) == parsed(text), path


def test_no_source_imports_the_product_in_a_form_that_is_not_looked_for() -> None:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                plain = [name.name for name in node.names if name.name.startswith("tickloop.")]
                assert plain == [], path
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, path


def test_imports_within_functions_over_lines_renamed_and_beside_comments_are_found() -> None:
    text = b"""
from tickloop.core import kernel  # kernels
def late():
    from tickloop.core.batch import (
        Batch as Rows,  # not Slice
        slice_of,
    )
"""
    assert list(own_imports(text)) == [
        "tickloop.core", "tickloop.core.kernel", "tickloop.core.batch", "tickloop.core.batch.Batch",
        "tickloop.core.batch.slice_of",
    ]  # fmt: skip


@pytest.mark.parametrize("module", ["tickloop", "tickloop.core.batch.Batch", "numpy", "tickloop.x"])
def test_what_is_no_module_of_the_product_has_no_source(module: str) -> None:
    assert source_of(module) is None
    assert text_of(module) is None


def test_a_module_s_source_is_found_below_one_of_the_roots() -> None:
    found = source_of("tickloop.core.own_imports")
    assert found is not None
    assert found == Path(own_imports.__code__.co_filename)
