"""How fast numbers follow the pen, and how long the panel's thread is kept: the whole panel on a real worker.

The panel runs on the tests' adapter (real Qt widgets on slicer-core, no 3D Slicer), on a synthetic patient whose CT is
resampled to a scanner's grid. A timer of 30 ms drives it, as in Slicer. Strokes are made by the Segment Editor's logic.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import contextmanager
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "MMPL" / "Testing" / "gui"))

import numpy as np
import psutil
from module_widget import load_module
from slicer_gui_adapter.peek import peek
from slicer_gui_adapter.session import install
from slicer_gui_adapter.standalone import standalone

import slicer
from mmpl.case import PET_SUV
from mmpl.geometry import Geometry
from mmpl.phantom import generate_patient
from mmpl.resample import resample
from mmpl_slicer.editing import ADD, REMOVE, ball_mask
from mmpl_slicer.oriented_images import oriented_image
from mmpl_slicer.volumes import geometry_of_node, node_from_volume, set_pet_units

install()
SEED, INDEX = 4242, 24
LONGEST_S = 300.0
STROKE_MM = 6.0


class Panel:
    """The panel, with a stopwatch on everything that it does on its thread."""

    def __init__(self, scene):
        self.scene = scene
        self.widget = load_module().MMPLWidget()
        self.presenter = self.widget.presenter
        self.blocked: list[float] = []
        self.widget.panel.timer.stop()
        self.next_tick = time.perf_counter()

    def tick(self) -> None:
        """What the timer's signal does, when it is due."""
        slicer.app.processEvents()
        if time.perf_counter() >= self.next_tick:
            with self.timed():
                self.widget.panel.tick()
            self.next_tick = time.perf_counter() + 0.03
        time.sleep(0.001)

    @contextmanager
    def timed(self):
        started = time.perf_counter()
        yield
        self.blocked.append(time.perf_counter() - started)

    def until(self, condition) -> None:
        deadline = time.monotonic() + LONGEST_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.presenter.state.message} {self.presenter.engine.log}")
            self.tick()

    def settle(self) -> None:
        presenter = self.presenter
        self.until(lambda: presenter.state.results.current and not presenter.engine.is_busy)
        self.until(lambda: not presenter.desk.chores and not self.widget.panel.due)

    def worst_ms(self) -> float:
        """The longest that the thread was kept since the last call, in ms."""
        worst, self.blocked = max(self.blocked, default=0.0), []
        return 1000 * worst


def load_patient(scene):
    """A CT of 512 x 512 voxels and the PET as it is."""
    patient = generate_patient(SEED, INDEX)
    low, high = patient.ct.geometry.bounds_lps()
    grid = Geometry((512, 512, 128), (*((high - low)[:2] / 511), (high - low)[2] / 127), low)
    ct = resample(patient.ct, grid, method="linear", fill=-1024)
    ct_node = node_from_volume(ct.with_array(np.rint(ct.array).astype(np.int16)), scene, "CT")
    pet_node = node_from_volume(patient.pet, scene, "PET")
    set_pet_units(pet_node, PET_SUV)
    return ct_node, pet_node


def stroke(panel: Panel, number: int) -> None:
    """Paint and erase small balls round the border of GTVp, as the Paint effect does."""
    presenter = panel.presenter
    editor, geometry = panel.widget.panel.editor.widget, geometry_of_node(presenter.ct)
    lesion = np.asarray(presenter.results["lesions"]["GTVp"]["components"][0]["centroid_lps_mm"])
    angle = 2.4 * number
    where = lesion + 12.0 * np.array([np.cos(angle), np.sin(angle), 0.3 * np.cos(1.7 * number)])
    image = oriented_image(ball_mask(geometry, where, STROKE_MM), geometry)
    editor.saveStateForUndo()
    node, mode = presenter.segmentation, REMOVE if number % 3 == 2 else ADD
    with panel.timed():  # what our observers do within Slicer's own edit, and the edit itself
        peek(editor, "_logic").ModifySegmentByLabelmap(node, "GTVp", image, mode, False, False)


def run(scene, edits: int) -> None:
    nodes = load_patient(scene)
    panel = Panel(scene)
    presenter = panel.presenter
    with panel.timed():
        presenter.choose_inputs(*nodes)
    print(f"CT {geometry_of_node(nodes[0]).size}, PET {geometry_of_node(nodes[1]).size}; {os.cpu_count()} cores")
    print(f"choosing and checking the inputs kept the thread {panel.worst_ms():.0f} ms")

    started = time.perf_counter()
    presenter.segment()
    panel.until(lambda: presenter.engine.devices)
    print(f"worker start to its first answer: {time.perf_counter() - started:.1f} s")
    panel.until(lambda: any("Preview" in note for note in presenter.state.contours.notes))
    print(f"Segment to preview, start included: {time.perf_counter() - started:.1f} s")
    panel.until(lambda: not presenter.running)
    print(f"Segment to numbers, start included: {time.perf_counter() - started:.1f} s")
    panel.settle()
    print(f"  worst block of the thread meanwhile: {panel.worst_ms():.0f} ms")

    for number in range(3):
        stroke(panel, number)
        panel.settle()
    panel.worst_ms()
    seconds = []
    for number in range(edits):
        stroke(panel, number + 3)
        ended = time.perf_counter()
        panel.until(lambda: presenter.state.results.current)
        seconds.append(time.perf_counter() - ended)
        panel.settle()
    print(
        f"end of a stroke to new numbers, {edits} strokes: median {statistics.median(seconds):.3f} s, "
        f"worst {max(seconds):.3f} s (0.35 s of it is waiting for the pen to rest)"
    )
    print(f"  worst block of the thread meanwhile, the stroke's own work included: {panel.worst_ms():.0f} ms")

    worker = psutil.Process(presenter.engine.client.pid)
    tree = [worker, *worker.children(recursive=True)]
    used = sum(process.memory_info().rss for process in tree) / 1e9
    ours = psutil.Process().memory_info().rss / 1e9
    print(f"memory: worker {used:.2f} GB, panel's process with scene {ours:.2f} GB")
    with panel.timed():
        presenter.close()
    print(f"stopping the worker kept the thread {panel.worst_ms():.0f} ms")
    panel.widget.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=50)
    arguments = parser.parse_args()
    with standalone("bench") as scene:
        run(scene, arguments.edits)


if __name__ == "__main__":
    main()
