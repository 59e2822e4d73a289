"""A tiny CT as DICOM files, written here with pydicom, and results that fit it."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy import ndimage

from mmpl.dicom_out.export import write_dicom
from mmpl.dicom_out.finish import Export
from mmpl.dicom_out.headers import read_headers
from mmpl.dicom_out.settings import ExportSettings
from mmpl.dicom_source import DicomSource
from mmpl.geometry import Geometry, Volume
from mmpl.notices import SITE_UNKNOWN, Notice
from mmpl.results import (
    ClassFigures,
    HpvResult,
    LesionComponent,
    LesionFigures,
    Results,
    RfsResult,
    SurvivalCurve,
)

SIZE = (24, 20, 12)
SPACING = (0.9765625, 0.9765625, 2.5)
PATIENT = {
    "PatientName": "Mustermann^Ägidius",
    "PatientID": "KH-4711-0815",
    "PatientBirthDate": "19560417",
    "PatientSex": "M",
    "PatientAge": "068Y",
    "PatientWeight": "81.25",
    "PatientSize": "1.79",
    "OtherPatientIDs": "ALIAS-3141",
    "AccessionNumber": "ACC-271828",
    "StudyID": "ST-16180",
    "StudyDate": "20240229",
    "StudyTime": "081733",
    "StudyDescription": "Staging oropharynx",
    "ReferringPhysicianName": "Zuweiser^Zacharias",
    "InstitutionName": "Klinikum Beispielstadt",
}


def rotation(*angles_deg: float) -> np.ndarray:
    """Direction turned about x, y and z in turn."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(angles_deg)):
        turn = np.eye(3)
        a, b = [i for i in range(3) if i != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


DIRECTIONS = {
    "axial": np.eye(3),
    "oblique": rotation(12, -7, 21),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "feet to head reversed": np.diag([1.0, 1.0, -1.0]),
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
}


def geometry_along(direction: np.ndarray) -> Geometry:
    return Geometry(SIZE, SPACING, (-112.3, -201.75, 1033.5), direction)


def _base(sop_class: str, uids: dict[str, str], patient: dict) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, generate_uid()
    for keyword, value in {**uids, **patient}.items():
        setattr(ds, keyword, value)
    ds.Modality, ds.SeriesNumber, ds.Manufacturer = "CT", 3, "Scanner works"
    ds.Rows, ds.Columns = SIZE[1], SIZE[0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit, ds.PixelRepresentation = 15, 1
    return ds


def _numbers(values) -> list[str]:
    return [f"{v:.10g}" for v in np.ravel(values)]


def new_uids() -> dict[str, str]:
    return {k: generate_uid() for k in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}


def write_series(folder: Path, geometry: Geometry, patient: dict = PATIENT, tilt_mm: float = 0.0) -> DicomSource:
    """One file a slice; with ``tilt_mm`` each slice is shifted along its columns, as by a gantry tilt."""
    folder.mkdir(parents=True, exist_ok=True)
    uids, files = new_uids(), []
    direction = np.asarray(geometry.direction)
    for k in range(geometry.size[2]):
        ds = _base(CTImageStorage, uids, patient)
        ds.InstanceNumber = k + 1
        ds.Columns, ds.Rows = geometry.size[:2]
        ds.ImagePositionPatient = _numbers(geometry.physical((0, 0, k)) + k * tilt_mm * direction[:, 1])
        ds.ImageOrientationPatient = _numbers(direction[:, :2].T)
        ds.PixelSpacing, ds.SliceThickness = _numbers(geometry.spacing_mm[1::-1]), "2"
        ds.PixelData = np.full(geometry.shape[1:], k, np.int16).tobytes()
        files.append(folder / f"{k:03d}.dcm")
        ds.save_as(files[-1], enforce_file_format=True)
    return DicomSource(tuple(files), geometry, on_slices=tilt_mm == 0)


def write_multiframe(folder: Path, geometry: Geometry) -> DicomSource:
    """One Enhanced CT object whose frames are stored from the last slice to the first."""
    folder.mkdir(parents=True, exist_ok=True)
    ds = _base(EnhancedCTImageStorage, new_uids(), PATIENT)
    direction = np.asarray(geometry.direction)
    shared = Dataset()
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = _numbers(direction[:, :2].T)
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = _numbers(geometry.spacing_mm[1::-1])
    shared.PixelMeasuresSequence[0].SliceThickness = "2.5"
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.PerFrameFunctionalGroupsSequence = Sequence()
    for k in reversed(range(geometry.size[2])):
        frame = Dataset()
        frame.PlanePositionSequence = [Dataset()]
        frame.PlanePositionSequence[0].ImagePositionPatient = _numbers(geometry.physical((0, 0, k)))
        frame.FrameContentSequence = [Dataset()]
        frame.FrameContentSequence[0].FrameReferenceDateTime = "20240229081733"
        ds.PerFrameFunctionalGroupsSequence.append(frame)
    ds.NumberOfFrames, ds.InstanceNumber = geometry.size[2], 1
    ds.PixelData = np.zeros(geometry.shape, np.int16).tobytes()
    path = folder / "enhanced.dcm"
    ds.save_as(path, enforce_file_format=True)
    return DicomSource((path,), geometry, on_slices=False)


@pytest.fixture(scope="session")
def a_source(tmp_path_factory) -> Callable[[str], DicomSource]:
    """Source by the name of its direction, written once."""
    made: dict[str, DicomSource] = {}

    def source(name: str = "axial") -> DicomSource:
        if name not in made:
            made[name] = write_series(tmp_path_factory.mktemp("ct") / "series", geometry_along(DIRECTIONS[name]))
        return made[name]

    return source


@pytest.fixture(scope="session")
def square(tmp_path_factory) -> DicomSource:
    """Rows as many as columns."""
    return write_series(tmp_path_factory.mktemp("square") / "series", Geometry((24, 24, 12), SPACING, (1.0, 2.0, 3.0)))


@pytest.fixture(scope="session")
def tilted(tmp_path_factory) -> DicomSource:
    return write_series(tmp_path_factory.mktemp("tilt") / "series", geometry_along(np.eye(3)), tilt_mm=0.4)


@pytest.fixture(scope="session")
def multiframe(tmp_path_factory) -> DicomSource:
    return write_multiframe(tmp_path_factory.mktemp("multi"), geometry_along(DIRECTIONS["oblique"]))


@pytest.fixture(scope="session")
def bare_source(tmp_path_factory) -> DicomSource:
    """Nothing of the patient and the study but UIDs, as some programs leave images."""
    return write_series(tmp_path_factory.mktemp("bare") / "series", geometry_along(np.eye(3)), {})


@pytest.fixture(scope="session")
def odd_source(tmp_path_factory) -> DicomSource:
    """Values that are no valid DICOM."""
    odd = {"PatientBirthDate": "1956", "PatientSex": "male", "StudyDate": "29.02.24", "PatientName": "A" * 60} | {
        "AccessionNumber": "ACC-2024-000000012345", "PatientID": r"KH\12345", "StudyDescription": r"PET\CT Hals",
        "ReferringPhysicianName": "B" * 65, "IssuerOfPatientID": "C" * 65,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return write_series(tmp_path_factory.mktemp("odd") / "series", geometry_along(np.eye(3)), odd)


@pytest.fixture
def a_source_of(tmp_path) -> Callable[[dict], DicomSource]:
    """A CT with these values of patient and study."""

    def source(patient: dict) -> DicomSource:
        folder = tmp_path / f"ct{len(list(tmp_path.iterdir()))}"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return write_series(folder, geometry_along(np.eye(3)), patient)

    return source


@pytest.fixture(scope="session")
def unreferable(tmp_path_factory) -> DicomSource:
    """No frame of reference."""
    nowhere = {"FrameOfReferenceUID": ""}
    return write_series(tmp_path_factory.mktemp("nowhere") / "series", geometry_along(np.eye(3)), nowhere)


@pytest.fixture
def two_classes() -> np.ndarray:
    """A primary with a hole, a node at the border of the image, and one single voxel."""
    labels = np.zeros(SIZE[::-1], np.uint8)
    labels[3:8, 4:13, 5:15] = 1
    labels[4:7, 7:10, 8:11] = 0
    labels[0:4, 15:20, 18:24] = 2
    labels[10, 2, 2] = 2
    return labels


@pytest.fixture
def results() -> dict:
    return some_results()


@pytest.fixture(scope="session")
def an_export() -> Callable[[DicomSource], Export]:
    """What the writers are given, of a source."""

    def export(source: DicomSource) -> Export:
        uids = {"GTVp": "2.25.1", "GTVn": "2.25.2"}
        when = datetime.datetime(2026, 3, 4, 5, 6, 7)
        return Export(read_headers(source), some_results(), ExportSettings(), when, False, uids)

    return export


def some_results() -> dict:
    """One primary, two nodes; TLG of the nodes and the 5-year value are not given."""
    gtvp = LesionFigures(0.92, 15.25, 12.125, 7.5, 0.61, 6.02)
    gtvn = LesionFigures(0.31, 6.5, 5.25, 3.75, 0.2, None)
    parts = (LesionComponent(1, (-93.0, -185.0, 1037.0), gtvn), LesionComponent(2, (-110.0, -199.0, 1058.5), gtvn))
    curve = SurvivalCurve((0.0, 365.0), (1.0, 0.91), (1.0, 0.85), (1.0, 0.95))
    at = {"1y": 0.91, "2y": 0.84, "3y": 0.8125, "5y": None}
    return Results(
        case_id="KH-4711-0815",
        bundle={"name": "tiny", "version": "1.2", "sha256": "0123456789abcdef" * 4, "phantom": True},
        inputs={},
        lesions={
            "GTVp": ClassFigures(gtvp, (LesionComponent(1, (-102.0, -193.0, 1046.0), gtvp),)),
            "GTVn": ClassFigures(gtvn, parts),
        },
        hpv=HpvResult(0.834, 0.52, "positive", (0.8, 0.868), base=0.6),
        rfs=RfsResult("end of radiotherapy", -0.25, "low", 1904.5, curve, at, (-0.3, -0.2)),
        contributions={"hpv": (), "rfs": ()},
        warnings=(Notice(SITE_UNKNOWN, "The tumour site of KH-4711-0815 is not given."),),
        timings_s={},
    ).as_dict()


@pytest.fixture
def no_lesion(results) -> dict:
    """Results where nothing was found."""
    nothing = {"volume_ml": 0.0, "components": []} | dict.fromkeys(
        ("suv_max", "suv_peak", "suv_mean", "mtv_ml", "tlg_g")
    )
    reason = "No lesion was found."
    results["lesions"] = {"GTVp": nothing, "GTVn": nothing}
    results["hpv"] |= {"probability": None, "status": None, "members": [], "reason": reason}
    results["rfs"] |= {"risk": None, "risk_group": None, "deep_restricted_mean_days": None, "curve": None}
    results["rfs"] |= {"survival_at": {}, "members": [], "reason": reason}
    return results


def on(source: DicomSource, labels: np.ndarray) -> Volume:
    return Volume(labels, source.geometry)


@pytest.fixture
def exported(tmp_path, results) -> Callable[..., dict[str, Dataset]]:
    """Writes results of labels on a source; gives the objects as read back, by file name without suffix."""

    def write(source: DicomSource, labels: np.ndarray, result: dict | None = None, **options) -> dict[str, Dataset]:
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        paths = write_dicom(folder, source, on(source, labels), result or results, **options)
        return {path.stem: pydicom.dcmread(path) for path in paths}

    return write


@pytest.fixture(scope="session")
def awkward() -> Callable[[int], np.ndarray]:
    """Label map by seed: blobs with holes, islands in them, single voxels, corners that touch, the image's border."""

    def label_map(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        noise = ndimage.gaussian_filter(rng.normal(size=SIZE[::-1]), rng.uniform(0.5, 1.2))
        blobs = noise > np.quantile(noise, rng.uniform(0.3, 0.8))
        labels = np.where(blobs, np.where(np.arange(SIZE[0]) < SIZE[0] // 2, 1, 2), 0).astype(np.uint8)
        labels[rng.random(labels.shape) < 0.02] = rng.integers(0, 3)
        labels[5, 3:17, 3:15] = 1  # nested: ring, hole, ring with hole, island
        labels[5, 5:15, 5:13] = 0
        labels[5, 7:13, 7:11] = 1
        labels[5, 9:11, 8:10] = 0
        labels[8, 10, 10], labels[8, 11, 11], labels[8, 10, 11], labels[8, 11, 10] = 1, 1, 0, 0
        return labels

    return label_map
