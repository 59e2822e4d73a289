"""Model bundles: read without running code, written with checksums and a model card."""
