"""A study as ONE TensorBoard run: bands over seeds instead of a curve for each seed.

    results/<study>/tensorboard/events.out.tfevents.*

TensorBoard's margin charts draw a band from three scalars of one run at the same steps, named exactly, in one layout
for all charts. Written with TensorBoard's own record writer and messages; torch is not needed for it.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import metadata as custom_scalar
from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, Layout, MarginChartContent
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from seedspread import statistics as st
from seedspread.execution.leases import is_in_use
from seedspread.records.metric import Metric
from seedspread.records.study import Study
from seedspread.records.tables import column_name
from seedspread.report.findings import Findings
from seedspread.statistics import Array, Bands

POINTS = 500  # TensorBoard shows at most 1,000 points of a scalar
# The scalars of a band: its middle, its lower and its upper edge. TensorBoard looks tags up by a regular expression, so
# they hold letters, "_" and "/" only.
STD_BAND = ("mean", "mean_minus_std", "mean_plus_std")
RANGE_BAND = ("mean", "min", "max")
FROM_MEAN, LAST_EPOCHS, SEEDS_DONE = "{}_from_mean", "{}_last_epochs", "seeds_done"
RUNNING = ".running"  # the suffix of a file that a sweep still appends to


class EventFile:
    """Appends to a new event file in a folder, which is made where there is none."""

    def __init__(self, folder: Path, suffix: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventFileWriter(str(folder), filename_suffix=suffix)

    def add(self, summary: Summary, step: int = 0) -> None:
        """Append `summary` at `step`."""
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def restart(self) -> None:
        """Make a TensorBoard that shows this run discard what it has read."""
        self._writer.add_event(Event(wall_time=time.time(), step=0, session_log=SessionLog(status=SessionLog.START)))

    def add_bands(self, group: str, steps: Array, band: Bands) -> None:
        """Append the scalars that `band` (E,) is drawn from, at `steps` (E,)."""
        edges = {"mean_minus_std": band.mean - band.std, "mean_plus_std": band.mean + band.std}
        for name, values in (vars(band) | edges).items():
            for step, value in zip(steps.tolist(), values.tolist(), strict=True):
                if math.isfinite(value):
                    self.add(scalar_pb(f"{group}/{name}", value), step)

    def flush(self) -> None:
        """Write appended events to the file."""
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


def write_run(found: Findings, figures: Mapping[str, Path], texts: Mapping[str, str]) -> Path:
    """Rewrite the run of a study and return its folder: bands, histograms, `figures` (PNG files), Markdown `texts`."""
    scores = found.scores
    folder = scores.study.folder / "tensorboard"
    before = list(folder.glob("events.out.tfevents.*"))
    if is_in_use(scores.study.folder):  # a sweep is running
        before = [path for path in before if path.suffix != RUNNING]
    file = EventFile(folder)
    file.restart()
    metrics = [scores.study.find_metric(name) for name in scores.curves]
    file.add(_layout(metrics, scores.metric))
    flat, end = len(found.points) - found.flat_from, len(scores.points)
    late_from = scores.points[max(0, end - max(3, end // 4))] if flat < 3 else found.points[found.flat_from]
    for metric in metrics:
        points, curves = scores.logged(metric.name)
        if not len(curves):
            continue
        group, band, late = column_name(metric), st.bands(curves), points >= late_from
        file.add_bands(group, points, band)
        file.add_bands(FROM_MEAN.format(group), points, _from_mean(band))
        file.add_bands(LAST_EPOCHS.format(group), points[late], band.at(late))
        for point, values in zip(points.tolist(), curves.T, strict=True):
            file.add(histogram_pb(f"{group}/over_seeds", values[~np.isnan(values)]), point)
    add_seeds_done(file, scores.final[scores.by_end])
    for name, path in figures.items():
        file.add(Summary(value=[Summary.Value(tag=name, image=_image(path))]))
    for name, text in texts.items():
        file.add(text_pb(name, text))
    file.close()
    for path in before:
        path.unlink(missing_ok=True)
    return folder


def add_seeds_done(file: EventFile, scores: Array) -> None:
    """Append mean, std, min and max of the first 1, 2, ... of `scores` (S,), at up to POINTS steps."""
    n = len(scores)
    at = np.unique(np.linspace(0, n - 1, min(n, POINTS)).round().astype(int))
    file.add_bands(SEEDS_DONE, at + 1, st.running(scores).at(at))


class RunningBands:
    """Appends to a study's run, while a sweep runs, the scores of the seeds done so far."""

    def __init__(self, study: Path) -> None:
        folder = study / "tensorboard"
        first = not any(folder.glob("events.out.tfevents.*"))
        self._file = EventFile(folder, RUNNING)
        metric = Study.load(study).metric
        self._sign = metric.sign
        if first:  # TensorBoard uses the last layout: this one would hide the charts of an earlier report
            self._file.add(_layout((), metric))

    def add(self, scores: Iterable[float]) -> None:
        """Append mean, std, min and max of the `scores` of healthy seeds at the number of these seeds."""
        values = np.array(list(scores), dtype=float)
        values = values[~st.find_collapsed(values, self._sign)]  # as the report does
        self._file.add_bands(SEEDS_DONE, np.array([len(values)]), st.bands(values[:, None]))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _from_mean(band: Bands) -> Bands:
    return Bands(np.zeros_like(band.mean), band.std, band.min - band.mean, band.max - band.mean)


def _image(path: Path) -> Summary.Image:
    with Image.open(path) as picture:
        width, height = picture.size
    return Summary.Image(width=width, height=height, colorspace=3, encoded_image_string=path.read_bytes())


def _layout(metrics: Sequence[Metric], own: Metric) -> Summary:
    """Margin charts of `metrics` and of the seeds done, equally named in all studies so that TensorBoard merges them.

    A study's `own` metric comes first. In reverse order, which TensorBoard 2.21 reverses again.
    """
    categories = []
    for metric in metrics:
        group = column_name(metric)
        views = {
            metric.name: group,
            f"{metric.name}, distance from the mean curve": FROM_MEAN.format(group),
            f"{metric.name}, last epochs": LAST_EPOCHS.format(group),
        }
        charts = [chart for title, tags in views.items() for chart in _charts(title, tags)][::-1]
        categories.append(Category(title=metric.name, chart=charts))
    categories.sort(key=lambda category: (category.title != own.name, category.title))
    categories.append(Category(title="as seeds are done", chart=list(_charts(own.name, SEEDS_DONE))[::-1]))
    layout = Layout(category=categories).SerializeToString()
    tensor = TensorProto(dtype=DT_STRING, string_val=[layout], tensor_shape={})
    metadata = SummaryMetadata.FromString(custom_scalar.create_summary_metadata().SerializeToString())
    return Summary(value=[Summary.Value(tag=custom_scalar.CONFIG_SUMMARY_TAG, metadata=metadata, tensor=tensor)])


def _charts(title: str, group: str) -> Iterator[Chart]:
    for label, (value, lower, upper) in (("± 1 std", STD_BAND), ("min to max", RANGE_BAND)):
        series = MarginChartContent.Series(value=f"{group}/{value}", lower=f"{group}/{lower}", upper=f"{group}/{upper}")
        yield Chart(title=f"{title}: {label}", margin=MarginChartContent(series=[series]))
