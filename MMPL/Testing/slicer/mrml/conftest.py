"""A MRML scene for the session, emptied between tests, and a small synthetic case."""

from __future__ import annotations

import os
import time

import numpy as np
import pydicom
import pytest
import vtk

import slicer
from mmpl.case import Case
from mmpl.geometry import Geometry, Volume
from mmpl.notices import Notice
from mmpl.results import (
    ClassFigures,
    Contribution,
    HpvResult,
    LesionComponent,
    LesionFigures,
    Results,
    RfsResult,
    SurvivalCurve,
)
from mmpl_slicer.bootstrap import start_scene
from mmpl_slicer.dicom_files import DicomFiles
from mmpl_slicer.editing import SegmentEditor
from mmpl_slicer.presenter import Presenter
from mmpl_slicer.volumes import node_from_volume
from mmpl_slicer.worker_client import READY, WorkerClient

GTVP_CENTRE_LPS = (10.0, 5.0, 60.0)
GTVN_CENTRE_LPS = (-35.0, 15.0, 20.0)
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # the case is tiny
HURRY = 5.0  # how much faster the tests' clock runs: an edit has settled the sooner
BODY_CENTRE_LPS = (0.0, 10.0, 30.0)


@pytest.fixture(scope="session")
def session_scene(tmp_path_factory):
    return start_scene(tmp_path_factory.mktemp("scene-cache"))


@pytest.fixture
def scene(session_scene):
    session_scene.Clear(False)
    yield session_scene
    session_scene.Clear(False)


@pytest.fixture(scope="session")
def ct_volume() -> Volume:
    """A head-like ellipsoid of soft tissue with a skull, 2 x 2 x 3 mm, in air."""
    geometry = Geometry((90, 100, 80), (2.0, 2.0, 3.0), (-90.0, -90.0, -90.0))
    radius = ellipsoid_radius(geometry, BODY_CENTRE_LPS, (70.0, 85.0, 100.0))
    ct = np.where(radius < 1.0, 40.0, -1000.0)
    ct[(radius > 0.8) & (radius < 0.88)] = 900.0
    noise = np.random.default_rng(1).normal(0.0, 8.0, ct.shape)
    return Volume((ct + noise).astype(np.float32), geometry)


@pytest.fixture(scope="session")
def pet_volume() -> Volume:
    """SUV 1 in the body, SUV 9 and 6 in two lesions, 4 mm voxels on another grid."""
    geometry = Geometry((46, 52, 60), (4.0, 4.0, 4.0), (-90.0, -92.0, -88.0))
    pet = np.where(ellipsoid_radius(geometry, BODY_CENTRE_LPS, (70.0, 85.0, 100.0)) < 1.0, 1.0, 0.0)
    pet += 8.0 * np.exp(-np.log(2) * ellipsoid_radius(geometry, GTVP_CENTRE_LPS, (13.0,) * 3) ** 2)
    pet += 5.0 * np.exp(-np.log(2) * ellipsoid_radius(geometry, GTVN_CENTRE_LPS, (9.0,) * 3) ** 2)
    return Volume(pet.astype(np.float32), geometry)


@pytest.fixture(scope="session")
def label_map(ct_volume) -> Volume:
    """GTVp of 13 mm and GTVn of 9 mm radius."""
    labels = np.zeros(ct_volume.geometry.shape, dtype=np.uint8)
    labels[ellipsoid_radius(ct_volume.geometry, GTVP_CENTRE_LPS, (13.0,) * 3) <= 1.0] = 1
    labels[ellipsoid_radius(ct_volume.geometry, GTVN_CENTRE_LPS, (9.0,) * 3) <= 1.0] = 2
    return Volume(labels, ct_volume.geometry)


@pytest.fixture(scope="session")
def case(ct_volume, pet_volume) -> Case:
    return Case("CASE-1", ct_volume, pet_volume)


@pytest.fixture(scope="session")
def gtvp_centre() -> tuple[float, float, float]:
    return GTVP_CENTRE_LPS


