"""Lets the Slicer module's widget code run on PySide6 and slicer-core, without 3D Slicer.

Tests only. ``install`` supplies the modules that slicer-core lacks; ``Session`` supplies ``slicer.app`` and the Qt
functions of ``slicer.util`` for as long as a test module runs. Nothing is offered that ``slicer_api.json`` lacks.
"""
