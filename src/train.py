"""`python -m src.train`: seedspread's train command from a checkout, installed or not. Defines nothing."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
# Workers of sweeps start as processes of their own and find the package here as well.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), os.environ.get("PYTHONPATH"))))

from seedspread.commands.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "train")
    main()
