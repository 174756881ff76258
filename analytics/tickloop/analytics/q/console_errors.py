"""What the console prints for an error: its name, the line where it happened, a mark under it."""

from tickloop.analytics.q.errors import QError


def show_error(error: QError) -> str:
    """Give the console's text of an error, without an end of line after it.

    The number in brackets counts the calls around the place; 0 is the line that was typed.
    """
    lines = [f"'{error.name}"]
    if error.frames:
        text, position = error.frames[0]
        lines += place_lines(len(error.frames) - 1, text, position)
    return "\n".join(lines)


def place_lines(depth: int, text: str, position: int | None) -> list[str]:
    """Show a call: its line, and a mark under the place in it if that is known."""
    label = f"  [{depth}]  "
    if position is None:
        return [label + text.split("\n", maxsplit=1)[0]]
    start = text.rfind("\n", 0, position) + 1
    line = text[start:].split("\n", maxsplit=1)[0]
    return [label + line, " " * (len(label) + position - start) + "^"]
