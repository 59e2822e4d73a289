"""Lesions as functions of position: shape, cold core and texture, the same on every grid.

A lesion is an ellipsoid whose radius undulates with direction, ``q(d) = |A d| / (1 + waves(d / |d|)) <
threshold`` at offset d from its centre: star-shaped, hence in one piece. The threshold is chosen so that the
volume is the one asked for, before the airway, bone and skin cut it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmpl.case import GTVN, GTVP
from mmpl.phantom.anatomy import Anatomy
from mmpl.phantom.factors import TumourFactors

MODES = 8
LATTICE = 28  # points per axis of the lattice on which volumes are set
RADIUS_LIMITS = (0.5, 1.6)  # of the undulating radius
CORE_SUV_FRACTION = 0.22
CORE_HU = 22.0
MUSCLE_HU = 60.0

# Canonical (u, v, w) and spread of each primary site; u is mirrored at random.
SITE_CENTRES = {
    "tonsil": ((18.0, -8.0, 33.0), (2.0, 2.0, 6.0)),
    "tongue_base": ((7.0, -22.0, 20.0), (4.0, 3.0, 4.0)),
    "hypopharynx": ((14.0, -4.0, -8.0), (2.0, 2.0, 5.0)),
    "larynx": ((7.0, -17.0, -22.0), (3.0, 2.0, 4.0)),
}
# Lateral neck levels with their share.
NODE_CENTRES = (
    ((38.0, 4.0, 22.0), 0.50),  # II
    ((36.0, -1.0, -14.0), 0.28),  # III
    ((35.0, 4.0, -52.0), 0.16),  # IV
    ((46.0, 20.0, -10.0), 0.06),  # V
)
NODE_SPREAD = (3.0, 4.0, 7.0)
IPSILATERAL_RATE = 0.75


@dataclass(frozen=True)
class Waves:
    """A smooth random function: a sum of plane cosines with zero mean and about unit variance."""

    k: np.ndarray  # (modes, 3) radians per unit of length, x y z
    phase: np.ndarray  # (modes,)

    def __call__(self, dx, dy, dz) -> np.ndarray:
        """Value at offsets given as 1D arrays; shape (z, y, x)."""
        total = np.zeros((len(dz), len(dy), len(dx)), np.float32)
        for (kx, ky, kz), phase in zip(self.k, self.phase, strict=True):
            # cos(a + b) on separable exponentials: one product per voxel and mode
            plane = np.exp(1j * (ky * dy[:, None] + kx * dx[None, :] + phase)).astype(np.complex64)
            column = np.exp(1j * kz * dz).astype(np.complex64)
            total += column.real[:, None, None] * plane.real - column.imag[:, None, None] * plane.imag
        return total * np.float32(np.sqrt(2.0 / len(self.phase)))

    def at(self, points: np.ndarray) -> np.ndarray:
        """Value at points of shape (..., 3)."""
        angles = points @ self.k.T.astype(np.float32) + self.phase.astype(np.float32)
        return np.cos(angles).sum(axis=-1) * np.float32(np.sqrt(2.0 / len(self.phase)))


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes
    ----------
    label : GTVP or GTVN
    centre_mm : LPS
    volume_ml : before cutting
    axes : 3 x 3, offset in mm to units of the ellipsoid's radius
    edge, edge_amplitude : undulation of the radius, ``edge`` read on the unit sphere
    threshold, core_threshold : q below the first is lesion, below the second is cold core
    texture, uptake_sd, attenuation_sd : inside pattern; sd of log SUV, sd of HU
    suv, hu : median values of the viable part
    """

    label: int
    centre_mm: np.ndarray
    volume_ml: float
    axes: np.ndarray
    edge: Waves
    edge_amplitude: float
    threshold: float
    core_threshold: float
    texture: Waves
    uptake_sd: float
    attenuation_sd: float
    suv: float
    hu: float

    @property
    def reach_mm(self) -> float:
        """Half-width of a box that surely holds the lesion."""
        longest = 1.0 / float(np.linalg.svd(self.axes, compute_uv=False)[-1])
        return self.threshold * RADIUS_LIMITS[1] * longest + 1.0

    def field(self, dx, dy, dz) -> np.ndarray:
        """q at offsets from the centre given as 1D arrays, shape (z, y, x)."""
        offsets = np.stack(np.broadcast_arrays(dx[None, None, :], dy[None, :, None], dz[:, None, None]), axis=-1)
        offsets = offsets.astype(np.float32)
        q = np.linalg.norm(offsets @ self.axes.T.astype(np.float32), axis=-1)
        length = np.maximum(np.linalg.norm(offsets, axis=-1, keepdims=True), 1e-3)
        radius = 1.0 + self.edge_amplitude * self.edge.at(offsets / length)
        return q / np.clip(radius, *RADIUS_LIMITS)


