"""`python -m pipeline`, the command `finest`: how processes of ours start it, whatever is on the PATH."""

import sys

from pipeline.entry import main

sys.exit(main())
