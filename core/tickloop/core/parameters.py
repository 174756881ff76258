"""An operator's parameters: declared once, read from text, changed by `control` rows."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tickloop.core.errors import ConfigError

Setting = int | float | str
Settings = Mapping[str, Setting]

_SPANS_NS = {
    "ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
    "h": 3_600_000_000_000, "d": 86_400_000_000_000,
}  # fmt: skip
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|ms|s|m|h|d)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One thing that can be set: its default gives its type.

    With unit "ns" it is a span: text such as 500ms, 1s, 5m, 1h, 1d, or nanoseconds. A `live` one
    follows `control` rows that name it; the others hold for as long as the state lives.
    """

    name: str
    default: Setting
    meaning: str
    unit: str = ""
    minimum: float = -math.inf
    maximum: float = math.inf
    choices: tuple[str, ...] = ()
    live: bool = False

    def read(self, given: Setting, where: str) -> Setting:
        """Read a value; ConfigError says what was seen and expected at `where`."""
        if isinstance(self.default, str):
            return self._choice(str(given), where)
        number = self._number(given, where)
        # Written so that NaN, which compares false with everything, is refused too.
        if not self.minimum <= number <= self.maximum:
            raise ConfigError(f"{where}: {given!r} seen, {self.expected} expected")
        return number

    def _choice(self, given: str, where: str) -> str:
        if self.choices and given not in self.choices:
            raise ConfigError(f"{where}: {given!r} seen, {self.expected} expected")
        return given

    def _number(self, given: Setting, where: str) -> int | float:
        is_whole = isinstance(self.default, int)
        if self.unit == "ns" and isinstance(given, str) and (match := _SPAN.fullmatch(given)):
            return round(float(match[1]) * _SPANS_NS[match[2]])
        try:
            number = float(given)
            if is_whole and number != int(number):
                raise ValueError(given)
        except (ValueError, OverflowError) as error:
            raise ConfigError(f"{where}: {given!r} seen, {self.expected} expected") from error
        return int(number) if is_whole else number

    @property
    def expected(self) -> str:
        """Say what a value may be."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if isinstance(self.default, str):
            return "text"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        kind = "a span such as 500ms, 1s or 5m" if self.unit == "ns" else kind
        low = f" of at least {self.minimum:g}" if self.minimum > -math.inf else ""
        high = f" up to {self.maximum:g}" if self.maximum < math.inf else ""
        unit = f" {self.unit}" if self.unit and (low or high) else ""
        return f"{kind}{low}{high}{unit}"


def settings(declared: Sequence[Parameter], given: Settings, where: str) -> dict[str, Setting]:
    """Give every parameter a value: the given one, else the default; unknown names are refused."""
    known = {parameter.name: parameter for parameter in declared}
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            one_of = f"one of {', '.join(known)}" if known else "no parameters"
            raise ConfigError(f"{where}.{name}: unknown parameter; {hint}expected {one_of}")
    return {
        name: parameter.read(given[name], f"{where}.{name}") if name in given else parameter.default
        for name, parameter in known.items()
    }


def live_change(declared: Sequence[Parameter], name: str, value: float) -> Setting | None:
    """Read the value of a `control` row; None where it names nothing that may change."""
    for parameter in declared:
        if parameter.name == name and parameter.live and not isinstance(parameter.default, str):
            try:
                return parameter.read(value, name)
            except ConfigError:
                return None
    return None
