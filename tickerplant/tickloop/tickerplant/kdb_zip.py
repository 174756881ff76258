"""Compressed kdb+ files (kxzipped): blocks, and a trailer that says how each was packed.

The container was measured on real files with algorithms 0 and 1. Blocks of algorithms 2 to 5
follow KX's documentation and are unproven against q.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from tickloop.core.errors import StoreError, WireError
from tickloop.tickerplant.lz4_block import decode
from tickloop.tickerplant.mapped_file import Bytes
from tickloop.tickerplant.q_compress import compress_message, decompress_message

MAGIC = b"kxzipped"
ENCRYPTED_MAGIC = b"kxzippEd"
STORED, Q_IPC, ZLIB, SNAPPY, LZ4, ZSTD = range(6)
ALGORITHMS = ("stored", "q", "gzip", "snappy", "lz4hc", "zstd")
_VENDOR_CODECS = {SNAPPY: "snappy", ZSTD: "zstd"}
_TRAILER = struct.Struct("<iiqqq")
_MESSAGE_HEADER = 8
_BLOCK_BYTES = (1 << 12, 1 << 20)


@dataclass(frozen=True, slots=True)
class Packed:
    """A container: what its trailer says, and its bytes (mapped)."""

    name: str
    raw: Bytes
    algorithm: int
    plain_bytes: int
    block_bytes: int
    entries: tuple[tuple[int, int], ...]  # (packed bytes, algorithm) a block

    def head(self, length: int) -> bytes:
        """Unpack as many blocks as hold the first `length` bytes."""
        wanted = -(-min(length, self.plain_bytes) // self.block_bytes)
        return b"".join(bytes(block) for block in self._blocks(wanted))[:length]

    def unpack(self) -> Bytes:
        """Unpack the whole file; memory is touched only as blocks prove good."""
        try:
            plain = np.empty(self.plain_bytes, dtype=np.uint8)
        except (MemoryError, ValueError) as error:
            raise StoreError(
                f"{self.name}: {self.plain_bytes} bytes unpacked are more than memory has"
            ) from error
        at = 0
        for block in self._blocks(len(self.entries)):
            plain[at : at + len(block)] = block
            at += len(block)
        plain.flags.writeable = False
        return plain

    def _blocks(self, count: int) -> Iterator[Bytes]:
        starts = accumulate((length for length, _ in self.entries), initial=len(MAGIC))
        for number, (start, (length, algorithm)) in enumerate(
            zip(starts, self.entries[:count], strict=False)
        ):
            expected = min(self.block_bytes, self.plain_bytes - number * self.block_bytes)
            block = _unpack_block(self.raw[start : start + length], algorithm, expected)
            if block is None or len(block) != expected:
                raise StoreError(
                    f"{self.name}: block {number} ({_called(algorithm)}, {length} bytes at byte"
                    f" {start}) does not unpack to {expected} bytes; restore the file"
                )
            yield block


def open_packed(raw: Bytes, name: str) -> Packed:
    """Read a container's trailer; StoreError if it does not describe these bytes."""
    size = len(raw)
    smallest = len(MAGIC) + _TRAILER.size + 8
    blocks = struct.unpack_from("<q", raw.data, size - 8)[0] if size >= smallest else -1
    table = size - 8 - 8 * blocks
    if not 0 <= blocks <= (size - smallest) // 8:
        raise StoreError(f"{name}: no compression trailer in its {size} bytes; it was cut")
    version, algorithm, plain, end, block = _TRAILER.unpack_from(raw.data, table - _TRAILER.size)
    pairs = raw[table : size - 8].view("<i4").reshape(-1, 2).tolist() if blocks else []
    sound = (
        0 <= algorithm < len(ALGORITHMS)
        and _BLOCK_BYTES[0] <= block <= _BLOCK_BYTES[1]
        and block & (block - 1) == 0
        and blocks == -(-plain // block)
        and all(length > 0 for length, _ in pairs)
        and end == table - _TRAILER.size
        and sum(length for length, _ in pairs) == end - len(MAGIC)
    )
    if version != 2 or not sound:
        raise StoreError(
            f"{name}: compression trailer says version {version}, {_called(algorithm)}, {plain}"
            f" bytes in {blocks} blocks of {block} ending at byte {end}; that does not fit its"
            f" {size} bytes"
        )
    return Packed(name, raw, algorithm, plain, block, tuple((one, two) for one, two in pairs))


def refuse_encrypted(name: str) -> StoreError:
    """Say why an encrypted file is not read."""
    return StoreError(
        f"{name}: kxzippEd, encrypted at rest; the key stays with kdb+, so write the column again"
        " there without encryption"
    )


def _called(algorithm: int) -> str:
    known = 0 <= algorithm < len(ALGORITHMS)
    return ALGORITHMS[algorithm] if known else f"algorithm {algorithm}"


def _unpack_block(block: Bytes, algorithm: int, expected: int) -> Bytes | None:
    if algorithm == STORED:
        return block
    if algorithm == Q_IPC:
        return _from_message(block, expected)
    if algorithm == ZLIB:
        return _from_zlib(block, expected)
    if algorithm == LZ4:
        return decode(block, expected)
    if algorithm == SNAPPY and _varint(block) != expected:
        return None
    return _from_vendor(block, algorithm, expected)


def _from_message(block: Bytes, expected: int) -> Bytes | None:
    """Unpack a block that is a whole compressed IPC message, whose header counts 8 bytes."""
    try:
        plain = decompress_message(block.data, limit=expected + _MESSAGE_HEADER)
    except WireError:
        return None
    return np.frombuffer(plain, dtype=np.uint8)[_MESSAGE_HEADER:]


def _from_zlib(block: Bytes, expected: int) -> Bytes | None:
    try:
        plain = zlib.decompressobj().decompress(block.data, expected + 1)
    except zlib.error:
        return None
    return np.frombuffer(plain, dtype=np.uint8)


def _varint(block: Bytes) -> int:
    """Read the length that a snappy block begins with; its codec would not tell of another."""
    length = 0
    for place, part in enumerate(block[:5].tobytes()):
        length |= (part & 127) << 7 * place
        if part < 128:
            return length
    return -1


def _from_vendor(block: Bytes, algorithm: int, expected: int) -> Bytes | None:
    codec = _VENDOR_CODECS.get(algorithm)
    if codec is None:
        return None
    import pyarrow as pa

    if not pa.Codec.is_available(codec):
        raise StoreError(f"this machine's pyarrow has no {codec} codec, which the file needs")
    try:
        plain = pa.Codec(codec).decompress(pa.py_buffer(block), decompressed_size=expected)
    except (OSError, ValueError):
        return None
    return np.frombuffer(plain, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Packing:
    """How a file is to be compressed: block size as a power of two, algorithm, level."""

    block_bits: int
    algorithm: int
    level: int


def pack(plain: bytes, packing: Packing) -> bytes:
    """Compress a file's bytes into a container; blocks that do not shrink are stored.

    StoreError if the block size or the algorithm is not one that can be written.
    """
    block = 1 << packing.block_bits if 0 <= packing.block_bits < 63 else 0
    if not _BLOCK_BYTES[0] <= block <= _BLOCK_BYTES[1]:
        raise StoreError(f"logical block size {packing.block_bits} seen, 12 to 20 allowed")
    if packing.algorithm not in (Q_IPC, ZLIB, SNAPPY, ZSTD):
        raise StoreError(
            f"{_called(packing.algorithm)} is not written here; 1 (q), 2 (gzip), 3 (snappy) and"
            " 5 (zstd) are"
        )
    parts = [MAGIC]
    entries: list[int] = []
    for start in range(0, len(plain), block):
        part = plain[start : start + block]
        packed = _pack_block(part, packing)
        shrinks = packed is not None and len(packed) < len(part)
        parts.append(packed if shrinks and packed is not None else part)
        entries += [len(parts[-1]), packing.algorithm if shrinks else STORED]
    end = sum(len(part) for part in parts)
    blocks = len(entries) // 2
    parts.append(_TRAILER.pack(2, packing.algorithm, len(plain), end, block))
    parts.append(struct.pack(f"<{len(entries)}iq", *entries, blocks))
    return b"".join(parts)


def _pack_block(part: bytes, packing: Packing) -> bytes | None:
    if packing.algorithm == Q_IPC:
        head = b"\1\0\0\0" + struct.pack("<i", len(part) + _MESSAGE_HEADER)
        return compress_message(head + part)
    if packing.algorithm == ZLIB:
        return zlib.compress(part, min(max(packing.level, 0), 9))
    import pyarrow as pa

    codec = _VENDOR_CODECS[packing.algorithm]
    if not pa.Codec.is_available(codec):
        raise StoreError(f"this machine's pyarrow has no {codec} codec, which was asked for")
    coder = pa.Codec(codec, compression_level=packing.level) if codec == "zstd" else pa.Codec(codec)
    return bytes(coder.compress(part, asbytes=True))
