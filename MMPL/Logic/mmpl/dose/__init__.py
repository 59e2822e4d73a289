"""Planned dose in contours. Dose is reported; no model is given it."""
