"""The pages say what the code does."""

import re
from pathlib import Path

import click

from tickloop.app.cli import cli
from tickloop.core.dialects.markdown import page

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_page_of_tables_is_the_schema() -> None:
    assert (ROOT / "docs" / "tables.md").read_text() == page()


def test_the_readme_s_two_commands_are_make_targets() -> None:
    first_block = README.split("```")[1]
    targets = re.findall(r"^make (\w+)", first_block, flags=re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert targets == ["run", "test"]
    assert all(f"\n{target}:" in makefile for target in targets)


def test_continuous_integration_runs_the_readme_s_test_command() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == ["make test"]


def test_every_command_that_the_pages_show_exists() -> None:
    context = click.Context(cli)
    shown = {
        name
        for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
        for name in re.findall(r"\btickloop ([a-z]+)\b", path.read_text())
    }
    commands = set(cli.list_commands(context))
    assert shown & commands
    assert shown <= commands | {"is"}, shown - commands


def test_every_link_of_the_pages_leads_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_command_has_help_with_an_example() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        leaves = (
            [command.get_command(context, sub) for sub in command.list_commands(context)]
            if isinstance(command, click.Group)
            else [command]
        )
        for leaf in leaves:
            assert leaf is not None
            assert "Example" in (leaf.help or ""), f"{name} {leaf.name}"


def test_the_changelog_begins_with_the_version_in_force() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    newest = re.search(r"^## (\S+) — (\d{4}-\d\d-\d\d)$", text, re.MULTILINE)
    assert version and newest
    assert newest[1] == version[1]
