"""The one TensorBoard run of a study: bands, margin charts, images, and a real browser."""

from contextlib import closing

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.util.tensor_util import make_ndarray

from seedspread.execution.leases import Worker
from seedspread.execution.monitor import SweepMonitor
from seedspread.records.progress import Progress
from seedspread.records.scores import Scores
from seedspread.report.study_page import write_reports
from seedspread.report.tensorboard import RunningBands
from tests import browser
from tests.synthetic import add_seed, found_in


def events_of(folder):
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0, "images": 0}).Reload()


def scalar(events, tag):
    return {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)}


def test_one_run_holds_the_bands_of_every_metric(study):
    write_reports([study])
    events, scores = events_of(study.folder), Scores.of(study)
    for metric, group in (("val/acc", "val_acc_percent"), ("train/loss", "train_loss")):
        curves = scores.curves[metric]
        for name, values in (
            ("mean", curves.mean(axis=0)),
            ("std", curves.std(axis=0, ddof=1)),
            ("min", curves.min(axis=0)),
            ("max", curves.max(axis=0)),
            ("mean_plus_std", curves.mean(axis=0) + curves.std(axis=0, ddof=1)),
        ):
            found = scalar(events, f"{group}/{name}")
            assert list(found) == list(range(1, 9)) and list(found.values()) == pytest.approx(values, rel=1e-6)
        below = scalar(events, f"{group}_from_mean/min")
        assert list(below.values()) == pytest.approx((curves - curves.mean(axis=0)).min(axis=0), rel=1e-5, abs=1e-6)
        assert len(events.Tensors(f"{group}/over_seeds")) == 8
    assert set(scalar(events, "val_acc_percent_last_epochs/mean")) < set(range(1, 9))
    done = scalar(events, "seeds_done/std")
    assert done[24] == pytest.approx(scores.final.std(ddof=1)) and 1 not in done
    assert {"table", "how_to_repeat", "custom_scalars__config__"} <= set(events.Tags()["tensors"])
    assert set(events.Tags()["images"]) == {"learning_curves", "histogram"}


def charted(events):
    """The charts of the layout that TensorBoard takes, the last, after a look at whether each finds its scalars."""
    layout = Layout.FromString(events.Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0])
    series = [s for category in layout.category for chart in category.chart for s in chart.margin.series]
    for s in series:
        assert set(scalar(events, s.value)) >= set(scalar(events, s.lower)) == set(scalar(events, s.upper)) != set()
    return series


def test_every_margin_chart_finds_its_scalars(study):
    bands = RunningBands(study.folder)
    bands.add(Scores.of(study).final[:9])
    bands.close()
    assert len(charted(events_of(study.folder))) == 2
    write_reports([study])
    assert len(charted(events_of(study.folder))) == 2 * (3 * 4 + 1)


def test_a_report_made_again_leaves_one_run(study):
    write_reports([study])
    add_seed(study, 24, 0.8)
    write_reports([study])
    assert len(list((study.folder / "tensorboard").iterdir())) == 1
    assert max(scalar(events_of(study.folder), "seeds_done/mean")) == 25


def test_while_a_sweep_runs_the_scores_so_far_are_told(study, monkeypatch):
    monkeypatch.setattr("seedspread.execution.monitor.SECONDS_BETWEEN_POINTS", 0.0)
    write_reports([study])
    before = Progress.of(study.scan().records.values())
    worker = Worker(study.folder)
    worker.acquire([25])
    with (
        closing(worker),
        SweepMonitor(study.folder, [24, 25], before, lambda: RunningBands(study.folder)) as watch,
    ):
        add_seed(study, 24, 0.5)
        watch.look()
        write_reports([study])  # in between
        add_seed(study, 25, 0.6)
        watch.look()
    events = events_of(study.folder)
    found = found_in(study)
    assert found.n == 25, "seed 24 collapsed"
    assert scalar(events, "seeds_done/mean")[25] == pytest.approx(found.mean)
    assert len(charted(events)) == 2 * (3 * 4 + 1)  # of the report, which the running sweep leaves


@pytest.mark.draws
def test_tensorboard_in_a_browser_draws_the_bands(study, chromium, tmp_path):
    write_reports([study])
    with browser.tensorboard(tmp_path / "results") as address:
        chromium.get(f"{address}#custom_scalars")

        def bands():
            return browser.drawn(chromium, "path.area", "element.getBBox().height")

        browser.wait_until(lambda: len(bands()) >= 6)
        assert all(height > 5 for height in bands())
        chromium.get("about:blank")
        chromium.get(f"{address}#images")
        browser.wait_until(lambda: any(browser.drawn(chromium, "img", "element.naturalWidth > 300")))
