"""Files in, files out: images, clinical records, label maps and atomic result folders."""
