"""`python -m minigrad`, for where the `minigrad` command is not on the path."""

import sys

from minigrad.cli import main

sys.exit(main())