def draw_lesions(rng: np.random.Generator, tumour: TumourFactors, anatomy: Anatomy) -> tuple[Lesion, ...]:
    """The patient's lesions: the primary first, then the nodes, kept apart from one another."""
    side = 1.0 if rng.random() < 0.5 else -1.0
    lesions: list[Lesion] = []
    if tumour.primary_ml > 0:
        centre = _primary_centre(rng, tumour, anatomy, side)
        lesions.append(
            _make_lesion(rng, GTVP, centre, tumour.primary_ml, tumour, tumour.primary_necrosis, tumour.primary_suv)
        )
    for volume_ml, suv in zip(tumour.node_ml, tumour.node_suv, strict=True):
        centre = _node_centre(rng, volume_ml, anatomy, side, lesions)
        lesions.append(_make_lesion(rng, GTVN, centre, volume_ml, tumour, tumour.node_necrosis, suv))
    return tuple(lesions)


def _radius_mm(volume_ml: float) -> float:
    return float(np.cbrt(750.0 * volume_ml / np.pi))


def _primary_centre(rng, tumour: TumourFactors, anatomy: Anatomy, side: float) -> np.ndarray:
    """On the airway's wall; large tumours grow away from the lumen."""
    (u, v, w), spread = SITE_CENTRES[tumour.site]
    u, v, w = np.array((u, v, w)) + np.array(spread) * rng.standard_normal(3)
    u += 0.35 * max(_radius_mm(tumour.primary_ml) - 9.0, 0.0)
    return anatomy.pose.to_lps((side * u, v, w))


def _node_centre(rng, volume_ml: float, anatomy: Anatomy, side: float, others: list[Lesion]) -> np.ndarray:
    """In a neck level, inside the skin, apart from the other lesions; the best of some tries."""
    radius = _radius_mm(volume_ml)
    shares = np.array([share for _, share in NODE_CENTRES])
    best, best_gap = np.zeros(3), -np.inf
    for attempt in range(40):
        level, _ = NODE_CENTRES[rng.choice(len(shares), p=shares / shares.sum())]
        u, v, w = np.array(level) + np.array(NODE_SPREAD) * (1.0 + attempt / 20) * rng.standard_normal(3)
        u = np.clip(u, 24.0 + 0.4 * radius, max(anatomy.neck_half_width - 5.0 - 1.05 * radius, 24.0 + 0.4 * radius))
        w = np.clip(w, -75.0 + radius, 34.0)
        here = side if rng.random() < IPSILATERAL_RATE else -side
        centre = anatomy.pose.to_lps((here * u, v, w))
        gaps = [np.linalg.norm(centre - o.centre_mm) - 1.15 * (radius + _radius_mm(o.volume_ml)) for o in others]
        gap = min(gaps, default=1.0)
        if gap > best_gap:
            best, best_gap = centre, gap
        if best_gap > 0:
            break
    return best


