"""DICOM in: series of images, contours and dose."""
