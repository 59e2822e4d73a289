"""Where a network's arithmetic is done: one small interface, PyTorch as the reference, faster ones beside it."""
