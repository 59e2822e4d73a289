"""The scene outside the application."""

from __future__ import annotations

import subprocess
import sys

import slicer
from mmpl_slicer.bootstrap import MODULE_LOGIC_CLASSES, start_scene


def test_starting_twice_gives_the_same_scene(scene):
    assert start_scene() is scene
    assert slicer.mrmlScene is scene


def test_every_module_logic_knows_the_scene(scene):
    for name in MODULE_LOGIC_CLASSES:
        assert getattr(slicer.modules, name.lower()).logic().GetMRMLScene() is scene


def test_pet_and_ct_colour_nodes_are_there(scene):
    for node_id in (
        "vtkMRMLPETProceduralColorNodePET-Heat",
        "vtkMRMLColorTableNodeGrey",
        "vtkMRMLColorTableNodeInvertedGrey",
    ):
        assert scene.GetNodeByID(node_id) is not None


def test_starting_saving_and_loading_say_nothing_on_stderr_and_import_no_qt(tmp_path):
    code = (
        "import sys; folder = sys.argv[1]; sys.path[:0] = sys.argv[2:]\n"
        "import numpy as np\n"
        "from mmpl.geometry import Geometry, Volume\n"
        "from mmpl_slicer.bootstrap import start_scene\n"
        "from mmpl_slicer.scene_io import load_mrb, save_mrb\n"
        "from mmpl_slicer.segmentation import create_segmentation\n"
        "from mmpl_slicer.volumes import node_from_volume\n"
        "scene = start_scene()\n"
        "grid = Geometry((4, 5, 6), (1, 1, 1), (0, 0, 0))\n"
        "ct = node_from_volume(Volume(np.zeros(grid.shape, np.float32), grid), scene, 'CT')\n"
        "create_segmentation(Volume(np.eye(5, 4, dtype=np.uint8)[None].repeat(6, 0), grid), ct, scene)\n"
        "load_mrb(scene, save_mrb(scene, folder + '/scene.mrb'))\n"
        "assert not {'qt', 'ctk', 'PySide6'} & set(sys.modules)\n"
    )
    logic = [p for p in sys.path if p.replace("\\", "/").endswith("MMPL/Logic")]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), *logic], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
