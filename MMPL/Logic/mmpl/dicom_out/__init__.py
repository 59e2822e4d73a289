"""Results as DICOM: a segmentation, an RT structure set and a structured report, of the CT's patient and study."""
