"""``python -m hpc3.cli``."""

from hpc3.cli import main

raise SystemExit(main())