def _make_lesion(rng, label, centre, volume_ml, tumour, core_fraction, suv) -> Lesion:
    radius = _radius_mm(volume_ml)
    stretch = np.exp(rng.normal(0.0, 0.10 if label == GTVN else 0.14, 3) + np.array([0.0, 0.0, 0.10]))
    stretch /= np.cbrt(np.prod(stretch))
    rotation = _rotation(rng)
    axes = (rotation / (radius * stretch)[:, None]).astype(np.float64)
    amplitude = tumour.irregularity if label == GTVP else 0.5 * tumour.irregularity
    edge = _draw_waves(rng, (0.8, 2.5))  # on the unit sphere
    texture = _draw_waves(rng, (11.0, 28.0))
    shape = (axes, edge, amplitude)
    threshold, core = _thresholds(shape, volume_ml, radius, core_fraction)
    return Lesion(
        label=label,
        centre_mm=centre,
        volume_ml=volume_ml,
        axes=axes,
        edge=edge,
        edge_amplitude=amplitude,
        threshold=threshold,
        core_threshold=core,
        texture=texture,
        uptake_sd=tumour.heterogeneity,
        attenuation_sd=1.0 + 20.0 * tumour.heterogeneity,
        suv=suv,
        hu=MUSCLE_HU + tumour.enhancement_hu,
    )


def _thresholds(shape, volume_ml: float, radius: float, core_fraction: float) -> tuple[float, float]:
    """q levels that enclose the volume and its core, from a lattice around the centre."""
    axes, edge, amplitude = shape
    line = np.linspace(-2.1 * radius, 2.1 * radius, LATTICE)
    cell_ml = (line[1] - line[0]) ** 3 / 1000.0
    draft = Lesion(0, np.zeros(3), volume_ml, axes, edge, amplitude, 1.0, 0.0, edge, 0.0, 0.0, 0.0, 0.0)
    q = np.sort(draft.field(line, line, line), axis=None)
    count = volume_ml / cell_ml
    ranks = np.arange(1, len(q) + 1) - 0.5
    threshold = float(np.interp(count, ranks, q))
    core = float(np.interp(count * core_fraction, ranks, q)) if core_fraction > 0.02 else 0.0
    return threshold, core


def _draw_waves(rng: np.random.Generator, wavelengths: tuple[float, float]) -> Waves:
    direction = rng.standard_normal((MODES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = rng.uniform(*wavelengths, MODES)
    return Waves(2 * np.pi / length[:, None] * direction, rng.uniform(0, 2 * np.pi, MODES))


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """A random rotation by up to about 20 degrees about each axis."""
    a, b, c = np.deg2rad(rng.uniform(-20, 20, 3))
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return rx @ ry @ rz


@dataclass(frozen=True)
class PaintedLesion:
    """A lesion on one grid.

    Attributes
    ----------
    box : slices (z, y, x) of its bounding box
    mask : bool, True in the lesion
    suv, hu : float32, values inside the box (meaningful where ``mask``)
    """

    box: tuple[slice, slice, slice]
    mask: np.ndarray
    suv: np.ndarray
    hu: np.ndarray


def paint_lesion(lesion: Lesion, x_mm, y_mm, z_mm, allowed: np.ndarray) -> PaintedLesion | None:
    """Evaluate a lesion on the grid of these voxel centres, cut to ``allowed``; None if nothing is inside."""
    reach = lesion.reach_mm
    box, offsets = [], []
    for line, centre in zip((z_mm, y_mm, x_mm), lesion.centre_mm[::-1], strict=True):
        start, stop = np.searchsorted(line, (centre - reach, centre + reach))
        if start == stop:
            return None
        box.append(slice(int(start), int(stop)))
        offsets.append(line[start:stop] - centre)
    dz, dy, dx = offsets
    q = lesion.field(dx, dy, dz)
    mask = (q < lesion.threshold) & allowed[tuple(box)]
    pattern = lesion.texture(dx, dy, dz)
    suv = lesion.suv * np.exp(lesion.uptake_sd * pattern)
    hu = lesion.hu + lesion.attenuation_sd * pattern
    core = q < lesion.core_threshold
    suv[core] = max(CORE_SUV_FRACTION * lesion.suv, 0.8)
    hu[core] = CORE_HU
    return PaintedLesion(tuple(box), mask, suv.astype(np.float32), hu.astype(np.float32))
