"""Which radiomics features a bundle uses, and what their columns are called.

Names are pyradiomics 3.0.1's (van Griethuysen et al., Cancer Res 2017;77:e104-e107), which follow the
IBSI definitions (Zwanenburg et al., Radiology 2020;295:328-338) but for the documented exceptions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from mmpl.errors import InputError

CT, PT = "CT", "PT"
MODALITIES = (CT, PT)
CLASSES = ("GTVp", "GTVn")
SHAPE = "shape"

ORIGINAL = "original"
WAVELETS = ("coif1", None)
WAVELET_BANDS = ("LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH", "LLL")

FEATURES_OF_FAMILY: dict[str, tuple[str, ...]] = {
    SHAPE: (
        "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn Maximum2DDiameterRow "
        "Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength Sphericity SurfaceArea "
        "SurfaceVolumeRatio VoxelVolume"
    ),
    "firstorder": (
        "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum MeanAbsoluteDeviation "
        "Mean Median Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness TotalEnergy "
        "Uniformity Variance"
    ),
    "glcm": (
        "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation "
        "DifferenceAverage DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance "
        "JointAverage JointEnergy JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares"
    ),
    "glrlm": (
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelRunEmphasis "
        "LongRunEmphasis LongRunHighGrayLevelEmphasis LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis "
        "RunEntropy RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance "
        "ShortRunEmphasis ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis"
    ),
    "glszm": (
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance HighGrayLevelZoneEmphasis "
        "LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis LargeAreaLowGrayLevelEmphasis "
        "LowGrayLevelZoneEmphasis SizeZoneNonUniformity SizeZoneNonUniformityNormalized SmallAreaEmphasis "
        "SmallAreaHighGrayLevelEmphasis SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage "
        "ZoneVariance"
    ),
    "gldm": (
        "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
        "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
        "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
        "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis"
    ),
    "ngtdm": "Busyness Coarseness Complexity Contrast Strength",
}
FEATURES_OF_FAMILY = {family: tuple(names.split()) for family, names in FEATURES_OF_FAMILY.items()}
FAMILIES = tuple(FEATURES_OF_FAMILY)


@dataclass(frozen=True)
class FeatureSet:
    """What to compute, validated once.

    Attributes
    ----------
    modalities : subset of ("CT", "PT")
    classes : subset of ("GTVp", "GTVn")
    families : subset of ``FAMILIES``; shape is computed once a class, the others on every image
    log_sigmas_mm : widths of the Laplacian-of-Gaussian filters, mm; may be empty
    wavelet : "coif1" (stationary, one level, eight bands) or None
    ct_bin_width, ct_bin_width_filtered : HU, on the original and on filtered images
    pt_bin_width, pt_bin_width_filtered : SUV; widths exact in binary, since float32 remainders of
        others differ between numpy 1 and 2
    max_bins : an image that needs more gray levels inside the mask gives NaN

    Raises
    ------
    InputError
        If a name is unknown or repeated, or a number is not positive.
    """

    modalities: tuple[str, ...] = MODALITIES
    classes: tuple[str, ...] = CLASSES
    families: tuple[str, ...] = (SHAPE, "firstorder", "glcm", "glrlm", "glszm")
    log_sigmas_mm: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    wavelet: str | None = "coif1"
    ct_bin_width: float = 25.0
    ct_bin_width_filtered: float = 10.0
    pt_bin_width: float = 0.25
    pt_bin_width_filtered: float = 0.125
    max_bins: int = 4096

    def __post_init__(self):
        for name, allowed in (("modalities", MODALITIES), ("classes", CLASSES), ("families", FAMILIES)):
            object.__setattr__(self, name, _checked_names(name, getattr(self, name), allowed))
        sigmas = tuple(float(s) for s in self.log_sigmas_mm)
        if len(set(sigmas)) != len(sigmas) or any(not 0 < s < float("inf") for s in sigmas):
            raise InputError(f"log_sigmas_mm {sigmas}: give different positive widths in mm")
        object.__setattr__(self, "log_sigmas_mm", sigmas)
        for name in ("ct_bin_width", "ct_bin_width_filtered", "pt_bin_width", "pt_bin_width_filtered"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"{name} {getattr(self, name)}: a bin width must be positive")
        if self.wavelet not in WAVELETS:
            raise InputError(f"wavelet {self.wavelet!r}: give one of {list(WAVELETS)}")
        if not isinstance(self.max_bins, int) or self.max_bins < 2:
            raise InputError(f"max_bins {self.max_bins!r}: give a whole number of at least 2")

    @classmethod
    def full(cls) -> FeatureSet:
        """The method's set: original, five LoG and eight wavelet images of each modality."""
        return cls()

    @classmethod
    def demo(cls) -> FeatureSet:
        """A small set for the bundled example: original and LoG of 3 mm."""
        return cls(log_sigmas_mm=(3.0,), wavelet=None)

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> FeatureSet:
        """The inverse of ``to_dict``; every field must be there and no other."""
        fields = {f.name for f in dataclasses.fields(cls)}
        if set(values) != fields:
            wrong = sorted(fields.symmetric_difference(values))
            raise InputError(f"feature set: missing or unknown fields {wrong}; expected {sorted(fields)}")
        return cls(**values)

    def to_dict(self) -> dict[str, object]:
        """JSON-ready fields."""
        raw = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in raw.items()}

    def images(self) -> tuple[str, ...]:
        """Image names in column order: original, LoG by width, wavelet bands."""
        return (ORIGINAL, *map(log_image_name, self.log_sigmas_mm), *self.wavelet_images())

    def wavelet_images(self) -> tuple[str, ...]:
        return tuple(f"wavelet-{band}" for band in WAVELET_BANDS) if self.wavelet else ()

    def bin_width(self, modality: str, image: str) -> float:
        """Gray-level width for one image, HU or SUV."""
        widths = {
            CT: (self.ct_bin_width, self.ct_bin_width_filtered),
            PT: (self.pt_bin_width, self.pt_bin_width_filtered),
        }[modality]
        return widths[0] if image == ORIGINAL else widths[1]

    def intensity_families(self) -> tuple[str, ...]:
        return tuple(f for f in self.families if f != SHAPE)

    def shape_names(self, class_name: str) -> list[str]:
        """Shape columns of one class; empty when the set has no shape."""
        if SHAPE not in self.families:
            return []
        return [f"{class_name}_{ORIGINAL}_{SHAPE}_{name}" for name in FEATURES_OF_FAMILY[SHAPE]]

    def image_names(self, class_name: str, modality: str, image: str) -> list[str]:
        """Columns of one class on one image."""
        return [
            feature_name(class_name, modality, image, family, feature)
            for family in self.intensity_families()
            for feature in FEATURES_OF_FAMILY[family]
        ]

    def class_feature_names(self, class_name: str) -> list[str]:
        """Feature columns of one class, in order, without the missing flag."""
        columns = self.shape_names(class_name)
        for modality in self.modalities:
            for image in self.images():
                columns += self.image_names(class_name, modality, image)
        return columns

    def names(self) -> list[str]:
        """All columns in order: the features class by class, then one missing flag a class."""
        features = [name for c in self.classes for name in self.class_feature_names(c)]
        return features + [missing_flag(c) for c in self.classes]


def feature_name(class_name: str, modality: str, image: str, family: str, feature: str) -> str:
    return f"{class_name}_{modality}_{image}_{family}_{feature}"


def missing_flag(class_name: str) -> str:
    """Column that is 1.0 when the class has no voxel, else 0.0."""
    return f"missing_{class_name}"


def log_image_name(sigma_mm: float) -> str:
    """pyradiomics' name, for example ``log-sigma-3-0-mm-3D``."""
    return f"log-sigma-{str(float(sigma_mm)).replace('.', '-')}-mm-3D"


def _checked_names(field: str, values, allowed: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(values)
    unknown = [v for v in names if v not in allowed]
    if unknown or not names or len(set(names)) != len(names):
        raise InputError(f"{field} {list(names)}: give some of {list(allowed)}, each once")
    return names
