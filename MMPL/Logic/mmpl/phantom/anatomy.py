"""A head, neck and upper chest built of stacked superellipses, painted as tissue codes on any grid.

Canonical millimetres: u to the patient's left, v to the back, w to the top of the head; w = 0 lies at the
hyoid, the vertex near 200, the lung apices near -95. A pose (scale, shift, head tilt) brings them to LPS.
Because the pose only shears with z, every shape is separable in u and v and paints in its bounding box.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

BOTTOM_MM, TOP_MM = -125.0, 212.0  # w covered by the scans
TABLE_POSITION_MM = (0.0, -180.0, -600.0)  # where the hyoid lies in LPS, on average


class Tissue(IntEnum):
    """Codes painted on the grid; ``tissue_values`` gives each its HU and SUV."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE = 4
    MARROW = 5
    BRAIN = 6
    WHITE_MATTER = 7
    FLUID = 8
    AIRWAY = 9
    LUNG = 10
    PAROTID = 11
    SUBMANDIBULAR = 12
    TONSIL = 13
    TONGUE_BASE = 14
    TONGUE = 15
    CORD = 16
    VESSEL = 17
    THYROID = 18
    LARYNX = 19
    CARTILAGE = 20
    EYE = 21
    TOOTH = 22
    METAL = 23
    COUCH = 24


NOT_TUMOUR = (Tissue.AIR, Tissue.SKIN, Tissue.BONE, Tissue.AIRWAY, Tissue.LUNG, Tissue.TOOTH, Tissue.METAL)


@dataclass(frozen=True)
class Pose:
    """From canonical (u, v, w) to LPS millimetres.

    Attributes
    ----------
    scale : (u, v, w) factors, about 1
    shift_mm : LPS position of the canonical origin
    tilt : (x, y) shear of the head above the hyoid, mm per mm of w
    lean : (x, y) shear of the trunk below it
    """

    scale: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    tilt: tuple[float, float]
    lean: tuple[float, float]

    def canonical_w(self, z_mm):
        return (z_mm - self.shift_mm[2]) / self.scale[2]

    def axis_centre_mm(self, w, axis: int):
        """LPS x (axis 0) or y (axis 1) of u = 0 or v = 0 at height w."""
        above, below = np.maximum(w, 0.0), np.minimum(w, 0.0)
        return self.shift_mm[axis] + self.tilt[axis] * above + self.lean[axis] * below

    def to_lps(self, uvw) -> np.ndarray:
        u, v, w = uvw
        return np.array(
            [
                self.axis_centre_mm(w, 0) + u * self.scale[0],
                self.axis_centre_mm(w, 1) + v * self.scale[1],
                self.shift_mm[2] + w * self.scale[2],
            ]
        )


