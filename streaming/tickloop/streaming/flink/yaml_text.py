"""Plain data as YAML: keys in their order, text in quotes wherever a reader might doubt."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

# Words that every reader of YAML takes as text.
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*")
_NOT_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def yaml_text(document: Mapping[str, object]) -> str:
    """Spell one document."""
    return "\n".join(_lines(document, "")) + "\n"


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _entry(f"{indent}{_scalar(name)}:", each, indent + "  ")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            inner = list(_lines(each, indent + "  "))
            if _is_nested(each):
                yield f"{indent}- {inner[0].lstrip()}"
                yield from inner[1:]
            else:
                yield f"{indent}- {_scalar(each)}"


def _entry(head: str, value: object, indent: str) -> Iterator[str]:
    if _is_nested(value):
        yield head
        yield from _lines(value, indent)
    else:
        yield f"{head} {_scalar(value)}"


def _is_nested(value: object) -> bool:
    return isinstance(value, (Mapping, list, tuple)) and len(value) > 0


def _scalar(value: object) -> str:
    is_plain = isinstance(value, str) and _PLAIN.fullmatch(value)
    if is_plain and str(value).lower() not in _NOT_TEXT:
        return str(value)
    return "".join(map(_escaped, json.dumps(value, ensure_ascii=False)))


def _escaped(character: str) -> str:
    """Spell what is not ASCII as YAML does, which knows no surrogate pairs."""
    code = ord(character)
    if 0x20 <= code < 0x7F:
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
