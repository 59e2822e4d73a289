"""The filters of :mod:`mmpl.radiomics.laplacian` and :mod:`mmpl.radiomics.wavelet` on a GPU, through PyTorch.

The same arithmetic in the same order and precision: one operation a kernel, so that nothing is fused and nothing is
rounded otherwise. All widths of the Laplacian are filtered at once, and all lines of the volume step together. PyTorch
runs the same code on a CPU, where the tests hold it to the last bit, but far slower than numba.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache

import numpy as np

from mmpl.boxes import Box
from mmpl.radiomics.laplacian import recursion
from mmpl.radiomics.wavelet import COIF1, wrapped


def gpu_device() -> str | None:
    """Where filters can run besides the CPU: "cuda" where PyTorch is loaded and finds a GPU that works, else None."""
    torch = sys.modules.get("torch")  # not imported for this: the networks have loaded it, or there is no use for it
    return "cuda" if torch is not None and torch.cuda.is_available() and _works("cuda") else None


@cache
def _works(device: str) -> bool:
    """Whether a first operation succeeds: a card that is too old, full or locked is found, too."""
    import torch

    try:
        return float((torch.ones(2, dtype=torch.float64, device=device) * 2).sum()) == 4
    except RuntimeError:
        return False


def give_memory_back() -> None:
    """Free what PyTorch keeps for the next time: networks and volume rendering need it too."""
    import torch

    torch.cuda.empty_cache()


def laplacians_of_gaussian(
    image: np.ndarray, spacing_mm: Sequence[float], sigmas_mm: Sequence[float], box: Box, device: str
) -> list[np.ndarray]:
    """As :func:`mmpl.radiomics.laplacian.laplacian_of_gaussian`, for several widths at once.

    Returns
    -------
    list of float32 arrays of the box's shape, one a width
    """
    import torch

    # float32, shape (sigma, z, y, x); the widths share the voxels until the first pass
    source = torch.from_numpy(image).to(device).expand(len(sigmas_mm), *image.shape)
    total = None
    for axis in (2, 1, 0):  # x, y, z
        spacing = spacing_mm[2 - axis]
        part = _pass(source, axis, box[axis], _coefficients(sigmas_mm, spacing, device, second_derivative=True))
        for other in (a for a in (2, 1, 0) if a != axis):
            part = _pass(part, other, box[other], _coefficients(sigmas_mm, spacing_mm[2 - other], device))
        if spacing != 1.0:
            part = part.double() * (1.0 / (spacing * spacing))
        total = (part if total is None else total + part).float()
    return list(total.cpu().numpy())


def _coefficients(sigmas_mm: Sequence[float], spacing_mm: float, device: str, *, second_derivative: bool = False):
    """Twenty float64 tensors, shape (sigma, 1, 1), see ``recursion``."""
    import torch

    rows = [recursion(sigma, spacing_mm, second_derivative=second_derivative) for sigma in sigmas_mm]
    return torch.from_numpy(np.array(rows).T[:, :, None, None].copy()).to(device)


def _pass(volume, axis: int, keep: slice, c):
    """Filter every line along an axis of (sigma, z, y, x); keep a part of each."""
    lines = volume.movedim(axis + 1, 0).double().contiguous()
    causal = _causal(lines, c)[keep]
    return (causal + _anticausal(lines, c)[keep]).float().movedim(0, axis + 1).contiguous()


def _causal(x, c):
    import torch

    n0, n1, n2, n3 = c[0:4]
    d1, d2, d3, d4 = c[8:12]
    b1, b2, b3, b4 = c[12:16]
    e, x1, x2, x3 = x[0], x[1], x[2], x[3]  # e: the edge goes on outside
    y = torch.empty_like(x)
    y[0] = (e * n0 + e * n1 + e * n2 + e * n3) - (e * b1 + e * b2 + e * b3 + e * b4)
    y[1] = (x1 * n0 + e * n1 + e * n2 + e * n3) - (y[0] * d1 + e * b2 + e * b3 + e * b4)
    y[2] = (x2 * n0 + x1 * n1 + e * n2 + e * n3) - (y[1] * d1 + y[0] * d2 + e * b3 + e * b4)
    y[3] = (x3 * n0 + x2 * n1 + x1 * n2 + e * n3) - (y[2] * d1 + y[1] * d2 + y[0] * d3 + e * b4)
    y[4:] = x[4:] * n0 + x[3:-1] * n1 + x[2:-2] * n2 + x[1:-3] * n3
    for i in range(4, len(x)):
        y[i] -= y[i - 1] * d1 + y[i - 2] * d2 + y[i - 3] * d3 + y[i - 4] * d4
    return y


def _anticausal(x, c):
    import torch

    m1, m2, m3, m4 = c[4:8]
    d1, d2, d3, d4 = c[8:12]
    b1, b2, b3, b4 = c[16:20]
    n = len(x)
    e, x1, x2 = x[n - 1], x[n - 2], x[n - 3]
    y = torch.empty_like(x)
    y[n - 1] = (e * m1 + e * m2 + e * m3 + e * m4) - (e * b1 + e * b2 + e * b3 + e * b4)
    y[n - 2] = (e * m1 + e * m2 + e * m3 + e * m4) - (y[n - 1] * d1 + e * b2 + e * b3 + e * b4)
    y[n - 3] = (x1 * m1 + e * m2 + e * m3 + e * m4) - (y[n - 2] * d1 + y[n - 1] * d2 + e * b3 + e * b4)
    y[n - 4] = (x2 * m1 + x1 * m2 + e * m3 + e * m4) - (y[n - 3] * d1 + y[n - 2] * d2 + y[n - 1] * d3 + e * b4)
    y[:-4] = x[1:-3] * m1 + x[2:-2] * m2 + x[3:-1] * m3 + x[4:] * m4
    for i in range(n - 5, -1, -1):
        y[i] -= y[i + 1] * d1 + y[i + 2] * d2 + y[i + 3] * d3 + y[i + 4] * d4
    return y


def wavelet_bands(image: np.ndarray, box: Box, device: str) -> dict[str, np.ndarray]:
    """As :func:`mmpl.radiomics.wavelet.wavelet_bands`."""
    import torch

    around = [wrapped(s, n) for s, n in zip(box, image.shape, strict=True)]
    bands = {"": torch.from_numpy(image[np.ix_(*around)]).to(device)}
    for axis in (2, 1, 0):
        last = image.shape[axis] + image.shape[axis] % 2 - 1 - box[axis].start
        bands = {
            name + letter: _convolved(lines, axis, taps.tolist(), last)
            for name, lines in bands.items()
            for letter, taps in COIF1.items()
        }
    return {name: band.cpu().numpy() for name, band in bands.items()}


def _convolved(lines, axis: int, taps: Sequence[float], last: int):
    length = lines.shape[axis] - len(taps) + 1

    def summed(start: int, count: int, order: Sequence[int]):
        total = None
        for j in order:
            term = lines.narrow(axis, start + 5 - j, count) * taps[j]
            total = term if total is None else total + term
        return total

    out = summed(0, length, (0, 1, 2, 3, 4, 5))
    if 0 <= last < length:
        out.narrow(axis, last, 1).copy_(summed(last, 1, (2, 1, 0, 3, 4, 5)))
    return out
