"""How a series lies on disk, whatever its values say."""

from __future__ import annotations

from dataclasses import dataclass

from mmpl.errors import InputError

TRANSFER_SYNTAXES = {
    "explicit": "1.2.840.10008.1.2.1",
    "implicit": "1.2.840.10008.1.2",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}
COMPRESSED = ("RLE", "JPEG-LS", "JPEG 2000")
MAX_TILT_DEG = 30.0


@dataclass(frozen=True)
class Storage:
    """How a series lies on disk.

    Attributes
    ----------
    transfer_syntax : a key of ``TRANSFER_SYNTAXES``; the compressed ones lose nothing
    shuffled : file names and instance numbers in random order against position
    multiframe : one Enhanced PET object instead of one file a slice; PET only
    tilt_deg : tilt of the CT's gantry about the patient's x axis, degrees; CT only
    extra_object : an object of the same modality that is no image lies in the folder too

    Raises
    ------
    InputError
        If the transfer syntax is unknown or the tilt is beyond 30 degrees.
    """

    transfer_syntax: str = "explicit"
    shuffled: bool = False
    multiframe: bool = False
    tilt_deg: float = 0.0
    extra_object: bool = False

    def __post_init__(self):
        if self.transfer_syntax not in TRANSFER_SYNTAXES:
            raise InputError(f"transfer syntax {self.transfer_syntax!r}: there are {', '.join(TRANSFER_SYNTAXES)}")
        if not -MAX_TILT_DEG <= self.tilt_deg <= MAX_TILT_DEG:
            raise InputError(f"gantry tilt of {self.tilt_deg} degrees: CT gantries tilt up to {MAX_TILT_DEG:g}")

    @property
    def uid(self) -> str:
        """UID of the transfer syntax."""
        return TRANSFER_SYNTAXES[self.transfer_syntax]
