"""DBN's own words: metadata and record layouts of versions 1 to 3. The vendor's package is here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import databento_dbn as vendor
import numpy as np

from tickloop.core.errors import FeedError
from tickloop.ingest.dbn_symbols import NAME_MAX, Interval, days_since_2000

MAGIC = b"DBN"
PREFIX_BYTES = 8
VERSION_MAX = 3
METADATA_BYTES_MAX = 1 << 30
MBP_0, MBP_1, MBP_10, STATUS, DEFINITION, IMBALANCE, MAPPING = 0, 1, 10, 18, 19, 20, 22
MBO, CMBP_1, CBBO_1S, CBBO_1M, TCBBO, BBO_1S, BBO_1M, TBBO = 160, 177, 192, 193, 194, 195, 196, 197
SAMPLED = frozenset({CBBO_1S, CBBO_1M, BBO_1S, BBO_1M})
ONE_LEVEL = frozenset({MBP_1, CMBP_1, TCBBO, TBBO}) | SAMPLED
TABLED = ONE_LEVEL | {MBP_0, MBP_10, STATUS, DEFINITION, IMBALANCE, MBO}
TS_OUT_BYTES = 8  # a live stream may append when it sent a record


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a file says of itself; a fragment says nothing."""

    dataset: str = ""
    schema: str = ""  # empty for a live stream of several
    intervals: dict[int, list[Interval]] | None = None


def _with_levels(layout: list[tuple[str, str]]) -> np.dtype[Any]:
    """Lay the fields `bid_px_00, ask_px_00 ... ask_ct_09` out as one field of levels."""
    flat = np.dtype(layout)
    fields: Mapping[str, Any] = flat.fields or {}
    first = [name for name in flat.names or () if name.endswith("_00")]
    if not first:
        return flat
    start = fields[first[0]][1]
    level = np.dtype([(name.removesuffix("_00"), fields[name][0]) for name in first])
    count = (flat.itemsize - start) // level.itemsize
    names = [name for name in flat.names or () if fields[name][1] < start]
    return np.dtype(
        {
            "names": [*names, "levels"],
            "formats": [*(fields[name][0] for name in names), (level, (count,))],
            "offsets": [*(fields[name][1] for name in names), start],
            "itemsize": flat.itemsize,
        }
    )


_CLASSES = {
    (MBP_0,): (vendor.TradeMsg,),
    (MBP_1, TBBO): (vendor.MBP1Msg,),
    (MBP_10,): (vendor.MBP10Msg,),
    (CMBP_1, TCBBO): (vendor.CMBP1Msg,),
    (CBBO_1S, CBBO_1M): (vendor.CBBOMsg,),
    (BBO_1S, BBO_1M): (vendor.BBOMsg,),
    (MBO,): (vendor.MBOMsg,),
    (STATUS,): (vendor.StatusMsg,),
    (IMBALANCE,): (vendor.ImbalanceMsg,),
    (DEFINITION,): (
        vendor.InstrumentDefMsg,
        vendor.InstrumentDefMsgV2,
        vendor.InstrumentDefMsgV1,
    ),
    (MAPPING,): (vendor.SymbolMappingMsg, vendor.SymbolMappingMsgV1),
}
# A record's version shows in its size, so a layout is found by type and size.
LAYOUTS: dict[tuple[int, int], np.dtype[Any]] = {
    (rtype, layout.itemsize): layout
    for rtypes, classes in _CLASSES.items()
    for layout in (_with_levels(record._dtypes) for record in classes)
    for rtype in rtypes
}
# Records that become no rows; only their sizes matter, to tell a fragment from another file.
_BARS = tuple(kind for kind in vendor.RType.variants() if kind.name.startswith("OHLCV"))
_UNTABLED = {
    tuple(int(kind) for kind in _BARS): (vendor.OHLCVMsg,),
    (int(vendor.RType.STATISTICS),): (vendor.StatMsg, vendor.StatMsgV1),
    (int(vendor.RType.ERROR),): (vendor.ErrorMsg, vendor.ErrorMsgV1),
    (int(vendor.RType.SYSTEM),): (vendor.SystemMsg, vendor.SystemMsgV1),
}
_SIZES = frozenset(LAYOUTS) | {
    (rtype, np.dtype(record._dtypes).itemsize)
    for rtypes, classes in _UNTABLED.items()
    for record in classes
    for rtype in rtypes
}
NAMES: dict[int, str] = {int(kind): kind.name.lower() for kind in vendor.RType.variants()}


