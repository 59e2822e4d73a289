"""Names of the files that a result is written to as DICOM."""

SEGMENTATION = "segmentation.dcm"
STRUCTURE_SET = "rtstruct.dcm"
REPORT = "report.dcm"
NAMES = (SEGMENTATION, STRUCTURE_SET, REPORT)
