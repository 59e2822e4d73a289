"""A MRML scene with its logics, inside 3D Slicer or on slicer-core alone."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import vtk

import slicer

MODULE_LOGIC_CLASSES: dict[str, str] = {
    "Units": "vtkSlicerUnitsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Models": "vtkSlicerModelsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Plots": "vtkSlicerPlotsLogic",
}


class _Module:
    """What callers use of a Slicer module: ``slicer.modules.<name>.logic()``."""

    def __init__(self, logic):
        self._logic = logic

    def logic(self):
        return self._logic


def start_scene(cache_folder: str | Path | None = None):
    """The application's MRML scene; on slicer-core, one with the logics that Slicer would give it.

    Calling it again returns the same scene. Inside 3D Slicer nothing is set up: the application has done it.

    Parameters
    ----------
    cache_folder : where scene bundles are unpacked on slicer-core; by default a temporary folder,
        removed when Python ends

    Returns
    -------
    vtkMRMLScene
    """
    scene = getattr(slicer, "mrmlScene", None)
    if scene is not None:
        return scene
    cache = _cache(cache_folder)
    scene = slicer.vtkMRMLScene()
    application_logic = _application_logic(scene, cache)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    logics = _register_module_logics(application_logic, scene)
    # Slicer keeps the logics alive; here the module namespace does.
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(**{name.lower(): _Module(logic) for name, logic in logics.items()})
    slicer.modules.mmpl_application_logic = application_logic
    return scene


def _cache(folder: str | Path | None) -> Path:
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        return Path(folder)
    made = Path(tempfile.mkdtemp(prefix="mmpl-scene-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def application_logic():
    """The vtkSlicerApplicationLogic that belongs to the scene."""
    app = getattr(slicer, "app", None)
    return app.applicationLogic() if app is not None else slicer.modules.mmpl_application_logic


def _application_logic(scene, cache: Path):
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetTemporaryPath(str(cache))
    logic.GetColorLogic().SetMRMLScene(scene)
    logic.GetColorLogic().AddDefaultColorNodes()
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    logic.SetMRMLScene(scene)
    _connect_data_io(logic, scene, cache)
    return logic


def _connect_data_io(logic, scene, cache: Path) -> None:
    """Give the scene its reader of files: without it a scene bundle cannot be read."""
    remote_io = slicer.vtkMRMLRemoteIOLogic()
    remote_io.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    remote_io.SetMRMLScene(scene)
    data_io = slicer.vtkDataIOManagerLogic()
    data_io.SetMRMLApplicationLogic(logic)
    data_io.SetAndObserveDataIOManager(remote_io.GetDataIOManager())
    logic.SetMRMLSceneDataIO(scene, remote_io, data_io)
    scene.mmpl_data_io = (remote_io, data_io)


def _register_module_logics(application_logic, scene) -> dict[str, object]:
    logics = {"Colors": application_logic.GetColorLogic()}
    application_logic.SetModuleLogic("Colors", logics["Colors"])
    for name, class_name in MODULE_LOGIC_CLASSES.items():
        logic = getattr(slicer, class_name)()
        logic.SetMRMLApplicationLogic(application_logic)
        application_logic.SetModuleLogic(name, logic)
        logic.SetMRMLScene(scene)
        logics[name] = logic
    return logics