@dataclass(frozen=True)
class Stack:
    """Superellipse slices: centre and half-axes as functions of w.

    Attributes
    ----------
    tissue : Tissue
    w, cu, cv, a, b : knots, same length, w rising; linear between, nothing outside
    v_range : only this range of v is painted
    round_ends : half-axes shrink like an ellipsoid's towards both ends of w
    """

    tissue: Tissue
    w: tuple[float, ...]
    cu: tuple[float, ...]
    cv: tuple[float, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    v_range: tuple[float, float] = (-1e3, 1e3)
    round_ends: bool = False

    def outline(self, w: np.ndarray):
        """Centre and half-axes at heights w."""
        cu, cv, a, b = (np.interp(w, self.w, knots) for knots in (self.cu, self.cv, self.a, self.b))
        if self.round_ends:
            middle, half = (self.w[0] + self.w[-1]) / 2, (self.w[-1] - self.w[0]) / 2
            shrink = np.sqrt(np.clip(1.0 - ((w - middle) / half) ** 2, 1e-6, None))
            a, b = a * shrink, b * shrink
        return cu, cv, a, b


class Canvas:
    """Tissue codes on an axis-aligned LPS grid.

    Parameters
    ----------
    x_mm, y_mm, z_mm : 1D arrays of voxel centres, rising
    pose : Pose
    """

    def __init__(self, x_mm, y_mm, z_mm, pose: Pose):
        self.w = pose.canonical_w(z_mm)
        self.u = ((x_mm[None, :] - pose.axis_centre_mm(self.w, 0)[:, None]) / pose.scale[0]).astype(np.float32)
        self.v = ((y_mm[None, :] - pose.axis_centre_mm(self.w, 1)[:, None]) / pose.scale[1]).astype(np.float32)
        self.codes = np.zeros((len(z_mm), len(y_mm), len(x_mm)), np.uint8)

    def paint(self, shape: Stack) -> None:
        """Write the shape's tissue code wherever a voxel centre lies inside it."""
        rows = np.flatnonzero((self.w >= shape.w[0]) & (self.w <= shape.w[-1]))
        if not len(rows):
            return
        z = slice(rows[0], rows[-1] + 1)
        cu, cv, a, b = (k[:, None].astype(np.float32) for k in shape.outline(self.w[z]))
        du, dv = ((self.u[z] - cu) / a) ** 2, ((self.v[z] - cv) / b) ** 2
        low, high = shape.v_range
        dv[(self.v[z] < low) | (self.v[z] > high)] = 2.0
        columns, lines = np.flatnonzero((du < 1).any(0)), np.flatnonzero((dv < 1).any(0))
        if not len(columns) or not len(lines):
            return
        x, y = slice(columns[0], columns[-1] + 1), slice(lines[0], lines[-1] + 1)
        inside = du[:, None, x] < (1.0 - dv[:, y, None])
        np.copyto(self.codes[z, y, x], np.uint8(shape.tissue), where=inside)


def ellipsoid(tissue, centre, radii, **options) -> Stack:
    """An ellipsoid; ``centre`` and ``radii`` are (u, v, w) in mm."""
    (cu, cv, cw), (a, b, c) = centre, radii
    ends = (cw - c, cw + c)
    return Stack(tissue, ends, (cu, cu), (cv, cv), (a, a), (b, b), round_ends=True, **options)


def tube(tissue, *knots, **options) -> Stack:
    """A tube through knots (w, cu, cv, a, b), given in any order of w."""
    columns = zip(*sorted(knots), strict=True)
    return Stack(tissue, *(tuple(float(v) for v in column) for column in columns), **options)


def both_sides(shape: Stack) -> tuple[Stack, Stack]:
    """The shape and its mirror image in the sagittal plane."""
    mirrored = Stack(
        shape.tissue,
        shape.w,
        tuple(-c for c in shape.cu),
        shape.cv,
        shape.a,
        shape.b,
        shape.v_range,
        shape.round_ends,
    )
    return shape, mirrored


@dataclass(frozen=True)
class Anatomy:
    """One patient's body: pose, shapes in painting order, and the values of each tissue.

    Attributes
    ----------
    pose : Pose
    shapes : painted first to last
    hu, suv : float32 arrays indexed by tissue code
    neck_half_width : canonical half-axis of the neck's skin at w = -30
    """

    pose: Pose
    shapes: tuple[Stack, ...]
    hu: np.ndarray = field(repr=False)
    suv: np.ndarray = field(repr=False)
    neck_half_width: float = 60.0

    def tissue_codes(self, x_mm, y_mm, z_mm) -> np.ndarray:
        """Tissue codes, shape (z, y, x), uint8, on the grid of these voxel centres."""
        canvas = Canvas(x_mm, y_mm, z_mm, self.pose)
        for shape in self.shapes:
            canvas.paint(shape)
        return canvas.codes


def draw_anatomy(rng: np.random.Generator, *, male: int, metal: bool, contrast_hu: float) -> Anatomy:
    """One patient's body.

    Parameters
    ----------
    rng : generator of the patient's anatomy stream
    male : 1 makes larger bodies on average
    metal : dental fillings
    contrast_hu : enhancement of the vessels by the centre's protocol
    """
    size = 1.0 + 0.035 * rng.standard_normal() + (0.015 if male else -0.035)
    scale = size * (1.0 + 0.025 * rng.standard_normal(3))
    scale[2] = np.clip(scale[2], 0.92, 1.05)
    pose = Pose(
        scale=tuple(np.clip(scale, 0.88, 1.10)),
        shift_mm=tuple(rng.normal(TABLE_POSITION_MM, (5.0, 5.0, 4.0))),
        tilt=(rng.normal(0.0, 0.03), rng.normal(0.0, 0.08)),
        lean=(rng.normal(0.0, 0.02), rng.normal(-0.05, 0.08)),
    )
    neck = float(np.clip(60.0 + 3.0 * rng.standard_normal() + (2.0 if male else -2.0), 54.0, 68.0))
    fat = float(np.clip(5.0 + 2.0 * rng.standard_normal(), 2.5, 10.0))
    shapes = (
        *_body(neck, fat),
        *_head(),
        *_face(),
        *_jaw(metal),
        *_neck(neck),
        *_chest(),
        *_spine(),
        *_airway(rng),
        *_glands(rng),
    )
    return Anatomy(pose, shapes, _hounsfield(rng, contrast_hu), _uptake(rng), neck)


def _body(neck: float, fat: float) -> list[Stack]:
    knots = np.array(
        [
            # w, cv, a, b of the skin
            (-200, 22, 205, 95),
            (-125, 20, 178, 84),
            (-100, 18, 150, 74),
            (-80, 15, neck + 32, 66),
            (-60, 13, neck + 5, 61),
            (-30, 11, neck, 58),
            (-8, 9, neck, 60),
            (8, -4, neck + 2, 73),
            (30, -9, 65, 81),
            (60, -7, 69, 88),
            (90, -4, 72, 93),
            (125, 0, 74, 94),
        ],
        dtype=float,
    )
    shapes = [ellipsoid(Tissue.COUCH, (0, 112, -10), (1e3, 7, 1e4), v_range=(106, 120))]
    for tissue, inset in ((Tissue.SKIN, 0.0), (Tissue.FAT, 2.2), (Tissue.MUSCLE, 2.2 + fat)):
        if tissue is Tissue.MUSCLE:
            shapes += _core_muscle(knots, inset)
            continue
        shapes.append(tube(tissue, *[(w, 0, cv, a - inset, b - inset) for w, cv, a, b in knots]))
        shapes.append(ellipsoid(tissue, (0, 4, 124), (77 - inset, 97 - inset, 80 - inset)))
        shapes.append(ellipsoid(tissue, (0, -98, 70), (15 - inset, 18 - inset, 20 - inset)))
        if tissue is Tissue.SKIN:
            shapes += both_sides(ellipsoid(tissue, (77, 12, 82), (7, 15, 26)))
    return shapes


def _core_muscle(knots: np.ndarray, inset: float) -> list[Stack]:
    """Solid muscle of the face and of the shoulders, tapering into the neck, whose fat planes stay free."""
    face = [(w, 0, cv, a - inset, b - inset) for w, cv, a, b in knots if w >= 30]
    floor = [(16, 0, -8, 50, 66), (4, 0, -10, 34, 50), (-8, 0, -10, 22, 30)]
    shoulders = [(w, 0, cv + 6, a - inset - 6, b - inset - 8) for w, cv, a, b in knots if w <= -100]
    root = [(-86, 0, 34, 70, 36), (-74, 0, 46, 52, 22)]
    return [tube(Tissue.MUSCLE, *face, *floor), tube(Tissue.MUSCLE, *shoulders, *root)]


def _head() -> list[Stack]:
    white = ellipsoid(Tissue.WHITE_MATTER, (26, 4, 138), (15, 50, 30))
    basal = ellipsoid(Tissue.BRAIN, (18, 0, 128), (7, 16, 12))
    ventricle = ellipsoid(Tissue.FLUID, (9, 6, 140), (4.5, 26, 12))
    return [
        ellipsoid(Tissue.BONE, (0, 5, 124), (70, 89, 73)),
        ellipsoid(Tissue.MARROW, (0, 5, 124), (67.5, 86.5, 70.5)),
        ellipsoid(Tissue.BONE, (0, 5, 124), (66, 85, 69)),
        ellipsoid(Tissue.MUSCLE, (0, 4, 58), (66, 78, 27)),
        tube(Tissue.BONE, (72, 0, 26, 56, 46), (86, 0, 5, 62, 78)),
        ellipsoid(Tissue.FLUID, (0, 5, 127), (64.5, 83.5, 64)),
        tube(Tissue.BONE, (60, 0, -5, 30, 20), (92, 0, -22, 56, 52)),
        ellipsoid(Tissue.BRAIN, (0, 5, 131), (62, 81, 58)),
        ellipsoid(Tissue.BRAIN, (0, 46, 84), (46, 31, 22)),
        *both_sides(white),
        *both_sides(basal),
        *both_sides(ventricle),
        tube(Tissue.CORD, (60, 0, 37, 6, 6), (95, 0, 22, 12, 13), (112, 0, 14, 10, 10)),
    ]


def _face() -> list[Stack]:
    pairs = [
        ellipsoid(Tissue.BONE, (26, -60, 74), (18, 21, 19)),
        ellipsoid(Tissue.AIRWAY, (26, -60, 74), (15, 18, 16)),
        ellipsoid(Tissue.BONE, (31, -62, 102), (21, 27, 20)),
        ellipsoid(Tissue.FAT, (31, -65, 102), (17.5, 26, 16.5)),
        ellipsoid(Tissue.MUSCLE, (31, -50, 102), (3, 16, 3)),
        ellipsoid(Tissue.EYE, (31, -76, 102), (12.5, 12.5, 12.5)),
        ellipsoid(Tissue.BONE, (57, -50, 86), (5, 22, 5)),
        ellipsoid(Tissue.FAT, (44, -48, 52), (9, 18, 18)),
        ellipsoid(Tissue.AIRWAY, (62, 30, 76), (5, 8, 9)),
    ]
    paired = [shape for pair in pairs for shape in both_sides(pair)]
    return [
        *paired,
        tube(Tissue.BONE, (60, 0, -55, 17, 36), (112, 0, -58, 17, 30)),
        ellipsoid(Tissue.AIRWAY, (0, -60, 80), (14, 36, 24)),
        ellipsoid(Tissue.AIRWAY, (0, -74, 122), (15, 7, 9)),
        tube(Tissue.CARTILAGE, (60, 0, -62, 1.6, 34), (100, 0, -62, 1.6, 30)),
        *both_sides(ellipsoid(Tissue.MUSCLE, (8, -58, 70), (4, 24, 7))),
        tube(Tissue.BONE, (46, 0, -42, 29, 46), (60, 0, -45, 30, 44), v_range=(-200, -38)),
        tube(Tissue.MUSCLE, (44, 0, -42, 21, 37), (57, 0, -45, 21, 35)),
        ellipsoid(Tissue.BONE, (0, -50, 57), (24, 32, 2.5)),
    ]


def _jaw(metal: bool) -> list[Stack]:
    horseshoe = tube(Tissue.BONE, (-3, 0, -28, 40, 49), (14, 0, -26, 46, 56), (34, 0, -24, 47, 56), v_range=(-200, -18))
    marrow = tube(Tissue.MARROW, (2, 0, -27, 37, 45), (30, 0, -24, 44, 52), v_range=(-200, -20))
    inner_plate = tube(Tissue.BONE, (2, 0, -27, 33, 40), (30, 0, -24, 39, 47), v_range=(-200, -18))
    floor = tube(Tissue.MUSCLE, (-4, 0, -27, 31, 38), (14, 0, -25, 36, 44), (36, 0, -23, 37, 45), v_range=(-200, -10))
    ramus = tube(Tissue.BONE, (8, 43, -22, 4, 12), (40, 46, -14, 4, 15), (74, 49, -4, 4.5, 8))
    masseter = ellipsoid(Tissue.MUSCLE, (54, -22, 40), (6.5, 17, 30))
    shapes = [
        horseshoe,
        marrow,
        inner_plate,
        floor,
        *both_sides(ramus),
        *both_sides(masseter),
        ellipsoid(Tissue.FAT, (0, -46, 8), (6, 18, 6)),
        ellipsoid(Tissue.AIRWAY, (0, -48, 48), (17, 28, 6)),
        ellipsoid(Tissue.TONGUE, (0, -42, 28), (24, 33, 23)),
    ]
    arches = ((28, 36, 0, -26, 43, 51, 36, 44), (38, 46, 0, -42, 28, 44, 21, 37))
    for low, high, cu, cv, a, b, a_in, b_in in arches:
        for k in range(-3, 4):
            angle = np.deg2rad(k * 21.0)
            u, v = cu + (a + a_in) / 2 * np.sin(angle), cv - (b + b_in) / 2 * np.cos(angle)
            tissue = Tissue.METAL if metal and abs(k) == 3 and low == 28 else Tissue.TOOTH
            shapes.append(ellipsoid(tissue, (u, v, (low + high) / 2), (4.0, 4.0, (high - low) / 2 + 2)))
    return shapes


def _neck(neck: float) -> list[Stack]:
    pairs = [
        # fat about the vessels
        tube(Tissue.FAT, (48, 33, 6, 6, 8), (30, 36, 6, 12, 12), (0, 38, 4, 14, 13), (-10, 36, 2, 10, 10)),
        # sternocleidomastoid, from the mastoid to the manubrium
        tube(
            Tissue.MUSCLE,
            (62, 58, 28, 6, 12),
            (20, neck - 11, 18, 7, 15),
            (-20, neck - 16, 2, 7.5, 15),
            (-60, 30, -19, 8, 11),
            (-98, 16, -36, 6, 6),
        ),
        # trapezius and levator
        tube(Tissue.MUSCLE, (20, 34, 46, 12, 14), (-40, 43, 42, 11, 18), (-90, 70, 40, 40, 24)),
        # scalenes
        tube(Tissue.MUSCLE, (10, 24, 20, 7, 8), (-40, 30, 18, 9, 10), (-95, 42, 16, 12, 12)),
        # prevertebral muscles
        tube(Tissue.MUSCLE, (55, 9, 8, 8, 4), (-90, 10, 6, 8, 4)),
        # parapharyngeal fat
        ellipsoid(Tissue.FAT, (27, -10, 46), (5, 11, 20)),
        # carotid artery and jugular vein
        tube(
            Tissue.VESSEL,
            (62, 26, 4, 3, 3),
            (10, 27, 4, 3.5, 3.5),
            (-70, 22, -2, 3.8, 3.8),
            (-125, 14, -6, 6, 6),
        ),
        tube(
            Tissue.VESSEL,
            (62, 33, 10, 4, 4),
            (10, 34, 8, 5, 5.5),
            (-80, 30, -4, 6.5, 6),
            (-125, 24, -14, 8, 8),
        ),
    ]
    paired = [shape for pair in pairs for shape in both_sides(pair)]
    larynx = [
        ellipsoid(Tissue.BONE, (0, -16, 5), (22, 22, 4), v_range=(-200, -14)),
        ellipsoid(Tissue.MUSCLE, (0, -14, 5), (18, 20, 5)),
        tube(
            Tissue.MUSCLE,
            (16, 0, -14, 20, 16),
            (0, 0, -18, 20, 19),
            (-50, 0, -18, 17, 17),
            (-60, 0, -12, 12, 14),
        ),
        tube(Tissue.CARTILAGE, (-3, 0, -17, 20, 21), (-26, 0, -17, 17, 20), v_range=(-200, -12)),
        tube(Tissue.LARYNX, (0, 0, -15, 18, 18.5), (-28, 0, -15, 14, 17)),
        tube(Tissue.CARTILAGE, (-30, 0, -17, 13, 14), (-42, 0, -16, 13, 14)),
        ellipsoid(Tissue.MUSCLE, (0, 2, -62), (9, 5, 50)),
    ]
    return [
        tube(
            Tissue.MUSCLE,
            (62, 0, 44, 42, 26),
            (0, 0, 46, 40, 21),
            (-60, 0, 48, 42, 23),
            (-125, 0, 58, 60, 34),
        ),
        tube(Tissue.FAT, (40, 0, 64, 1.5, 14), (-60, 0, 66, 1.5, 16)),
        tube(Tissue.MUSCLE, (14, 0, -34, 24, 34), (0, 0, -30, 22, 26)),
        *paired,
        *larynx,
    ]


def _chest() -> list[Stack]:
    shapes: list[Stack] = []
    for k in range(3):
        rib = ellipsoid(Tissue.BONE, (54, 14, -168), (47, 62, 80), v_range=(-200, 200))
        low = -98.0 - 16 * k
        a, b = _ellipsoid_section(rib, low)
        shapes += both_sides(tube(Tissue.BONE, (low, 54, 14, a, b), (low + 6, 54, 14, a * 0.97, b * 0.97)))
    lung = ellipsoid(Tissue.LUNG, (54, 14, -168), (40, 54, 73))
    muscle = ellipsoid(Tissue.MUSCLE, (54, 14, -168), (43, 57, 76))
    fat = ellipsoid(Tissue.FAT, (105, 0, -118), (34, 22, 22))
    clavicle = tube(
        Tissue.BONE, (-112, 20, -42, 12, 6), (-104, 62, -36, 34, 5), (-94, 118, -22, 26, 6), round_ends=False
    )
    return [
        *both_sides(fat),
        *shapes,
        *both_sides(muscle),
        *both_sides(lung),
        *both_sides(clavicle),
        ellipsoid(Tissue.BONE, (0, -42, -130), (22, 7, 24)),
        ellipsoid(Tissue.MARROW, (0, -42, -130), (19, 4.5, 21)),
    ]


def _ellipsoid_section(shape: Stack, w: float) -> tuple[float, float]:
    _, _, a, b = shape.outline(np.array([w]))
    return float(a[0]), float(b[0])


def _spine() -> list[Stack]:
    """C1 to T3: body, disc gap, arch, spinous process; then the canal through all of them."""
    shapes: list[Stack] = []
    for k in range(10):
        low = 52.0 - 17.5 * k
        middle = low + 6.5
        cv = 20.0 + 3.0 * np.cos((middle + 10.0) / 60.0) - 0.0004 * min(middle + 60.0, 0.0) ** 2
        wide = 13.0 + 0.35 * k
        shapes += [
            tube(Tissue.BONE, (low + 3, 0, cv + 17, 17, 13), (low + 10, 0, cv + 17, 17, 13)),
            *both_sides(ellipsoid(Tissue.BONE, (20, cv + 8, middle), (8, 6, 5))),
            ellipsoid(Tissue.BONE, (0, cv + 35, middle - 2), (3, 12, 5)),
            tube(Tissue.BONE, (low, 0, cv, wide, 10), (low + 13.5, 0, cv, wide, 10)),
            tube(Tissue.MARROW, (low + 2, 0, cv, wide - 2, 8), (low + 11.5, 0, cv, wide - 2, 8)),
        ]
    canal = ((66, 0, 38, 11, 8.5), (20, 0, 39, 11, 8), (-60, 0, 37, 11, 8), (-125, 0, 37, 10, 8))
    cord = ((66, 0, 38, 6.5, 5.5), (20, 0, 39, 6.5, 4.5), (-60, 0, 37, 6.5, 4.5), (-125, 0, 37, 6, 4.5))
    return [*shapes, tube(Tissue.FLUID, *canal), tube(Tissue.CORD, *cord)]


def _airway(rng: np.random.Generator) -> list[Stack]:
    wide = float(np.clip(1.0 + 0.12 * rng.standard_normal(), 0.75, 1.3))
    lumen = [
        (84, 0, -22, 10, 10),
        (64, 0, -16, 12 * wide, 9),
        (48, 0, -7, 12 * wide, 5),
        (30, 0, -5, 13 * wide, 6),
        (12, 0, -6, 13 * wide, 8),
        (-4, 0, -8, 11 * wide, 7),
        (-20, 0, -14, 6, 9),
        (-27, 0, -15, 2.2, 9),
        (-34, 0, -15, 7, 9),
        (-60, 0, -12, 8.5, 8.5),
        (-100, 0, -4, 9, 8.5),
        (-125, 0, 2, 9, 8.5),
    ]
    return [
        tube(Tissue.MUSCLE, *[(w, cu, cv, a + 3.0, b + 3.0) for w, cu, cv, a, b in lumen if w <= 48]),
        tube(Tissue.AIRWAY, *lumen),
        ellipsoid(Tissue.MUSCLE, (0, -17, 46), (13, 10, 4)),
        ellipsoid(Tissue.CARTILAGE, (0, -13, 4), (9, 1.5, 11)),
    ]


def _glands(rng: np.random.Generator) -> list[Stack]:
    tonsil = float(np.clip(1.0 + 0.15 * rng.standard_normal(), 0.7, 1.4))
    gland = float(np.clip(1.0 + 0.10 * rng.standard_normal(), 0.8, 1.25))
    pairs = [
        ellipsoid(Tissue.PAROTID, (55, 4, 46), (8.5 * gland, 17 * gland, 23)),
        ellipsoid(Tissue.SUBMANDIBULAR, (34, -27, 6), (8 * gland, 13 * gland, 13)),
        ellipsoid(Tissue.TONSIL, (18 * tonsil, -8, 34), (5.5 * tonsil, 8 * tonsil, 12)),
        ellipsoid(Tissue.THYROID, (16, -10, -56), (7, 9, 20)),
    ]
    paired = [shape for pair in pairs for shape in both_sides(pair)]
    return [*paired, ellipsoid(Tissue.TONGUE_BASE, (0, -17, 22), (16, 4.5, 12))]


def _hounsfield(rng: np.random.Generator, contrast_hu: float) -> np.ndarray:
    """HU by tissue code; the soft tissues vary by a few HU between patients."""
    hu = {
        Tissue.AIR: -1000,
        Tissue.SKIN: 10,
        Tissue.FAT: -100,
        Tissue.MUSCLE: 60,
        Tissue.BONE: 900,
        Tissue.MARROW: 280,
        Tissue.BRAIN: 37,
        Tissue.WHITE_MATTER: 29,
        Tissue.FLUID: 12,
        Tissue.AIRWAY: -1000,
        Tissue.LUNG: -780,
        Tissue.PAROTID: -5,
        Tissue.SUBMANDIBULAR: 52,
        Tissue.TONSIL: 66,
        Tissue.TONGUE_BASE: 62,
        Tissue.TONGUE: 48,
        Tissue.CORD: 35,
        Tissue.VESSEL: 45 + contrast_hu,
        Tissue.THYROID: 95 + 0.5 * contrast_hu,
        Tissue.LARYNX: 50,
        Tissue.CARTILAGE: 140,
        Tissue.EYE: 12,
        Tissue.TOOTH: 1700,
        Tissue.METAL: 3000,
        Tissue.COUCH: -850,
    }
    values = np.array([hu[t] for t in Tissue], np.float32)
    soft = np.abs(values) < 200
    values[soft] += rng.normal(0.0, 2.0, soft.sum())
    values[Tissue.BONE] *= rng.uniform(0.85, 1.15)
    return values


def _uptake(rng: np.random.Generator) -> np.ndarray:
    """SUV by tissue code, with the patient's own level of each physiological uptake."""
    level = rng.uniform
    suv = {
        Tissue.AIR: 0.0,
        Tissue.SKIN: 0.6,
        Tissue.FAT: 0.35,
        Tissue.MUSCLE: level(0.7, 1.0),
        Tissue.BONE: 0.8,
        Tissue.MARROW: level(1.1, 1.9),
        Tissue.BRAIN: level(8.0, 12.0),
        Tissue.WHITE_MATTER: level(3.5, 4.5),
        Tissue.FLUID: 0.8,
        Tissue.AIRWAY: 0.15,
        Tissue.LUNG: 0.4,
        Tissue.PAROTID: level(1.8, 3.2),
        Tissue.SUBMANDIBULAR: level(2.0, 3.6),
        Tissue.TONSIL: level(2.6, 4.8),
        Tissue.TONGUE_BASE: level(2.4, 4.2),
        Tissue.TONGUE: level(1.0, 1.7),
        Tissue.CORD: level(1.7, 2.3),
        Tissue.VESSEL: level(1.2, 1.7),
        Tissue.THYROID: level(1.2, 2.0),
        Tissue.LARYNX: level(1.4, 2.4),
        Tissue.CARTILAGE: 0.6,
        Tissue.EYE: 0.7,
        Tissue.TOOTH: 0.3,
        Tissue.METAL: 0.3,
        Tissue.COUCH: 0.0,
    }
    return np.array([suv[t] for t in Tissue], np.float32)
