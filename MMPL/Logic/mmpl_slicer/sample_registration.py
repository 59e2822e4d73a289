"""Offers the synthetic patient in Slicer's Sample Data module; done at every start, so nothing heavy is imported."""

from __future__ import annotations

from pathlib import Path

import slicer

CATEGORY = "MMPL"
SAMPLE_NAME = "Synthetic head-and-neck PET/CT"
THUMBNAIL = Path("Resources", "Icons", "MMPLPhantom.png")


def register_sample_data(module_file: str | Path) -> None:
    """Offer the synthetic patient in Slicer's Sample Data module.

    Call it once the application has started, when that module can be imported. Registering twice is harmless.

    Parameters
    ----------
    module_file : path of the module's Python file; the thumbnail lies beside it in ``Resources/Icons``
    """
    from SampleData import SampleDataLogic  # a module of the application; absent outside it

    SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE_NAME,
        thumbnailFileName=str(Path(module_file).parent / THUMBNAIL),
        customDownloader=_load_on_click,
        # Nothing to fetch. The fields must be lists of one length: without them Slicer refuses the entry.
        uris=[],
        fileNames=[],
        nodeNames=[],
        loadFileType=[],
        loadFiles=[],
        checksums=[],
    )


def _load_on_click(_source) -> None:
    """What a click on the thumbnail does; Slicer passes the entry that was registered."""
    from mmpl_slicer.bootstrap import application_logic
    from mmpl_slicer.sample_data import load_phantom

    load_phantom(slicer.mrmlScene)
    application_logic().FitSliceToAll()
