"""Resampling of training patches: one affine map, trilinear, compiled for one thread that lets others run.

PyTorch's grid sampling takes several times as long, since it stores three coordinates of every voxel and works voxel by
voxel. Here a row's coordinates are worked out once and serve all channels, which the compiler does eight at a time.
"""

from __future__ import annotations

import numpy as np

from mmpl.boxes import bounding_box
from mmpl.radiomics.compiling import compiled

Size = tuple[int, int, int]
_f32 = np.float32


def warped(source: np.ndarray, to_source: np.ndarray, size: Size) -> np.ndarray:
    """``source`` looked up at ``to_source``; beyond it, at its border.

    Parameters
    ----------
    source : float32, shape (channels, z, y, x), at least 2 voxels a side
    to_source : (3, 4); takes an index (z, y, x, 1) of the result to a continuous one of ``source``
    size : (z, y, x) of the result

    Returns
    -------
    float32, shape (channels, *size)
    """
    out = np.empty((source.shape[0], *size), np.float32)
    flat = np.ascontiguousarray(source).reshape(source.shape[0], -1)
    _look_up(flat, np.array(source.shape[1:]), np.ascontiguousarray(to_source, dtype=np.float64), out)
    return out


def warped_shares(source: np.ndarray, to_source: np.ndarray, size: Size) -> np.ndarray:
    """:func:`warped` of shares in 255ths, as shares in [0, 1]; quick where most of them are 0.

    Parameters
    ----------
    source : uint8, shape (channels, z, y, x)
    """
    out = np.zeros((source.shape[0], *size), np.float32)
    found = bounding_box(source, margin=(0, 1, 1, 1))
    if found is None:
        return out
    channels, box = found[0], found[1:]
    part = _felt(box, source.shape[1:], to_source, size)
    start = to_source @ np.array([*(s.start for s in part), 1.0])
    moved = np.column_stack([to_source[:, :3], start - [s.start for s in box]])
    shares = source[(channels, *box)].astype(np.float32)
    shares /= 255
    looked_up = warped(shares, moved, tuple(s.stop - s.start for s in part))
    out[(channels, *part)] = looked_up.clip(0, 1, out=looked_up)  # rounding may take them beyond
    return out


def _felt(box: tuple[slice, ...], shape: Size, to_source: np.ndarray, size: Size) -> tuple[slice, ...]:
    """The box of the result that holds all that is looked up within a box of the source, of ``shape``.

    Where the box ends at the source's border, all that lies beyond is looked up there, too.
    """
    reach = 2 * max(*shape, *size)  # farther than any map of ours goes
    low = [s.start - reach * (s.start == 0) for s in box]
    high = [s.stop - 1 + reach * (s.stop == n) for s, n in zip(box, shape, strict=True)]
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij")).reshape(3, -1)
    of_result = np.linalg.solve(to_source[:, :3], corners - to_source[:, 3:])
    first = np.floor(of_result.min(axis=1)).astype(int)
    end = np.ceil(of_result.max(axis=1)).astype(int) + 1
    return tuple(slice(min(max(a, 0), n), min(max(b, 0), n)) for a, b, n in zip(first, end, size, strict=True))


@compiled
def _look_up(source, shape, to_source, out):  # pragma: no cover - compiled
    """``source`` is flat by channel, of ``shape`` (z, y, x); ``out`` is filled."""
    channels, depth, height, width = out.shape
    last_z, last_y, last_x = shape[0] - 1, shape[1] - 1, shape[2] - 1
    row, plane, one = np.uint32(shape[2]), np.uint32(shape[1] * shape[2]), np.uint32(1)
    step_z, step_y, step_x = _f32(to_source[0, 2]), _f32(to_source[1, 2]), _f32(to_source[2, 2])
    first = np.empty(width, np.uint32)
    part_z, part_y, part_x = np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(depth):
        for j in range(height):
            z0 = _f32(to_source[0, 0] * i + to_source[0, 1] * j + to_source[0, 3])
            y0 = _f32(to_source[1, 0] * i + to_source[1, 1] * j + to_source[1, 3])
            x0 = _f32(to_source[2, 0] * i + to_source[2, 1] * j + to_source[2, 3])
            for k in range(width):
                z = min(max(z0 + step_z * _f32(k), _f32(0)), _f32(last_z))
                y = min(max(y0 + step_y * _f32(k), _f32(0)), _f32(last_y))
                x = min(max(x0 + step_x * _f32(k), _f32(0)), _f32(last_x))
                iz = min(np.int32(z), np.int32(last_z - 1))
                iy = min(np.int32(y), np.int32(last_y - 1))
                ix = min(np.int32(x), np.int32(last_x - 1))
                part_z[k], part_y[k], part_x[k] = z - _f32(iz), y - _f32(iy), x - _f32(ix)
                first[k] = np.uint32(iz) * plane + np.uint32(iy) * row + np.uint32(ix)
            for c in range(channels):
                values, line = source[c], out[c, i, j]
                for k in range(width):
                    a, fx, fy = first[k], part_x[k], part_y[k]
                    b = a + row
                    above, below = a + plane, b + plane
                    a0 = values[a] + (values[a + one] - values[a]) * fx
                    a1 = values[b] + (values[b + one] - values[b]) * fx
                    b0 = values[above] + (values[above + one] - values[above]) * fx
                    b1 = values[below] + (values[below + one] - values[below]) * fx
                    near, far = a0 + (a1 - a0) * fy, b0 + (b1 - b0) * fy
                    line[k] = near + (far - near) * part_z[k]
