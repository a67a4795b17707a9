"""Draw the figure of README.md from a study's records: python docs/draw_figure.py results/digits docs/digits.png"""

import io
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report import figures
from seedspread.report.drawing import STYLE
from seedspread.report.findings import Findings


def pixels(figure: Figure) -> np.ndarray:
    """The figure as an image, shape (height, width, 3), of the same size for every figure."""
    figure.set_size_inches(5.2, 3.4)
    file = io.BytesIO()
    figure.savefig(file, dpi=160)
    return np.asarray(Image.open(file).convert("RGB"))


def main(study: Path, picture: Path) -> None:
    """Write the learning curves and the histogram of `study` side by side."""
    found = Findings.of(Scores.of(Study.load(study)))
    with mpl.rc_context(STYLE):
        curves, histogram = figures.learning_curves([found]), figures.histogram([found])
        curve, deviation = curves.axes
        curve.set_xlabel(deviation.get_xlabel())
        deviation.remove()
        curve.set_subplotspec(curves.add_gridspec()[0])
        both = np.hstack([pixels(curves), pixels(histogram)])
    Image.fromarray(both).quantize(128).save(picture, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
