"""Named errors. Each message is one sentence: what is wrong, where, and what to do."""

from __future__ import annotations


class MMPLError(Exception):
    """Anything a user can mend. The command line turns it into one line and exit code 2."""


class InputError(MMPLError):
    """A file or value the user gave cannot be used."""


class GeometryError(InputError):
    """Grids do not fit together, or a geometry is impossible."""


class ClinicalError(InputError):
    """A clinical value has the wrong type, an impossible value or an unknown name."""


class SuvError(InputError):
    """SUV cannot be computed: weight, injected activity, time or half-life is missing or impossible."""


class BundleError(MMPLError):
    """A model bundle is incomplete, altered, unsafe or of another version."""


class OutputError(MMPLError):
    """Results cannot be written where the user asked."""


class TrainingError(MMPLError):
    """A cohort, fold or setting that cannot be trained on."""
