"""A PET as one Enhanced PET Image object (PS3.3 A.56, C.8.22).

What differs from a PET Image and a reader must know: the dose is in MBq, not Bq; there is no Units attribute, the Real
World Value Mapping of each frame has the unit's code; there is no Decay Correction START or ADMIN, but Decay Corrected
YES or NO and the date-time of the correction; each frame has its own acquisition date-time and duration.
"""

from __future__ import annotations

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedPETImageStorage

from mmpl.errors import InputError
from mmpl.geometry import Geometry
from mmpl.phantom.dicom.activity import STORED_MAX, Frame, decimal_text
from mmpl.phantom.dicom.headers import (
    Series,
    add_pixels,
    code_item,
    date_text,
    datetime_text,
    new_dataset,
    orientation_text,
    position_text,
    time_text,
)
from mmpl.phantom.dicom.person import make_uid
from mmpl.phantom.dicom.radiopharmaceutical import enhanced_agent_item
from mmpl.phantom.dicom.variant import PetVariant

ENHANCED_PET = EnhancedPETImageStorage

# UCUM codes of CID 84 and 85, by units and SUV type.
UNIT_CODES = {
    ("BQML", None): ("Bq/ml", "Becquerels/milliliter"),
    ("GML", None): ("g/ml{SUVbw}", "Standardized Uptake Value body weight"),
    ("GML", "BW"): ("g/ml{SUVbw}", "Standardized Uptake Value body weight"),
    ("GML", "LBM"): ("g/ml{SUVlbm}", "Standardized Uptake Value lean body mass (James)"),
    ("GML", "LBMJAMES128"): (
        "g/ml{SUVlbm(James128)}",
        "Standardized Uptake Value lean body mass (James 128 multiplier)",
    ),
    ("GML", "LBMJANMA"): ("g/ml{SUVlbm(Janma)}", "Standardized Uptake Value lean body mass (Janma)"),
    ("GML", "IBW"): ("g/ml{SUVibw}", "Standardized Uptake Value ideal body weight"),
    ("CM2ML", None): ("cm2/ml{SUVbsa}", "Standardized Uptake Value body surface area"),
    ("CM2ML", "BSA"): ("cm2/ml{SUVbsa}", "Standardized Uptake Value body surface area"),
}
CORRECTION_FLAGS = {
    "AttenuationCorrected": "ATTN",
    "ScatterCorrected": "SCAT",
    "DeadTimeCorrected": "DTIM",
    "GantryMotionCorrected": "MOTN",
    "PatientMotionCorrected": "PMOT",
    "CountLossNormalizationCorrected": "CLN",
    "RandomsCorrected": "RAN",
    "NonUniformRadialSamplingCorrected": "RADL",
    "SensitivityCalibrated": "DCAL",
    "DetectorNormalizationCorrection": "NORM",
}


def enhanced_dataset(
    series: Series,
    geometry: Geometry,
    variant: PetVariant,
    frames: tuple[Frame, ...],
    stored: np.ndarray,
    slopes: tuple[str, ...],
) -> Dataset:
    """The multi-frame object of a PET.

    Parameters
    ----------
    frames, slopes : one a slice
    stored : int16, shape (z, y, x)

    Raises
    ------
    InputError
        If the variant says something that Enhanced PET has no place for: counts, an injection without a date, a
        missing attribute.
    """
    _check(variant)
    ds = new_dataset(series, series.instance_uid("enhanced"))
    _add_image_attributes(ds, series, variant, frames)
    _add_corrections(ds, variant)
    ds.RadiopharmaceuticalInformationSequence = [enhanced_agent_item(variant)]
    ds.SharedFunctionalGroupsSequence = [_shared_groups(geometry)]
    ds.PerFrameFunctionalGroupsSequence = [
        _frame_groups(geometry, variant, k, frame, slope)
        for k, (frame, slope) in enumerate(zip(frames, slopes, strict=True))
    ]
    ds.NumberOfFrames = len(frames)
    _add_dimension(ds, series)
    add_pixels(ds, stored)
    return ds


def _check(variant: PetVariant) -> None:
    if (variant.units, variant.suv_type) not in UNIT_CODES:
        units = " ".join(filter(None, (variant.units, variant.suv_type)))
        raise InputError(f"Enhanced PET in {units}: DICOM has no code for that; write one file a slice")
    if variant.injection == "time" or variant.omitted or variant.dose_in_mbq:
        raise InputError(
            "Enhanced PET without injection date, without an attribute or with a faulty dose: the standard has no "
            "such object; write one file a slice"
        )