class Database:
    """Stands for Slicer's DICOM database: UID -> file. Slicer's own is in no test."""

    def __init__(self):
        self.files: dict[str, str] = {}
        self.asked: list[str] = []

    def add(self, paths) -> list[str]:
        """Take files in; their SOP Instance UIDs."""
        uids = [str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in paths]
        self.files |= dict(zip(uids, map(str, paths), strict=True))
        return uids

    def file_of(self, uid: str) -> str:
        self.asked.append(uid)
        return self.files.get(uid, "")


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def dicom(database) -> DicomFiles:
    return DicomFiles(database.file_of)


@pytest.fixture
def load_dicom(scene, database):
    """Puts files into the database and loads them as Slicer's plain DICOM plugin does: by Slicer's own reader."""

    def load(paths, name: str):
        files = vtk.vtkStringArray()
        for path in paths:
            files.InsertNextValue(str(path))
        node = slicer.modules.volumes.logic().AddArchetypeVolume(str(paths[0]), name, 0, files)
        node.SetAttribute("DICOM.instanceUIDs", " ".join(database.add(paths)))
        return node

    return load


class FrontEnd:
    """A front end without widgets: a timer that calls tick, and a memory of what was shown."""

    def __init__(self, presenter: Presenter):
        self.presenter = presenter
        self.shown = []
        presenter.listener = self.shown.append

    @property
    def state(self):
        return self.presenter.state

    def until(self, condition, seconds: float = 60):
        """Tick until something holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.state.message, self.state.work, self.presenter.engine.log[-2000:])
            self.presenter.tick()
            time.sleep(0.005)
        self.presenter.publish()  # after a tick that took long, what is shown follows at the next ones

    def ticks(self, seconds: float):
        """Tick for a while."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() > end)

    def settle(self):
        """Until the numbers are those of the contours, and nothing is under way."""
        self.until(lambda: self.state.results.current and not self.presenter.engine.is_busy)
        self.until(lambda: not self.presenter.desk.chores)

    def rest(self):
        """Until all has been read and nothing is under way."""
        case = self.presenter.desk.case
        self.presenter.tick()
        self.until(lambda: case.touched_at is None and case.images_touched_at is None)
        self.until(lambda: not self.presenter.engine.is_busy and not self.presenter.desk.chores)

    def segment(self):
        """Press Segment, and wait for what comes of it."""
        self.presenter.segment()
        self.until(lambda: not self.presenter.running and not self.presenter.desk.chores)
        assert self.state.message == ""

    def segment_until_preview(self):
        """Press Segment, and wait for the preview only."""
        self.presenter.segment()
        self.until(lambda: any("Preview" in note for note in self.state.contours.notes))

    def editor(self) -> SegmentEditor:
        """What paints in the chosen segmentation, as the Segment Editor does; Segment saves its undo from now on."""
        editor = SegmentEditor(self.presenter.scene, self.presenter.segmentation, self.presenter.ct)
        self.presenter.save_undo = editor.logic.SaveStateForUndo
        return editor

    @property
    def origins(self) -> list[str]:
        return [row.origin for row in self.state.contours.classes]

    @property
    def volume(self) -> float:
        """Of GTVp, mL."""
        return self.presenter.results["lesions"]["GTVp"]["volume_ml"]


