"""Size of the network, as data."""

from __future__ import annotations

import math
import numbers
from dataclasses import asdict, dataclass

from mmpl.errors import BundleError

LEVELS = 5
WIDEST = 65_536  # channels or units, far beyond what any machine holds


@dataclass(frozen=True)
class NetworkConfig:
    """Widths, depths and input spacing of the triple-stream network.

    Attributes
    ----------
    stream_channels : channels of the PET and of the CT stream, level 0 (finest) to 4
    fusion_channels : channels of the fusion stream, level 0 to 4
    decoder_channels : channels of the decoder stages, coarse to fine
    encoder_convs, decoder_convs : 3 x 3 x 3 convolutions per residual block
    hidden_units, dropout : of the HPV and RFS heads
    spacing_mm : isotropic voxel size the network works at
    """

    stream_channels: tuple[int, ...] = (8, 16, 32, 64, 128)
    fusion_channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    decoder_channels: tuple[int, ...] = (128, 64, 32, 16)
    encoder_convs: tuple[int, ...] = (2, 3, 3, 4, 4)
    decoder_convs: tuple[int, ...] = (4, 3, 3, 2)
    hidden_units: int = 128
    dropout: float = 0.5
    spacing_mm: float = 1.0

    def __post_init__(self):
        lengths = {
            "stream_channels": LEVELS,
            "fusion_channels": LEVELS,
            "encoder_convs": LEVELS,
            "decoder_channels": LEVELS - 1,
            "decoder_convs": LEVELS - 1,
        }
        for name, length in lengths.items():
            values = tuple(getattr(self, name))
            if len(values) != length or not all(map(_is_width, values)):
                raise BundleError(f"{name} = {values}, expected {length} whole numbers from 1 to {WIDEST}")
            object.__setattr__(self, name, tuple(map(int, values)))
        if not _is_width(self.hidden_units):
            raise BundleError(f"hidden_units = {self.hidden_units}, expected a whole number from 1 to {WIDEST}")
        if not 0 <= self.dropout < 1:
            raise BundleError(f"dropout = {self.dropout}, expected 0 to below 1")
        if not 0 < self.spacing_mm < math.inf:
            raise BundleError(f"spacing_mm = {self.spacing_mm}, expected a length above 0")

    @classmethod
    def full(cls) -> NetworkConfig:
        """The published width: 18,438,878 parameters with the segmentation head."""
        return cls()

    @classmethod
    def demo(cls) -> NetworkConfig:
        """Small enough to train on two cores and to ship; a 128 mm window is 32 voxels."""
        return cls(
            stream_channels=(4, 6, 10, 12, 16),
            fusion_channels=(8, 16, 20, 24, 28),
            decoder_channels=(24, 16, 12, 8),
            encoder_convs=(2, 2, 2, 1, 1),
            decoder_convs=(1, 2, 2, 2),
            hidden_units=32,
            spacing_mm=4.0,
        )

    def to_dict(self) -> dict:
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict) -> NetworkConfig:
        """Rebuild from :meth:`to_dict`; what does not fit is a :class:`BundleError`."""
        known = set(cls.__dataclass_fields__)
        if set(data) != known:
            raise BundleError(f"network config: keys {sorted(set(data) ^ known)} are unknown or missing")
        try:
            return cls(**data)
        except BundleError as error:
            raise BundleError(f"network config: {error}") from error


def _is_width(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and 1 <= value <= WIDEST
