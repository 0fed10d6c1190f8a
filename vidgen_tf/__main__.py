"""python -m vidgen_tf: see `vidgen_tf.cli`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
