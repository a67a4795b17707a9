"""What a search costs beside training: `python -m benchmarks.tune`, about 4 minutes on 2 cores.

A search over digits: how soon the first trial trains, and the share of the workers' time that is training and scoring.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seedspread.records.study import Study

JOBS = 2


def search(trials: int, seeds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asked = [f"trials={trials}", f"seeds_per_trial={seeds}", f"jobs={JOBS}", f"results={folder}"]
        began = time.time()
        process = subprocess.Popen(
            [sys.executable, "-m", "seedspread", "tune", "experiment=digits", *asked], stdout=subprocess.PIPE, text=True
        )
        while process.poll() is None and not list(Path(folder).glob("*/trial-*/running/*.json")):
            time.sleep(0.01)
        first = time.time()
        if process.communicate() and process.returncode:
            raise SystemExit("the search failed")
        ended = time.time()
        studies = [Study.load(path.parent) for path in Path(folder).glob("*/*/study.yaml")]
        spent = [record.seconds for study in studies for record in study.scan().records.values()]
        last = max(path.stat().st_mtime for path in Path(folder).glob("*/*/seeds/*.json"))
    trained = sum(seconds["train"] + seconds["score"] for seconds in spent)
    print(f"digits, {trials} trials of {seeds} seeds, fresh ones until it is decided, {JOBS} workers")
    print(f"  the first trial trains after {first - began:.1f} s; the page comes {ended - last:.1f} s after the last")
    stretches = {"first trial's start to last record": last - first, "whole command": ended - began}
    for name, whole in stretches.items():
        print(f"  {name}: {100 * trained / (JOBS * whole):.1f} % of {JOBS} x {whole:.0f} s is training and scoring")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    search(options.trials, options.seeds)


if __name__ == "__main__":
    main()
