"""Mask-guided radiomics on the 1 mm ROI, and lesion figures on the native grids."""
