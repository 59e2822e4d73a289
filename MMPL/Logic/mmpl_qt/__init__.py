"""The panel's widgets: each section shows its part of the presenter's state and forwards what the user does.

Written in what PythonQt and PySide6 share (see docs/slicer.md): setters, ``signal.connect(function)``, reads by methods
that both have or by ``property("name")``. Nothing is computed here.
"""
