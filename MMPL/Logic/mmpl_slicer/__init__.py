"""The MRML layer of MMPL: scene, volumes, segmentation, results and pictures, free of Qt.

Arrays are (z, y, x) and positions LPS millimetres, as in the engine; MRML's RAS appears only where a node
is read or written.
"""
