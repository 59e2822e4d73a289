"""Size and bits in compressed frames, by streams written out byte by byte."""

from __future__ import annotations

import struct

import pytest

from mmpl.io.dicom.codestream import FrameSize, frame_size, rle_segments


def a_jpeg(marker: int, before: bytes = b"") -> bytes:
    """A frame of 300 rows, 200 columns and 12 bits in one component."""
    header = struct.pack(">BHHB", 12, 300, 200, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + before + bytes([0xFF, marker]) + struct.pack(">H", 2 + len(header)) + header + b"\xff\xda\0\0"


@pytest.mark.parametrize("marker", [0xC0, 0xC3, 0xF7])
def test_jpeg_and_jpeg_ls(marker):
    assert frame_size(a_jpeg(marker)) == FrameSize(300, 200, 12)
    tables = b"\xff\xc4\x00\x05abc" + b"\xff\xe0\x00\x04hi"
    assert frame_size(a_jpeg(marker, tables)) == FrameSize(300, 200, 12)


def test_jpeg_2000():
    # Rsiz, reach and offset of the image, tiles and their offset, one component of 16 signed bits
    size = struct.pack(">H8LH3B", 0, 210, 320, 10, 20, 210, 320, 0, 0, 1, 0x80 | 15, 1, 1)
    stream = b"\xff\x4f\xff\x51" + struct.pack(">H", 2 + len(size)) + size
    assert frame_size(stream) == FrameSize(300, 200, 16)
    assert frame_size(stream[:-10]) is None


@pytest.mark.parametrize(
    "head", [b"", b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xc4\x00", b"\0" * 80, b"\xff\xd8\xff\xda\x00\x02ab"]
)
def test_what_says_nothing_is_none(head):
    assert frame_size(head) is None


def rle(*segments: bytes, offsets=None) -> bytes:
    places = offsets or [64 + sum(map(len, segments[:k])) for k in range(len(segments))]
    return struct.pack("<16L", len(segments), *places, *[0] * (15 - len(segments))) + b"".join(segments)


def test_run_lengths():
    # two bytes as they are, 257 - 253 = 4 times "c"; a no-operation, then one byte as it is and three times "z"
    assert rle_segments(rle(b"\x01ab\xfdc", b"\x80\x00y\xfez")) == [b"abcccc", b"yzzz"]


@pytest.mark.parametrize(
    "frame",
    [b"", b"\0" * 63, b"\0" * 64, struct.pack("<16L", 16, *[64] * 15), rle(b"\x00a", b"\x00b", offsets=[66, 64])],
)
def test_damaged_run_lengths_are_none(frame):
    assert rle_segments(frame) is None
