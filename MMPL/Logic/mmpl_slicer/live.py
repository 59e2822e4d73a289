"""Hears when the nodes of a case change or go, and says which. It reads nothing: amid an edit segments may be empty."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager

import vtk

import slicer
from mmpl_slicer.volumes import array_from_vtk_matrix

CONTOUR_EVENTS = ("SegmentModified", "SourceRepresentationModified", "SegmentAdded", "SegmentRemoved")


class Watch:
    """Observers on one case's nodes and on the scene.

    Parameters
    ----------
    scene : vtkMRMLScene
    on_contours : called when segments may have changed
    on_images : called when voxels or place of CT or PET have changed
    on_gone : called with a followed node that is about to leave the scene
    on_close : called before all nodes leave it
    on_import : called when another scene was added to it
    """

    def __init__(
        self,
        scene,
        *,
        on_contours: Callable[[], None],
        on_images: Callable[[], None],
        on_gone: Callable[[object], None],
        on_close: Callable[[], None],
        on_import: Callable[[], None],
    ):
        self._on_contours, self._on_images, self._on_gone = on_contours, on_images, on_gone
        self._followed: tuple = ()
        self._observed: list[tuple[object, int]] = []
        self._seen: dict[str, tuple] = {}  # node ID -> what its image was like
        self._paused = 0

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_scene, _event, node):
            if any(node is one for one in self._followed):
                self._on_gone(node)

        told = (
            # before it goes: selectors then let go of it first, else they jump to its neighbour
            (scene.NodeAboutToBeRemovedEvent, removed),
            (scene.StartCloseEvent, lambda *_: on_close()),
            (scene.EndImportEvent, lambda *_: on_import()),
        )
        self._scene_observers = [(scene, scene.AddObserver(event, callback)) for event, callback in told]

    def follow(self, ct, pet, segmentation) -> None:
        """Follow these nodes instead of those before; any may be None."""
        self.stop()
        self._followed = tuple(node for node in (ct, pet, segmentation) if node is not None)
        for node in (ct, pet):
            if node is not None:
                self._seen[node.GetID()] = _image_state(node)
                # whoever writes voxels in place says so by the node's own event only
                for event in (node.ImageDataModifiedEvent, vtk.vtkCommand.ModifiedEvent):
                    self._observe(node, event, self._image)
                self._observe(node, node.TransformModifiedEvent, self._images)
        if segmentation is not None:
            for event in CONTOUR_EVENTS:
                self._observe(segmentation, getattr(slicer.vtkSegmentation, event), self._contours)
            self._observe(segmentation, segmentation.SegmentationChangedEvent, self._contours)  # all of them at once
            self._observe(segmentation, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._contours)

    @contextmanager
    def paused(self):
        """Changes made inside are nobody's edit."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1

    def stop(self) -> None:
        """Let go of the nodes."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed, self._followed, self._seen = [], (), {}

    def close(self) -> None:
        """Let go of the scene too."""
        self.stop()
        for scene, tag in self._scene_observers:
            scene.RemoveObserver(tag)
        self._scene_observers = []

    def _observe(self, node, event, callback) -> None:
        self._observed.append((node, node.AddObserver(event, callback)))

    def _contours(self, *_event) -> None:
        if not self._paused:
            self._on_contours()

    def _image(self, node, _event) -> None:
        state = _image_state(node)
        if state != self._seen.get(node.GetID()):
            self._seen[node.GetID()] = state
            self._images()

    def _images(self, *_event) -> None:
        if not self._paused:
            self._on_images()


def _image_state(node) -> tuple:
    """Changes with the voxels and with their place; not with the node's name or display."""
    image, matrix = node.GetImageData(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return (image, None if image is None else image.GetMTime(), tuple(array_from_vtk_matrix(matrix).ravel()))
