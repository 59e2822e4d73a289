"""The panel in each of its states as PNG files: ``make screenshots``.

They come from the tests' adapter, not from 3D Slicer: layout, texts and colours are the panel's own, the frames of
Slicer's widgets (node selectors, Segment Editor) are stand-ins.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

os.environ["QT_QPA_PLATFORM"] = "offscreen"
sys.path.insert(0, str(Path(__file__).parent))

import pydicom
from module_widget import load_module
from PIL import Image
from slicer_gui_adapter import pictures
from slicer_gui_adapter.session import install
from slicer_gui_adapter.standalone import standalone

import slicer
from mmpl.geometry import Volume

install()
NARROW, WIDE = 400, 600
LONGEST_S = 180.0


class Studio:
    """One panel on a scene with the synthetic patient, brought into one state after the other."""

    def __init__(self, scene, folder: Path):
        self.scene, self.folder = scene, folder
        self.widget = load_module().MMPLWidget()
        self.widget.enter()
        self.presenter = self.widget.presenter

    def shoot(self, name: str, *widths: int, dark: bool = False) -> None:
        for width in widths or (NARROW,):
            for theme in ("light", "dark") if dark else ("light",):
                pictures.use_theme(theme)
                self.widget.panel.redraw()
                suffix = "" if theme == "light" else "_dark"
                path = pictures.grab(self.widget.parent, self.folder / f"{name}_{width}{suffix}.png", width)
                _shrink(path)
        pictures.use_theme("light")
        print(name, flush=True)

    def until(self, condition) -> None:
        deadline = time.monotonic() + LONGEST_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.presenter.state.message} {self.presenter.engine.log}")
            slicer.app.processEvents()
            time.sleep(0.005)

    def settle(self) -> None:
        presenter = self.presenter
        self.until(lambda: presenter.state.results.current and not presenter.engine.is_busy)
        self.until(lambda: not presenter.desk.chores and not self.widget.panel.due)

    def load(self) -> None:
        from mmpl_slicer.sample_data import load_phantom

        self.ct, self.pet = load_phantom(self.scene)
        self._as_if_from_dicom(self.ct)

    def _as_if_from_dicom(self, ct) -> None:
        """Write the CT as DICOM, into a stand-in for Slicer's DICOM database: results can be saved as DICOM then."""
        from mmpl.phantom.dicom import write_ct
        from mmpl_slicer.volumes import volume_from_node

        paths = write_ct(Path(tempfile.mkdtemp(), "CT"), volume_from_node(ct))
        files = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): str(path) for path in paths}
        slicer.dicomDatabase = SimpleNamespace(fileForInstance=lambda uid: files.get(uid, ""))
        ct.SetAttribute("DICOM.instanceUIDs", " ".join(files))


def _shrink(path: Path) -> None:
    """255 colours are plenty for a panel, and a quarter of the bytes."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(255)
    small.save(path, optimize=True)


def shoot_all(studio: Studio) -> None:
    """The user's way through the panel, and what may go wrong on it."""
    studio.shoot("01_start")
    studio.load()
    shoot_inputs(studio)
    shoot_segmentation(studio)
    shoot_corrections(studio)
    shoot_question(studio)
    shoot_faults(studio)


def shoot_inputs(studio: Studio) -> None:
    from mmpl_slicer.volumes import geometry_of_node, node_from_volume

    presenter, ct, pet = studio.presenter, studio.ct, studio.pet
    presenter.choose_inputs(ct, pet)
    presenter.keep_clinical()  # the case gets its name before the other images do
    presenter.choose_inputs(pet, ct)
    studio.shoot("02_swapped")
    in_bqml = Volume(slicer.util.arrayFromVolume(pet) * 5123.0, geometry_of_node(pet))
    raw = node_from_volume(in_bqml, studio.scene, "PET as acquired")
    presenter.choose_inputs(ct, raw)
    presenter.set_suv_field("weight_kg", 71.0)
    studio.shoot("03_not_in_suv")
    presenter.choose_inputs(ct, pet)
    studio.scene.RemoveNode(raw)
    studio.shoot("04_ready", NARROW, WIDE)


def shoot_segmentation(studio: Studio) -> None:
    presenter = studio.presenter
    for name, value in (("Age", 58), ("Gender", 1), ("Tobacco Consumption", 0), ("Primary Site", "oropharynx")):
        presenter.set_clinical(name, value)
    presenter.keep_clinical()
    presenter.segment()
    studio.until(lambda: any("Preview" in note for note in presenter.state.contours.notes))
    studio.shoot("05_preview")
    studio.until(lambda: not presenter.running)
    studio.settle()
    studio.widget.ui.patientSection.setChecked(True)
    studio.widget.ui.driversBox.setChecked(True)
    studio.shoot("06_results", NARROW, WIDE, dark=True)


def shoot_corrections(studio: Studio) -> None:
    from mmpl_slicer.contour_nodes import set_segment
    from mmpl_slicer.contours import contours_of_label_map
    from mmpl_slicer.editing import voxels_within
    from mmpl_slicer.volumes import geometry_of_node

    presenter, geometry = studio.presenter, geometry_of_node(studio.ct)
    drawn = presenter.contours.on_grid(geometry).array
    grown = voxels_within(drawn == 1, geometry.spacing_mm, 5.0)
    contours = contours_of_label_map(grown.astype("uint8"))
    set_segment(presenter.segmentation, "GTVp", contours, geometry, 1)
    presenter.publish()
    studio.shoot("07_stale")
    studio.settle()
    presenter.compare(True)
    presenter.set_clinical("Age", 80)
    presenter.set_clinical("HPV Status", "positive")
    presenter.set_hpv_as_known(True)
    studio.settle()
    studio.shoot("08_corrected_and_what_if", NARROW, WIDE)
    presenter.reset_clinical()
    studio.settle()
    folder = Path(tempfile.gettempdir(), "PHA-0024")
    presenter.rename_case("PHA-0024")
    studio.widget.ui.withDicom.setChecked(True)
    presenter.save(str(folder), with_dicom=True)
    studio.until(lambda: not presenter.running)
    studio.shoot("09_saved")


def shoot_question(studio: Studio) -> None:
    from mmpl_slicer.segmentation import create_segmentation
    from mmpl_slicer.volumes import geometry_of_node

    geometry = geometry_of_node(studio.ct)
    theirs = create_segmentation(studio.presenter.contours.on_grid(geometry), studio.ct, studio.scene, "from the TPS")
    segmentation = theirs.GetSegmentation()
    for old, new in (("GTVp", "Tu prim"), ("GTVn", "LN II right")):
        segment = segmentation.GetSegment(old)
        segmentation.RemoveSegment(old)
        segment.SetName(new)
        segmentation.AddSegment(segment, new)
    segmentation.AddEmptySegment("cord", "Spinal cord", (1, 1, 0))
    before = studio.presenter.segmentation
    studio.presenter.choose_segmentation(theirs)
    studio.shoot("10_names_of_segments")
    studio.presenter.choose_segmentation(before)
    studio.scene.RemoveNode(theirs)


def shoot_faults(studio: Studio) -> None:
    presenter = studio.presenter
    presenter.update_now()
    studio.settle()
    os.kill(presenter.engine.client._process.pid, signal.SIGKILL)
    studio.until(lambda: presenter.state.work.worker == "failed")
    studio.shoot("11_worker_gone", dark=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/panel"))
    folder = parser.parse_args().out
    with standalone("screenshots") as scene:
        studio = Studio(scene, folder)
        try:
            shoot_all(studio)
        finally:
            studio.widget.cleanup()


if __name__ == "__main__":
    main()
