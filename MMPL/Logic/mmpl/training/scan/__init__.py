"""Every problem of a cohort, found before anything is trained on it."""

from mmpl.training.scan.cohort_scan import Scan, scan_cohort
from mmpl.training.scan.problems import ERROR, NOTE, WARNING, Problem

__all__ = ["ERROR", "NOTE", "WARNING", "Problem", "Scan", "scan_cohort"]
