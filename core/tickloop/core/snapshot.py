"""A state as bytes: a manifest in front, then its arrays; nothing but the state decides them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import SnapshotError
from tickloop.core.operator import Migrating, Operator, State

_MAGIC = b"TICKSTA1"
_ALIGNMENT = 64
# A manifest lists a few arrays; more than this is damage.
_MANIFEST_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state, whose it is, and the last seq that it has folded in."""

    operator: str
    seq: int
    state: State


def as_bytes(snapshot: Snapshot) -> bytes:
    """Spell a snapshot; equal snapshots have equal bytes."""
    arrays = {name: np.ascontiguousarray(each) for name, each in snapshot.state.arrays.items()}
    manifest = {
        "operator": snapshot.operator,
        "version": snapshot.state.version,
        "seq": snapshot.seq,
        "arrays": [[name, _description(each), list(each.shape)] for name, each in arrays.items()],
    }
    text = json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()
    parts = [_MAGIC, len(text).to_bytes(4, "little"), text]
    size = sum(map(len, parts))
    for each in arrays.values():
        parts.append(bytes(-size % _ALIGNMENT))
        parts.append(each.tobytes())
        size += len(parts[-2]) + len(parts[-1])
    return b"".join(parts)


def _description(array: npt.NDArray[np.generic]) -> Any:
    assert not array.dtype.hasobject, "a state holds numbers and bytes, no objects"
    return np.lib.format.dtype_to_descr(array.dtype)


def from_bytes(data: bytes) -> Snapshot:
    """Read a snapshot back; SnapshotError if these bytes are none, or only part of one."""
    head = len(_MAGIC) + 4
    size = int.from_bytes(data[len(_MAGIC) : head], "little")
    if data[: len(_MAGIC)] != _MAGIC or not 2 <= size <= _MANIFEST_BYTES_MAX:
        raise SnapshotError(f"{data[:8]!r} seen, {_MAGIC!r} expected: these bytes are no snapshot")
    try:
        manifest = json.loads(data[head : head + size])
        arrays = _arrays(data, head + size, manifest["arrays"])
        state = State(int(manifest["version"]), arrays)
        return Snapshot(str(manifest["operator"]), int(manifest["seq"]), state)
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"a snapshot of {len(data)} bytes is damaged ({error}); delete it to fold the log anew"
        ) from error


def _arrays(data: bytes, at: int, described: list[Any]) -> Mapping[str, npt.NDArray[np.generic]]:
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, description, shape in described:
        dtype = np.lib.format.descr_to_dtype(_as_tuples(description))
        if dtype.hasobject:
            raise ValueError(f"array {name} of objects")
        at += -at % _ALIGNMENT
        count = int(np.prod(shape, dtype=np.int64))
        flat = np.frombuffer(data, dtype=dtype, count=count, offset=at)
        # Copied, because a step writes into its state and these bytes are somebody's.
        arrays[name] = flat.reshape(shape).copy()
        at += flat.nbytes
    return arrays


def _as_tuples(description: Any) -> Any:
    """Turn JSON's lists back into the tuples that describe a field."""
    if isinstance(description, str):
        return description
    return [
        (field[0], _as_tuples(field[1]), *(tuple(shape) for shape in field[2:]))
        for field in description
    ]


def restored(operator: Operator, snapshot: Snapshot) -> State:
    """Give a snapshot's state in the operator's version, migrated where the operator can.

    SnapshotError for another operator's, a newer one, or an older one that it cannot read.
    """
    if snapshot.operator != operator.name:
        raise SnapshotError(
            f"a snapshot of operator {snapshot.operator!r} seen, {operator.name!r} expected;"
            " give the stream another name, or delete the snapshot to fold the log anew"
        )
    state = snapshot.state
    while state.version < operator.version and isinstance(operator, Migrating):
        before = state.version
        try:
            state = operator.migrate(state)
        except ValueError as error:
            raise _refusal(operator, before, str(error)) from error
        assert state.version > before, f"{operator.name}: migration stopped at version {before}"
    if state.version != operator.version:
        newer = state.version > operator.version
        reason = "it was written by newer code" if newer else "the operator has no migration"
        raise _refusal(operator, state.version, reason)
    return state


def _refusal(operator: Operator, version: int, reason: str) -> SnapshotError:
    return SnapshotError(
        f"{operator.name}: state of version {version} seen, {operator.version} expected, and"
        f" {reason}; run the code that wrote it, or delete the snapshot to fold the log anew"
    )
