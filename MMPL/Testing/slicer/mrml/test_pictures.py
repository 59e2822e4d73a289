"""Pictures drawn by Slicer's own displayable managers without a screen."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl.segments import SEGMENTS
from mmpl_slicer import offscreen, pictures
from mmpl_slicer.demo_scene import build_case_scene
from mmpl_slicer.segmentation import update_segmentation


def has_egl() -> bool:
    try:
        ctypes.CDLL("libEGL.so.1")
    except OSError:
        return False
    return True


needs_egl = pytest.mark.skipif(
    sys.platform.startswith("linux") and not has_egl(), reason=f"apt install {offscreen.EGL_PACKAGES}"
)


@pytest.fixture
def nodes(scene, case, label_map, results):
    return build_case_scene(scene, case, label_map, results)


def near_colour(pixels, color, tolerance=12) -> np.ndarray:
    """Pixels of a colour (0..1), bool array (height, width)."""
    return np.abs(pixels.astype(int) - np.round(255 * np.asarray(color))).max(axis=-1) <= tolerance


def centre_of(mask) -> np.ndarray:
    """Mean (row, column) of a mask's pixels."""
    return np.argwhere(mask).mean(axis=0)


@needs_egl
@pytest.mark.parametrize("orientation", pictures.ORIENTATIONS)
def test_the_outline_lies_round_the_lesion_at_the_pictures_centre(scene, nodes, orientation, gtvp_centre):
    pixels = pictures.slice_picture(scene, nodes.ct, nodes.pet, orientation, gtvp_centre)
    outline = near_colour(pixels, SEGMENTS[1].color)
    assert pixels.shape == (480, 480, 3)
    # 240 mm on 480 pixels: the outline of a 13 mm ball has a radius of 26 pixels round the centre.
    np.testing.assert_allclose(centre_of(outline), (239.5, 239.5), atol=3.0)
    rows, columns = np.nonzero(outline)
    radius = np.hypot(rows - 239.5, columns - 239.5)
    assert outline.sum() > 100
    assert 18 < radius.min() < radius.max() < 34


@needs_egl
def test_axial_and_coronal_are_radiological(scene, nodes, gtvp_centre):
    """GTVn lies on the patient's right, lower and farther back than GTVp."""
    between = np.add(gtvp_centre, (-45.0, 10.0, -40.0))  # LPS: through the centre of GTVn
    axial = pictures.slice_picture(scene, nodes.ct, nodes.pet, "Axial", (10.0, 5.0, between[2]))
    row, column = centre_of(near_colour(axial, SEGMENTS[2].color))
    # 45 mm to the right and 10 mm back of the centre, 2 pixels per mm
    assert (row, column) == pytest.approx((239.5 + 20, 239.5 - 90), abs=4)
    coronal = pictures.slice_picture(scene, nodes.ct, nodes.pet, "Coronal", (10.0, between[1], 60.0))
    row, column = centre_of(near_colour(coronal, SEGMENTS[2].color))
    assert (row, column) == pytest.approx((239.5 + 80, 239.5 - 90), abs=4)


@needs_egl
def test_pet_colours_the_lesion_and_ct_stays_grey_without_it(scene, nodes, gtvp_centre):
    fused = pictures.slice_picture(scene, nodes.ct, nodes.pet, "Axial", gtvp_centre)
    plain = pictures.slice_picture(scene, nodes.ct, None, "Axial", gtvp_centre)
    lesion_rim = (240, 240 + 34)  # 17 mm to the left of the centre: PET warm, no outline
    body = (240, 240 - 60)
    assert int(np.ptp(fused[lesion_rim])) > 60
    assert int(np.ptp(plain[lesion_rim])) == 0
    # Soft tissue of 40 HU is the middle of the window.
    assert plain[body].mean() == pytest.approx(127, abs=20)


@needs_egl
def test_the_outline_follows_an_edit(scene, nodes, label_map, gtvp_centre):
    before = pictures.slice_picture(scene, nodes.ct, nodes.pet, "Axial", gtvp_centre)
    only_nodes = label_map.with_array(np.where(label_map.array == 2, 2, 0).astype(np.uint8))
    update_segmentation(nodes.segmentation, only_nodes, nodes.ct)
    after = pictures.slice_picture(scene, nodes.ct, nodes.pet, "Axial", gtvp_centre)
    assert near_colour(before, SEGMENTS[1].color).sum() > 100
    assert near_colour(after, SEGMENTS[1].color).sum() == 0


@needs_egl
def test_surfaces_show_both_lesions_right_on_the_left_and_higher_above(scene, nodes):
    pixels = pictures.surface_picture(scene, nodes.segmentation, nodes.ct)
    hues = pixels.astype(int)
    orange = (hues[..., 0] - hues[..., 2]) > 90
    blue = (hues[..., 2] - hues[..., 0]) > 60
    assert orange.sum() > 400
    assert blue.sum() > 150
    (row_p, column_p), (row_n, column_n) = centre_of(orange), centre_of(blue)
    assert row_p < row_n
    assert column_n < column_p


@needs_egl
def test_the_chart_falls_from_left_to_right(nodes):
    pixels = pictures.chart_picture(nodes.results.chart)
    curve = near_colour(pixels, (0.0, 114 / 255, 178 / 255), tolerance=40)
    curve[:120, 480:] = False  # the legend
    columns = np.flatnonzero(curve.any(axis=0))
    first, last = columns[5], columns[-5]
    assert last - first > 300
    assert np.argmax(curve[:, first]) < 100 < np.argmax(curve[:, last])
    assert near_colour(pixels, (1.0, 1.0, 1.0), tolerance=2).mean() > 0.8


@needs_egl
def test_five_files_are_written_and_the_scene_keeps_its_nodes(scene, nodes, gtvp_centre, tmp_path):
    before = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
    paths = pictures.write_case_pictures(scene, nodes, gtvp_centre, tmp_path / "pictures")
    after = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
    assert after == before
    assert set(paths) == {"axial", "coronal", "sagittal", "surfaces", "rfs"}
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir()) == sorted(f"{n}.png" for n in paths)
    for path in paths.values():
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(path))).std() > 5


def test_png_keeps_every_pixel(tmp_path):
    pixels = np.random.default_rng(5).integers(0, 256, (7, 11, 3)).astype(np.uint8)
    path = offscreen.write_png(pixels, tmp_path / "noise.png")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), pixels)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="EGL is Linux's way")
def test_a_computer_without_egl_is_told_what_to_install(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("mmpl_slicer.offscreen.ctypes.CDLL", missing)
    with pytest.raises(offscreen.RenderingError, match="apt install libegl1 libgl1-mesa-dri"):
        offscreen.offscreen_window((16, 16))


@needs_egl
@pytest.mark.skipif(shutil.which("env") is None, reason="needs env")
def test_no_display_and_no_environment_variable_is_needed():
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from mmpl_slicer.offscreen import offscreen_window, window_pixels\n"
        "import vtk\n"
        "window = offscreen_window((16, 12)); renderer = vtk.vtkRenderer(); window.AddRenderer(renderer)\n"
        "renderer.SetBackground(1, 0, 0)\n"
        "assert (window_pixels(window) == (255, 0, 0)).all()\n"
    )
    logic = [p for p in sys.path if p.replace("\\", "/").endswith("MMPL/Logic")]
    command = ["env", "-u", "DISPLAY", "-u", "VTK_DEFAULT_OPENGL_WINDOW", sys.executable, "-c", code, *logic]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
