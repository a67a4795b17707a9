"""`seedspread train ARGUMENTS` whose extraction takes at least 0.05 s a batch: time to kill it in."""

import time

from seedspread.commands.console import run_command
from seedspread.commands.train import main
from seedspread.data.extractor import FeatureExtractor

begin = FeatureExtractor.start


def extract_slowly(self, crops):
    time.sleep(0.05)
    return begin(self, crops)


if __name__ == "__main__":
    FeatureExtractor.start = extract_slowly
    run_command(main)
