"""Predictions against truth: tables and masks in, figures with intervals out. Not used by inference."""
