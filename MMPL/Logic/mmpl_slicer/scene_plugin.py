"""The Slicer scene that ``mmpl ... --mrb`` writes; registered as the entry point ``scene``."""

from __future__ import annotations

from pathlib import Path

from mmpl.case import Case
from mmpl.pipeline import Outcome
from mmpl_slicer.bootstrap import start_scene
from mmpl_slicer.demo_scene import build_case_scene
from mmpl_slicer.scene_io import save_mrb


def write_scene(case: Case, outcome: Outcome, path: Path) -> None:
    """Write a case with its contours and results as ``.mrb``.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    scene = start_scene()
    scene.Clear(0)
    build_case_scene(scene, case, outcome.label_map, outcome.results.as_dict())
    save_mrb(scene, path)
