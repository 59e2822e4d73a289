"""Random changes of a training patch: drawn once, then applied to image and label alike, in any thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from monai.transforms.utils import create_rotate, create_scale, create_shear, create_translate

from mmpl.training.config import AugmentationConfig
from mmpl.training.warp import Size, warped, warped_shares


@dataclass(frozen=True)
class Changes:
    """What happens to one patch.

    Shift, rotation, shear, scale and mirror are one map, so that voxels are interpolated once, or not at all where
    only the mirror is left.

    Attributes
    ----------
    affine : (4, 4) from voxels of the result, counted from its centre, to those of the crop; None: nothing moves
    mirrored : left and right swapped
    factors : of PET and CT
    offset : added to both, in network units
    noise : standard deviation, in network units
    draw : what the noise is drawn from
    """

    affine: np.ndarray | None
    mirrored: bool
    factors: tuple[float, float]
    offset: float
    noise: float
    draw: np.random.Generator

    @classmethod
    def drawn(cls, how: AugmentationConfig, spacing_mm: float, draw: np.random.Generator) -> Changes:
        """As MONAI's RandAffine, RandFlip, RandScaleIntensity (by channel), RandShiftIntensity and RandGaussianNoise
        would draw them one after the other."""
        affine = _affine(how, spacing_mm, draw) if draw.random() < how.probability else None
        mirrored = draw.random() < how.mirror
        factors, offset, noise = (1.0, 1.0), 0.0, 0.0
        if draw.random() < how.probability:
            factors = tuple(1 + draw.uniform(-how.intensity_scale, how.intensity_scale, 2))
        if draw.random() < how.probability:
            offset = draw.uniform(-how.intensity_shift, how.intensity_shift)
        if draw.random() < how.probability / 2:
            noise = draw.uniform(0, how.noise_std)
        return cls(affine, mirrored, factors, offset, noise, draw)

    def image(self, crop: np.ndarray, size: Size) -> np.ndarray:
        """The image, moved and recoloured.

        Parameters
        ----------
        crop : float32, shape (2, z, y, x), of ``size`` or wider by as much on either side
        size : (z, y, x) of the result
        """
        if self.affine is None:
            image = self._middle(crop, size).astype(np.float32)
        else:
            image = warped(crop, self._to_crop(crop.shape[1:], size), size)
        self._recolour(image)
        return image

    def label(self, crop: np.ndarray, size: Size) -> np.ndarray:
        """The same moves of a label: shares in 255ths (uint8) become shares in [0, 1] (float32)."""
        if self.affine is None:
            label = self._middle(crop, size).astype(np.float32)
            label /= 255
            return label
        return warped_shares(crop, self._to_crop(crop.shape[1:], size), size)

    def reach(self, size: Size) -> Size:
        """Voxels (z, y, x) beyond either side of a patch of ``size`` that are looked up: what a crop is wider by."""
        if self.affine is None:
            return (0, 0, 0)
        half = (np.array(size) - 1) / 2
        farthest = np.abs(self.affine[:3, :3]) @ half + np.abs(self.affine[:3, 3])  # of the patch's corners
        return tuple(int(n) for n in np.ceil(np.maximum(farthest - half, 0)))

    def _middle(self, crop: np.ndarray, size: Size) -> np.ndarray:
        starts = [(n - m) // 2 for n, m in zip(crop.shape[1:], size, strict=True)]
        middle = crop[(slice(None), *(slice(s, s + m) for s, m in zip(starts, size, strict=True)))]
        return middle[..., ::-1] if self.mirrored else middle

    def _to_crop(self, crop: Size, size: Size) -> np.ndarray:
        """(3, 4) from an index of the result to one of the crop; their centres are where the map is at home."""
        matrix = self.affine[:3].copy()
        if self.mirrored:
            matrix[:, 2] *= -1
        centre, own = (np.array(shape) / 2 - 0.5 for shape in (crop, size))
        matrix[:, 3] += centre - matrix[:, :3] @ own
        return matrix

    def _recolour(self, image: np.ndarray) -> None:
        for channel, factor in zip(image, self.factors, strict=True):
            if factor != 1:
                channel *= np.float32(factor)
        if self.offset:
            image += np.float32(self.offset)
        if self.noise:
            noise = self.draw.standard_normal(image.shape, dtype=np.float32)
            noise *= np.float32(self.noise)
            image += noise


def _affine(how: AugmentationConfig, spacing_mm: float, draw: np.random.Generator) -> np.ndarray:
    """Largest changes as the settings have them, axes in the order (z, y, x)."""
    angle, shift = np.deg2rad(how.rotation_deg), how.shift_mm / spacing_mm
    rotation = create_rotate(3, draw.uniform(-angle, angle, 3))
    shear = create_shear(3, draw.uniform(-how.shear, how.shear, 6))
    moved = create_translate(3, draw.uniform(-shift, shift, 3))
    return rotation @ shear @ moved @ create_scale(3, 1 + draw.uniform(-how.scale, how.scale, 3))
