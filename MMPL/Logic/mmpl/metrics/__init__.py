"""The measures of HECKTOR 2025, on plain arrays: segmentation, classification, survival, bootstrap."""
