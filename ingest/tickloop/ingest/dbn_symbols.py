"""Databento's numbers for instruments and publishers, turned into symbols and venues."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from tickloop.core.clock import EPOCH_DATE
from tickloop.ingest.feed import FeedContext, Health

# Four letters and a blank a venue, by publisher id from 1 on (databento/dbn,
# rust/dbn/src/publishers.rs).
_VENUES = (
    "GLBX XNAS XBOS XPSX BATS BATY EDGA EDGX XNYS XCIS XASE XCHI XCIS XCIS MEMX EPRL FINN FINC "
    "FINY AMXO XBOX XCBO EMLD EDGO GMNI XISX MCRY XMIO ARCO OPRA MPRL XNDQ XBXO C2OX XPHL BATO "
    "MXOP IEXG XCHI XCIS IEXG EPRL ARCX XNYS XNYS XNAS XNAS XCHI XCIS IEXG EPRL XNAS XNYS FINN "
    "FINY FINC IFEU NDEX DBEQ EQUS SPHR XCHI XCIS IEXG EPRL XNAS XNYS FINN FINY FINC BATS BATY "
    "EDGA EDGX XBOS XPSX MEMX XASE ARCX LTSE XNAS FINN FINC XOFF XOFF XBOS XPSX XBOS XPSX EQUS "
    "XCIS XNYS EQUS EQUS EQUS EQUS IFUS XOFF IFLL XOFF XEUR XEEE XOFF XOFF XCBF XOFF OCEA "
)
NAME_MAX = 256


@dataclass(frozen=True, slots=True)
class Interval:
    """A name that an instrument id had from one day until before another."""

    start: int  # days since 2000-01-01
    end: int
    name: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who each record is about: symbol and venue ids, and a small number for the pair."""

    sym: npt.NDArray[np.int32]
    ex: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int64]


def days_since_2000(day: date) -> int:
    """Count days since 2000-01-01."""
    return (day - EPOCH_DATE).days


def venue_of(publisher_id: int, dataset: str) -> str:
    """Name a publisher's venue; an unknown publisher's is the dataset's first part."""
    at = 5 * (publisher_id - 1)
    return _VENUES[at : at + 4] if 0 <= at < len(_VENUES) else dataset.partition(".")[0]


class DbnSymbols:
    """Names by instrument id: from mapping records, the file's metadata, or definitions."""

    def __init__(
        self,
        context: FeedContext,
        health: Health,
        *,
        dataset: str,
        intervals: dict[int, list[Interval]],
    ) -> None:
        self._context = context
        self._health = health
        self._dataset = dataset
        self._intervals = intervals
        self._mapped: dict[int, str] = {}
        self._defined: dict[int, str] = {}
        self._slots: dict[tuple[int, int], int] = {}
        self._forget()

    def _forget(self) -> None:
        self._keys = np.empty(0, dtype=np.uint64)
        self._known = np.empty((0, 3), dtype=np.int64)  # sym, ex, slot by key

    def map(self, instrument_id: int, name: str) -> None:
        """Take a live stream's word for an id, from now on."""
        if name and self._mapped.get(instrument_id) != name:
            self._mapped[instrument_id] = name
            self._forget()

    def is_mapped(self, instrument_id: int, name: str) -> bool:
        """Tell whether a mapping is what is known already."""
        return self._mapped.get(instrument_id) == name

    def define(self, names: Iterable[tuple[int, str]]) -> None:
        """Remember names from definitions, for ids that nothing else names."""
        before = len(self._defined)
        for instrument_id, name in names:
            if name:
                self._defined.setdefault(instrument_id, name)
        if len(self._defined) > before:
            self._forget()

    def _name(self, instrument_id: int, day: int) -> str:
        if instrument_id in self._mapped:
            return self._mapped[instrument_id]
        for interval in self._intervals.get(instrument_id, ()):
            if interval.start <= day < interval.end:
                return interval.name
        if instrument_id in self._defined:
            return self._defined[instrument_id]
        if self._context.symbol:
            return self._context.symbol
        self._health.count("unknown_instrument")
        return f"id_{instrument_id}"

    def identify(
        self,
        publishers: npt.NDArray[np.uint16],
        instruments: npt.NDArray[np.uint32],
        days: npt.NDArray[np.int64],
    ) -> Identity:
        """Find every record's symbol and venue; new ones get ids, unnamed ones a placeholder."""
        keys = publishers.astype(np.uint64) << np.uint64(48)
        keys |= (days & 0xFFFF).astype(np.uint64) << np.uint64(32)
        keys |= instruments.astype(np.uint64)
        at = self._find(keys)
        missed = self._keys[at] != keys if len(self._keys) else np.ones(len(keys), dtype=np.bool_)
        if missed.any():
            self._learn(np.unique(keys[missed]))
            at = self._find(keys)
        found = self._known[at]
        return Identity(found[:, 0].astype(np.int32), found[:, 1].astype(np.int32), found[:, 2])

    def _find(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        if len(self._keys) == 1:
            return np.zeros(len(keys), dtype=np.int64)
        at = np.searchsorted(self._keys, keys)
        return np.minimum(at, max(0, len(self._keys) - 1)).astype(np.int64)

    def _learn(self, keys: npt.NDArray[np.uint64]) -> None:
        rows = [self._row(int(key)) for key in keys]
        keys = np.concatenate([self._keys, keys])
        known = np.concatenate([self._known, np.array(rows, dtype=np.int64).reshape(-1, 3)])
        order = np.argsort(keys)
        self._keys, self._known = keys[order], known[order]

    def _row(self, key: int) -> tuple[int, int, int]:
        publisher, day, instrument = key >> 48, (key >> 32) & 0xFFFF, key & 0xFFFFFFFF
        sym = self._context.symbols.id(self._name(instrument, day))
        ex = self._context.symbols.id(venue_of(publisher, self._dataset))
        return sym, ex, self._slots.setdefault((sym, ex), len(self._slots))
