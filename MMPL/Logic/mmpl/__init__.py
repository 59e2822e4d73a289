"""MMPL: head-and-neck FDG-PET/CT from images to contours, HPV probability and recurrence-free survival.

For research use only. Importing this package loads nothing heavy and sets nothing.
"""

from mmpl.version import __version__

__all__ = ["__version__"]