def _add_image_attributes(ds: Dataset, series: Series, variant: PetVariant, frames) -> None:
    """Enhanced PET Acquisition and Enhanced PET Image modules."""
    ds.InstanceNumber = 1
    ds.ContentDate, ds.ContentTime = date_text(series.began), time_text(series.began)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.PixelPresentation = "MONOCHROME"
    ds.VolumetricProperties = "VOLUME"
    ds.VolumeBasedCalculationTechnique = "NONE"
    ds.ContentQualification = "RESEARCH"
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PresentationLUTShape = "IDENTITY"
    ds.AcquisitionDateTime = datetime_text(frames[0].start)
    ds.AcquisitionDuration = (variant.scan_end - variant.bed_starts[0]).total_seconds()
    ds.AcquisitionContextSequence = []
    ds.AcquisitionStartCondition = "MANU"
    ds.AcquisitionTerminationCondition = "TIME"
    ds.TerminationTimeThreshold = variant.frame_s[0]
    ds.TableMotion = "STATIC"
    ds.TimeOfFlightInformationUsed = "FALSE"
    ds.CollimatorType = "NONE"
    ds.DetectorGeometry = "CYLINDRICAL_RING"
    ds.TransverseDetectorSeparation = 800.0
    ds.AxialDetectorDimension = 200.0
    ds.TypeOfDetectorMotion = "STATIONARY"
    ds.CoincidenceWindowWidth = 4.0
    ds.SliceProgressionDirection = "CAUDAL_CRANIAL"
    window = Dataset()
    window.EnergyWindowLowerLimit, window.EnergyWindowUpperLimit = "435", "650"
    ds.EnergyWindowRangeSequence = [window]
    view = code_item("62824007", "SCT", "transverse")
    view.ViewModifierCodeSequence = []
    ds.ViewCodeSequence = [view]


def _add_corrections(ds: Dataset, variant: PetVariant) -> None:
    """Enhanced PET Corrections module."""
    ds.CountsSource = "EMISSION"
    for keyword, term in CORRECTION_FLAGS.items():
        setattr(ds, keyword, "YES" if term in variant.corrections else "NO")
    corrected = variant.decay_correction != "NONE"
    ds.DecayCorrected = "YES" if corrected else "NO"
    if corrected:
        to = variant.scan_start if variant.decay_correction == "START" else variant.injected_at
        ds.DecayCorrectionDateTime = datetime_text(to)
    if ds.AttenuationCorrected == "YES":
        ds.AttenuationCorrectionSource = "CT"
        ds.AttenuationCorrectionTemporalRelationship = "SEPARATE"
    if ds.RandomsCorrected == "YES":
        ds.RandomsCorrectionMethod = "DLYD"
    if ds.ScatterCorrected == "YES":
        ds.ScatterCorrectionMethod = "MODEL"


def _shared_groups(geometry: Geometry) -> Dataset:
    groups = Dataset()
    measures = Dataset()
    measures.PixelSpacing = [decimal_text(s) for s in geometry.spacing_mm[1::-1]]
    measures.SliceThickness = decimal_text(geometry.spacing_mm[2])
    measures.SpacingBetweenSlices = decimal_text(geometry.spacing_mm[2])
    groups.PixelMeasuresSequence = [measures]
    orientation = Dataset()
    orientation.ImageOrientationPatient = orientation_text(geometry)
    groups.PlaneOrientationSequence = [orientation]
    groups.FrameAnatomySequence = [_anatomy()]
    groups.PETFrameTypeSequence = [_frame_type()]
    usage = Dataset()
    usage.RadiopharmaceuticalAgentNumber = 1
    groups.RadiopharmaceuticalUsageSequence = [usage]
    groups.PETFrameAcquisitionSequence = [_frame_acquisition()]
    groups.PETReconstructionSequence = [_reconstruction(geometry)]
    return groups


def _anatomy() -> Dataset:
    anatomy = Dataset()
    anatomy.AnatomicRegionSequence = [code_item("774007", "SCT", "Head and Neck")]
    anatomy.FrameLaterality = "U"
    return anatomy


def _frame_type() -> Dataset:
    kind = Dataset()
    kind.FrameType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    kind.PixelPresentation = "MONOCHROME"
    kind.VolumetricProperties = "VOLUME"
    kind.VolumeBasedCalculationTechnique = "NONE"
    return kind


