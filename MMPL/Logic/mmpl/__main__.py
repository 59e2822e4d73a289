"""``python -m mmpl``."""

import sys

from mmpl.cli import main

if __name__ == "__main__":
    sys.exit(main())