class Clock:
    """Runs faster than time does, and can be put forward."""

    def __init__(self):
        self._ahead = 0.0

    def __call__(self) -> float:
        return HURRY * time.monotonic() + self._ahead

    def put_forward(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


class SharedClient(WorkerClient):
    """A real worker that lives on from one presenter to the next: nobody who has stopped it hears from it again.

    Unless it is ``mortal``: then it is stopped in earnest.
    """

    mortal = False

    def start(self):
        if self._process is None or self._process.exit_code is not None:
            super().start()
        else:
            self.state = READY

    def stop(self):
        if self.mortal or self._process is None or self._process.exit_code is not None:
            super().stop()
            return
        self.ask("cancel")
        self._waiting.clear()


@pytest.fixture(scope="session")
def shared_client():
    client = SharedClient(environment=ONE_THREAD)
    yield client
    client.mortal = True
    client.stop()


@pytest.fixture
def make_front(scene, tiny_bundle_path):
    """A function that makes front ends; what it is given goes to the presenter."""
    made = []

    def make(**arguments) -> FrontEnd:
        presenter = Presenter(scene, **arguments)
        presenter.choose_bundle(str(tiny_bundle_path))
        made.append(presenter)
        return FrontEnd(presenter)

    yield make
    for presenter in made:
        presenter.close()


@pytest.fixture
def front(make_front, shared_client, clock) -> FrontEnd:
    """A front end on the tests' common worker."""
    return make_front(make_client=lambda: shared_client, clock=clock)


@pytest.fixture
def own_front(front, shared_client) -> FrontEnd:
    """A front end whose worker can be killed, by it or from outside; the next test starts another one."""
    shared_client.mortal = True
    yield front
    shared_client.mortal = False


@pytest.fixture
def nodes(scene, tiny_patient):
    """CT and PET of the tiny patient."""
    return (
        node_from_volume(tiny_patient.ct, scene, "CT head neck"),
        node_from_volume(tiny_patient.pet, scene, "PET FDG"),
    )


@pytest.fixture
def chosen(front, nodes) -> FrontEnd:
    """A front end that shows the tiny patient."""
    front.presenter.choose_inputs(*nodes)
    return front


@pytest.fixture
def segmented(chosen) -> FrontEnd:
    """The tiny patient after Segment."""
    chosen.segment()
    return chosen


@pytest.fixture
def without_timings():
    """A function that leaves out of results what is another one each time."""
    return lambda results: {k: v for k, v in results.items() if k not in ("timings_s", "inputs")}


@pytest.fixture
def results() -> dict:
    return build_results()


@pytest.fixture
def make_results():
    """A function of the steepness of the RFS curve that gives results."""
    return build_results


def build_results(scale: float = 1.0) -> dict:
    """results.json of a case: RFS falls by 10 % a year times ``scale``; unknown after 6 years."""
    days = tuple(float(d) for d in range(0, 3000, 100))
    survival = tuple(max(0.0, 1.0 - scale * 0.1 * d / 365.25) if d <= 2200 else None for d in days)
    low = tuple(None if s is None else s - 0.05 * d / 2200 for s, d in zip(survival, days, strict=True))
    high = tuple(None if s is None else min(1.0, s + 0.05 * d / 2200) for s, d in zip(survival, days, strict=True))
    primary = LesionFigures(9.2, 9.0, 8.1, 5.5, 6.1, 40.3)
    node = LesionFigures(3.05, 6.0, None, 4.0, 2.0, 9.0)
    return Results(
        case_id="CASE-1",
        bundle={"name": "test bundle", "version": "0.1", "sha256": "ab" * 32},
        inputs={},
        lesions={
            "GTVp": ClassFigures(primary, (LesionComponent(1, GTVP_CENTRE_LPS, primary),)),
            "GTVn": ClassFigures(node, (LesionComponent(1, GTVN_CENTRE_LPS, node),)),
        },
        hpv=HpvResult(0.731, 0.5, "positive", (0.7, 0.762)),
        rfs=RfsResult(
            "end of radiotherapy",
            0.42,
            "intermediate",
            1234.0,
            SurvivalCurve(days, survival, low, high),
            {"1y": 0.9, "2y": 0.8, "3y": 0.7, "5y": 0.5},
            (0.4, 0.44),
        ),
        contributions={"hpv": (Contribution("Age", 61.0, -0.02),), "rfs": ()},
        warnings=(Notice("SITE_UNKNOWN", "The primary site is unknown."),),
        timings_s={"total": 1.0},
    ).as_dict()


def ellipsoid_radius(geometry: Geometry, centre_lps, radii_mm) -> np.ndarray:
    """Distance of each voxel from a centre in units of the radii, array (z, y, x)."""
    k, j, i = np.indices(geometry.shape)
    points = geometry.physical(np.stack([i, j, k], axis=-1))
    return np.linalg.norm((points - np.asarray(centre_lps)) / np.asarray(radii_mm), axis=-1)
