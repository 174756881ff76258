"""Cutting a script into statements: continuation lines, comment blocks, the end of a script."""

import re

# A line that is nothing but closing brackets belongs to the line before, indented or not.
_CLOSING = re.compile(r"[)\]};]+\s*(?:/.*)?\Z")


def statements_of(text: str) -> list[str]:
    """List the statements of a text; indented lines continue the line before."""
    statements: list[str] = []
    in_comment = False
    is_open = False
    for line in text.replace("\r\n", "\n").split("\n"):
        bare = line.rstrip()
        if in_comment:
            in_comment = bare != "\\"
            continue
        if bare == "/":
            in_comment, is_open = True, False
            continue
        if bare == "\\":
            break
        if line[:1] == "/":
            continue
        if not bare:
            continue
        if is_open and (line[0] in " \t" or _CLOSING.match(bare)):
            statements[-1] += "\n" + bare
            continue
        statements.append(bare.lstrip() if not is_open else bare)
        is_open = True
    return statements
