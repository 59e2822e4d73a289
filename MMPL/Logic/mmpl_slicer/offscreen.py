"""Windows that nobody sees, and their pixels."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from mmpl.errors import MMPLError, OutputError

EGL_PACKAGES = "libegl1 libgl1-mesa-dri"


class RenderingError(MMPLError):
    """Pictures cannot be drawn on this computer."""


def offscreen_window(size: tuple[int, int]):
    """A render window without a screen.

    On Linux it is an EGL window made by name, so it needs neither a display nor VTK's environment variables.

    Parameters
    ----------
    size : (width, height) pixels

    Returns
    -------
    vtkRenderWindow

    Raises
    ------
    RenderingError
        If EGL is missing or gives no OpenGL.
    """
    window = _egl_window() if sys.platform.startswith("linux") else vtk.vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    # Displayable managers fail without an interactor; the generic one never asks a screen for events.
    vtk.vtkGenericRenderWindowInteractor().SetRenderWindow(window)
    window.Initialize()
    if not window.SupportsOpenGL():
        raise RenderingError(
            f"pictures cannot be drawn: no OpenGL without a screen; on Debian or Ubuntu, apt install {EGL_PACKAGES}"
        )
    return window


def window_pixels(window) -> np.ndarray:
    """What a window shows: uint8 array of shape (height, width, 3), first row at the top."""
    window.Render()
    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3].copy()


def write_png(pixels: np.ndarray, path: str | Path) -> Path:
    """Write a picture; the file is complete or it is not there.

    Parameters
    ----------
    pixels : uint8 array of shape (height, width, 3), first row at the top
    path : file name; its folder is made when absent

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=".mmpl-", suffix=".png", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(_png_bytes(pixels))
        os.chmod(part, 0o644)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"picture cannot be written to {path}: {error.strerror or error}") from error
    return path


def _png_bytes(pixels: np.ndarray) -> bytes:
    height, width, channels = pixels.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    flat = np.ascontiguousarray(pixels[::-1]).reshape(-1, channels)
    image.GetPointData().SetScalars(numpy_to_vtk(flat, deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    return vtk_to_numpy(writer.GetResult()).tobytes()


def _egl_window():
    try:
        ctypes.CDLL("libEGL.so.1")
        from vtkmodules.vtkRenderingOpenGL2 import vtkEGLRenderWindow
    except (OSError, ImportError) as error:
        raise RenderingError(
            f"pictures cannot be drawn: EGL is missing; on Debian or Ubuntu, apt install {EGL_PACKAGES}"
        ) from error
    return vtkEGLRenderWindow()