def layout_of(rtype: int, size: int) -> np.dtype[Any] | None:
    """Find the layout of a record, None if the type has no table or the size is odd."""
    return LAYOUTS.get((rtype, size)) or LAYOUTS.get((rtype, size - TS_OUT_BYTES))


_STATES = {"halt": "halted", "pause": "paused", "suspend": "suspended", "close": "closed"}


def status_states() -> dict[int, str]:
    """Name the states of a status record."""
    names = {int(action): action.name.lower() for action in vendor.StatusAction.variants()}
    return {value: _STATES.get(name, name) for value, name in names.items()}


def status_reasons() -> dict[int, str]:
    """Name the reasons of a status record."""
    return {int(reason): reason.name.lower() for reason in vendor.StatusReason.variants()}


def metadata_size(prefix: bytes, path: object) -> int:
    """Read how many bytes of metadata follow the prefix, 0 for a fragment without any.

    FeedError if the bytes are neither DBN up to version 3 nor start with a record.
    """
    if prefix[:3] == MAGIC and len(prefix) == PREFIX_BYTES:
        version, size = prefix[3], int.from_bytes(prefix[4:8], "little")
        if not 1 <= version <= VERSION_MAX:
            raise FeedError(f"{path}: DBN version {version} seen, 1 to {VERSION_MAX} expected")
        if size > METADATA_BYTES_MAX:
            raise FeedError(
                f"{path}: {size} bytes of metadata announced, at most {METADATA_BYTES_MAX}"
                " expected; the file is damaged: fetch it again"
            )
        return size
    record = np.frombuffer(prefix[:2].ljust(2, b"\0"), dtype=np.uint8)
    rtype, size = int(record[1]), 4 * int(record[0])
    if not _SIZES & {(rtype, size), (rtype, size - TS_OUT_BYTES)}:
        raise FeedError(
            f"{path}: starts with {prefix[:4]!r}, expected {MAGIC!r} (a DBN file, plain or"
            " zstd) or a DBN record; is this another encoding?"
        )
    return 0


def decode_metadata(encoded: bytes, path: object) -> Metadata:
    """Decode prefix and metadata; FeedError with the reason if they are damaged."""
    try:
        decoded = vendor.Metadata.decode(encoded)
        swapped = str(decoded.stype_in) == "instrument_id"
        intervals = _intervals(decoded.mappings, swapped=swapped)
    except (vendor.DBNError, ValueError, OverflowError) as error:
        raise FeedError(
            f"{path}: the metadata cannot be decoded ({error}); fetch the file again"
        ) from error
    return Metadata(decoded.dataset, str(decoded.schema or ""), intervals)


def _intervals(mappings: dict[str, list[Any]], *, swapped: bool) -> dict[int, list[Interval]]:
    """Index mappings by instrument id, whichever side of them it is on."""
    found: dict[int, list[Interval]] = {}
    for symbol, spans in mappings.items():
        for span in spans:
            name, number = (span["symbol"], symbol) if swapped else (symbol, span["symbol"])
            if number.isdecimal() and name and len(name) <= NAME_MAX:
                start, end = (days_since_2000(span[key]) for key in ("start_date", "end_date"))
                found.setdefault(int(number), []).append(Interval(start, end, name))
    return found