def _frame_acquisition() -> Dataset:
    acquisition = Dataset()
    acquisition.TableHeight = "150"
    acquisition.GantryDetectorTilt = "0"
    acquisition.GantryDetectorSlew = "0"
    acquisition.DataCollectionDiameter = "700"
    return acquisition


def _reconstruction(geometry: Geometry) -> Dataset:
    reconstruction = Dataset()
    reconstruction.ReconstructionType = "3D"
    reconstruction.ReconstructionAlgorithm = "FILTER_BACK_PROJ"
    reconstruction.IterativeReconstructionMethod = "NO"
    reconstruction.ReconstructionFieldOfView = [n * s for n, s in zip(geometry.size, geometry.spacing_mm, strict=True)][
        :2
    ]
    return reconstruction


def _frame_groups(geometry: Geometry, variant: PetVariant, k: int, frame: Frame, slope: str) -> Dataset:
    groups = Dataset()
    groups.FrameContentSequence = [_frame_content(k, frame)]
    position = Dataset()
    position.ImagePositionPatient = position_text(geometry.physical((0, 0, k)))
    groups.PlanePositionSequence = [position]
    transformation = Dataset()
    transformation.RescaleIntercept, transformation.RescaleSlope = "0", slope
    transformation.RescaleType = "US"
    groups.PixelValueTransformationSequence = [transformation]
    groups.RealWorldValueMappingSequence = [_real_world(variant, slope)]
    groups.PETPositionSequence = [_table_position(geometry, k)]
    groups.PETFrameCorrectionFactorsSequence = [_correction_factors(frame)]
    return groups


def _table_position(geometry: Geometry, k: int) -> Dataset:
    place = Dataset()
    middle = geometry.physical(((geometry.size[0] - 1) / 2, (geometry.size[1] - 1) / 2, k))
    place.TablePosition = float(middle[2])
    place.DataCollectionCenterPatient = middle.tolist()
    place.ReconstructionTargetCenterPatient = middle.tolist()
    return place


def _correction_factors(frame: Frame) -> Dataset:
    """The frame's decay factor; the others, which an image that is drawn does not have, are neutral."""
    factors = Dataset()
    if frame.decay_factor is not None:
        factors.DecayFactor = decimal_text(frame.decay_factor)
    factors.PrimaryPromptsCountsAccumulated = 0
    factors.SliceSensitivityFactor = "1"
    factors.ScatterFractionFactor = "0"
    factors.DeadTimeFactor = "1"
    return factors


def _frame_content(k: int, frame: Frame) -> Dataset:
    content = Dataset()
    content.FrameAcquisitionDateTime = datetime_text(frame.start)
    content.FrameReferenceDateTime = datetime_text(frame.average_at)
    content.FrameAcquisitionDuration = 1000.0 * frame.duration_s
    content.StackID = "1"
    content.InStackPositionNumber = k + 1
    content.TemporalPositionIndex = 1
    content.DimensionIndexValues = [1, k + 1]
    return content


def _real_world(variant: PetVariant, slope: str) -> Dataset:
    value, meaning = UNIT_CODES[variant.units, variant.suv_type]
    mapping = Dataset()
    mapping.add_new("RealWorldValueFirstValueMapped", "SS", -STORED_MAX - 1)
    mapping.add_new("RealWorldValueLastValueMapped", "SS", STORED_MAX)
    mapping.RealWorldValueIntercept = 0.0
    mapping.RealWorldValueSlope = float(slope)
    mapping.LUTLabel = variant.units
    mapping.LUTExplanation = meaning
    mapping.MeasurementUnitsCodeSequence = [code_item(value, "UCUM", meaning)]
    return mapping


def _add_dimension(ds: Dataset, series: Series) -> None:
    """Frames are ordered by stack and by position in it."""
    uid = make_uid("dimension", series.uid)
    organization = Dataset()
    organization.DimensionOrganizationUID = uid
    ds.DimensionOrganizationSequence = [organization]
    ds.DimensionIndexSequence = [_dimension(uid, "StackID"), _dimension(uid, "InStackPositionNumber")]


def _dimension(uid: str, keyword: str) -> Dataset:
    index = Dataset()
    index.DimensionOrganizationUID = uid
    index.DimensionIndexPointer = tag_for_keyword(keyword)
    index.FunctionalGroupPointer = tag_for_keyword("FrameContentSequence")
    return index
