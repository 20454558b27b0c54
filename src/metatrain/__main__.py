"""`python -m metatrain` is `mtt`."""

import sys

from metatrain.cli import main

sys.exit(main())
