"""ITCH messages that are no order events, a type at a time by columns: status, NOII, directory.

What the tables have no place for is left out on purpose: prices of LULD collars (J) and of
direct listings (O), release time and price of an IPO quotation (K), the mode of a market maker
where it is normal (L), and of the directory (R) everything but class, lot and authenticity.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_CHAR, NULL_LONG, NULL_SYMBOL
from tickloop.core.schema import IMBALANCE, INSTRUMENT, STATUS
from tickloop.core.symbols import Symbols
from tickloop.ingest.events import BLANK, BUY, SELL
from tickloop.ingest.feed import Health
from tickloop.ingest.itch_layout import MESSAGES, PRICE_UNIT, SIZE_UNIT

Columns = dict[str, npt.NDArray[Any]]

SYSTEM_EVENTS = {
    "O": "system_start_messages",
    "S": "system_start_hours",
    "Q": "system_start_market",
    "M": "system_end_market",
    "E": "system_end_hours",
    "C": "system_end_messages",
    "A": "emergency_halt",
    "R": "emergency_quotation_only",
    "B": "emergency_resumption",
}
TRADING_STATES = {"H": "halted", "P": "paused", "Q": "quotation_only", "T": "trading"}
REG_SHO = {"0": "none", "1": "intraday_drop", "2": "remains"}
PARTICIPANT_STATES = {
    "A": "active",
    "E": "excused",
    "W": "withdrawn",
    "S": "suspended",
    "D": "deleted",
}
PARTICIPANT_MODES = {
    "N": "",
    "P": "_passive",
    "S": "_syndicate",
    "R": "_pre_syndicate",
    "L": "_penalty",
}
MARKETS = {"Q": "nasdaq", "B": "bx", "X": "psx"}
OPERATIONAL = {"H": "operational_halt", "T": "operational_trading"}
QUALIFIERS = {"A": "anticipated", "C": "canceled"}
INTERESTS = {"B": "buy", "S": "sell", "A": "both", "N": "none"}
ELIGIBILITY = {"Y": "eligible", "N": "not_eligible"}
# Issue classifications (appendix D) whose kind is not `equity`.
ISSUES = {"B": "bond", "N": "note", "T": "bond", "R": "right", "U": "unit", "V": "unit"}
ISSUES["W"] = "warrant"
# Names made from message text are bounded: a damaged feed must not fill the `sym` file.
TEXTS_MAX = 1 << 14


class OtherRows:
    """Turns gathered messages of one type into columns of a batch, without a Python row each."""

    def __init__(self, symbols: Symbols, health: Health, *, venue_id: int) -> None:
        self._symbols = symbols
        self._health = health
        self._venue_id = venue_id
        self._texts: set[str] = set()

    def batch(
        self,
        kind: str,
        messages: npt.NDArray[np.uint8],
        *,
        sym: npt.NDArray[np.int32],
        time: npt.NDArray[np.int64],
        venue_time: npt.NDArray[np.int64],
        ordinal: npt.NDArray[np.int64],
    ) -> Batch:
        """Make the batch of one type's messages, given as rows of a byte matrix."""
        fields = messages.view(MESSAGES[kind])[:, 0]
        columns: Columns = {"time": time, "sym": sym, "_place": ordinal}
        if kind == "R":
            columns.update(self._instrument(fields))
            return Batch(INSTRUMENT, columns)
        columns["ex"] = np.full(len(sym), self._venue_id, dtype=np.int32)
        columns["venue_time"] = venue_time
        if kind == "I":
            columns.update(_imbalance(fields))
            return Batch(IMBALANCE, columns)
        states, reasons = _STATUS[kind](self, fields)
        return Batch(STATUS, {**columns, "state": states, "reason": reasons})

    def instruments(
        self,
        *,
        sym: npt.NDArray[np.int32],
        time: npt.NDArray[np.int64],
        ordinal: npt.NDArray[np.int64],
    ) -> Batch:
        """Make rows for instruments that no directory message has described."""
        columns: Columns = {"time": time, "sym": sym, "_place": ordinal}
        return Batch(INSTRUMENT, {**columns, **self._units(len(sym))})

    def _units(self, rows: int) -> Columns:
        return {
            "price_unit": np.full(rows, PRICE_UNIT, dtype=np.int32),
            "size_unit": np.full(rows, SIZE_UNIT, dtype=np.int32),
            "currency": np.full(rows, self._symbols.id("USD"), dtype=np.int32),
            "kind": np.full(rows, NULL_SYMBOL, dtype=np.int32),
            "lot": np.full(rows, np.nan),
        }

    def _instrument(self, fields: npt.NDArray[np.void]) -> Columns:
        def kind(code: int) -> str:
            issue, etp, authenticity = code >> 16, code >> 8 & 255, code & 255
            if authenticity == ord("T"):
                return "test"
            return "etp" if etp == ord("Y") else ISSUES.get(chr(issue), "equity")

        codes = _packed(fields, "issue", "etp", "authenticity")
        return {
            **self._units(len(fields)),
            "kind": self._named(codes, kind),
            "lot": fields["round_lot"].astype(np.float64),
        }

    def _named(self, values: npt.NDArray[Any], spell: Callable[[Any], str]) -> npt.NDArray[Any]:
        """Give the symbol ids of values, spelling each different value once."""
        distinct, places = np.unique(values, return_inverse=True)
        ids = [self._symbols.id(spell(value)) for value in distinct.tolist()]
        return np.array(ids, dtype=np.int32)[places]

    def _coded(
        self, codes: npt.NDArray[np.uint8], names: dict[str, str], other: str = "unknown"
    ) -> npt.NDArray[Any]:
        return self._named(codes, lambda code: names.get(chr(code), f"{other}_{code:02x}"))

    def _text(self, values: npt.NDArray[Any], spell: Callable[[Any], str]) -> npt.NDArray[Any]:
        """Give symbol ids of text from messages; null and counted once there is too much of it."""

        def bounded(value: Any) -> str:
            text = spell(value)
            if text in self._texts or len(self._texts) < TEXTS_MAX:
                self._texts.add(text)
                return text
            self._health.count("reason_dropped")
            return ""

        return self._named(values, bounded)

    def _constant(self, name: str, rows: int) -> npt.NDArray[Any]:
        return np.full(rows, self._symbols.id(name), dtype=np.int32)

    def system_event(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """S: the session's course."""
        return self._coded(fields["event"], SYSTEM_EVENTS), self._constant("", len(fields))

    def trading_action(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """H: halted, paused, quotation only, trading; the reason is the venue's code."""
        return self._coded(fields["state"], TRADING_STATES), self._text(fields["reason"], printable)

    def reg_sho(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """Y: the short sale price test."""
        return self._constant("reg_sho", len(fields)), self._coded(fields["action"], REG_SHO)

    def participant(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """L: a market maker's standing; the reason is its MPID."""

        def state(code: int) -> str:
            standing = PARTICIPANT_STATES.get(chr(code & 255), f"unknown_{code & 255:02x}")
            mode = PARTICIPANT_MODES.get(chr(code >> 8 & 255), "_mode_unknown")
            primary = "primary_" if code >> 16 == ord("Y") else ""
            return f"{primary}market_maker_{standing}{mode}"

        codes = _packed(fields, "primary", "mode", "state")
        return self._named(codes, state), self._text(fields["mpid"], printable)

    def mwcb_levels(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """V: where the market-wide circuit breakers are, once a day: `L1/L2/L3` as the reason."""
        levels = np.stack([fields[f"level_{n}"].astype("u8") for n in (1, 2, 3)], axis=1)
        rows = np.ascontiguousarray(levels).view("V24")[:, 0]
        distinct, places = np.unique(rows, return_inverse=True)
        texts = ["/".join(map(_eight_decimals, np.frombuffer(row, "u8"))) for row in distinct]
        index = self._text(np.arange(len(texts)), lambda position: texts[position])
        return self._constant("mwcb_levels", len(fields)), index[places]

    def mwcb_breach(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """W: a market-wide circuit breaker was reached."""
        names = {level: f"level_{level}" for level in "123"}
        return self._constant("mwcb_breached", len(fields)), self._coded(fields["level"], names)

    def ipo_quotation(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """K: when quotation of an IPO is released."""
        reasons = self._coded(fields["qualifier"], QUALIFIERS)
        return self._constant("ipo_quotation", len(fields)), reasons

    def luld_collar(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """J: the collar of a reopening after a limit-up limit-down pause."""
        reasons = self._text(fields["extension"].astype("u4"), lambda n: f"extension_{n}")
        return self._constant("luld_collar", len(fields)), reasons

    def operational_halt(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """h: one market center has interrupted its service."""
        return self._coded(fields["action"], OPERATIONAL), self._coded(fields["market"], MARKETS)

    def retail_interest(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """N: which sides have retail price improvement orders."""
        reasons = self._coded(fields["interest"], INTERESTS)
        return self._constant("retail_interest", len(fields)), reasons

    def direct_listing(self, fields: npt.NDArray[np.void]) -> tuple[Any, Any]:
        """O: a direct listing with capital raise."""
        reasons = self._coded(fields["eligible"], ELIGIBILITY)
        return self._constant("direct_listing", len(fields)), reasons


_STATUS: dict[str, Callable[[OtherRows, npt.NDArray[np.void]], tuple[Any, Any]]] = {
    "S": OtherRows.system_event,
    "H": OtherRows.trading_action,
    "Y": OtherRows.reg_sho,
    "L": OtherRows.participant,
    "V": OtherRows.mwcb_levels,
    "W": OtherRows.mwcb_breach,
    "K": OtherRows.ipo_quotation,
    "J": OtherRows.luld_collar,
    "h": OtherRows.operational_halt,
    "N": OtherRows.retail_interest,
    "O": OtherRows.direct_listing,
}


def printable(raw: bytes) -> str:
    """Spell a padded ASCII field; what is no printable character becomes `?`."""
    text = raw.rstrip(b" \0").decode("latin-1")
    return "".join(letter if "!" <= letter <= "~" else "?" for letter in text)


def _imbalance(fields: npt.NDArray[np.void]) -> Columns:
    direction = fields["direction"]
    known = (direction == BUY) | (direction == SELL)
    return {
        "paired": fields["paired"].astype(np.int64),
        "imbalance": fields["imbalance"].astype(np.int64),
        "side": np.where(known, direction, BLANK).astype(np.uint8),
        "ref": _price(fields["reference"]),
        "near": _price(fields["near"]),
        "far": _price(fields["far"]),
        "cross": np.where(fields["cross"] == 0, NULL_CHAR, fields["cross"]).astype(np.uint8),
    }


def _price(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    # The venue sends 0 where it cannot calculate a price; a price of 0 would be taken for one.
    wide = values.astype(np.int64)
    return np.where(wide == 0, NULL_LONG, wide)


def _packed(fields: npt.NDArray[np.void], *names: str) -> npt.NDArray[np.int64]:
    """Pack one-byte fields into one number, the first one highest."""
    packed = np.zeros(len(fields), dtype=np.int64)
    for name in names:
        packed = packed << 8 | fields[name]
    return packed


def _eight_decimals(value: np.uint64) -> str:
    whole, fraction = divmod(int(value), 10**8)
    return f"{whole}.{fraction:08d}".rstrip("0").rstrip(".")
