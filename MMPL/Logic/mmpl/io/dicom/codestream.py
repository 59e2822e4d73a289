"""What compressed pixels say of themselves: their size and bits, without decoding them.

References
----------
ITU-T T.81 B.2.2 (frame header of JPEG), T.87 C.2.2 (JPEG-LS), T.800 A.5.1 (SIZ of JPEG 2000); DICOM PS3.5 G (RLE).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise

HEAD = 4096  # of a frame; tables and comments before the frame header are shorter
JPEG_FRAMES = (*(n for n in range(0xC0, 0xD0) if n not in (0xC4, 0xC8, 0xCC)), 0xF7)
JPEG_2000_SIZE = 0x51


@dataclass(frozen=True)
class FrameSize:
    """Rows, columns and bits of a compressed frame."""

    rows: int
    columns: int
    bits: int


def frame_size(head: bytes) -> FrameSize | None:
    """Of a JPEG, JPEG-LS or JPEG 2000 frame by its first bytes; None of anything else."""
    at = 2
    while head[:1] == b"\xff" and at + 4 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], struct.unpack(">H", head[at + 2 : at + 4])[0]
        content = head[at + 4 : at + 2 + length]
        if marker == JPEG_2000_SIZE and len(content) >= 37:
            right, below, left, above = struct.unpack(">4L", content[2:18])
            return FrameSize(below - above, right - left, (content[36] & 0x7F) + 1)
        if marker in JPEG_FRAMES and len(content) >= 5:
            bits, rows, columns = struct.unpack(">BHH", content[:5])
            return FrameSize(rows, columns, bits)
        at += 2 + length
    return None


def rle_segments(frame: bytes) -> list[bytes] | None:
    """The bytes of each segment of an RLE frame, the highest byte of every pixel first; None where it is damaged."""
    if len(frame) < 64:
        return None
    count, *offsets = struct.unpack("<16L", frame[:64])
    if not 1 <= count <= 15 or any(after <= before for before, after in pairwise(offsets[:count])):
        return None
    ends = [*offsets[1:count], len(frame)]
    return [_unpacked(frame[begin:end]) for begin, end in zip(offsets[:count], ends, strict=True)]


def _unpacked(segment: bytes) -> bytes:
    found, at = bytearray(), 0
    while at + 1 < len(segment):
        head = segment[at]
        if head < 128:
            found += segment[at + 1 : at + 2 + head]
            at += 2 + head
        elif head > 128:
            found += segment[at + 1 : at + 2] * (257 - head)
            at += 2
        else:
            at += 1
    return bytes(found)
