"""Names of the DICOM files of a result; known without the libraries that write them."""

SEGMENTATION = "segmentation.dcm"
STRUCTURE_SET = "rtstruct.dcm"
REPORT = "report.dcm"
FILES = (SEGMENTATION, STRUCTURE_SET, REPORT)
