"""Probabilities in reports: of made-up seeds whose calibration is known, of half of the seeds, of two studies."""

import itertools

import numpy as np
import pytest

from seedspread.records.examples import ExampleIndex
from seedspread.records.study import Study
from seedspread.report.agreement_figures import Drawn, reliability
from seedspread.report.agreement_words import (
    agreement_words,
    calibration_table,
    calibration_words,
    ensemble_table,
)
from seedspread.report.study_page import write_report, write_reports
from tests.report.test_agreement import agreement_of
from tests.statistics.test_ensembles import softmaxes
from tests.synthetic import CONFIG, make_record, words

SEEDS, EXAMPLES = 12, 400


@pytest.fixture
def sure(tmp_path):
    """A study of seeds with these probabilities (S, N, K), which the first `kept` of them keep."""

    def make(probabilities, truth, name="sure", kept=None, **more):
        study = Study.open(tmp_path / "results" / name, CONFIG)
        study.check_examples(ExampleIndex(truth, np.arange(len(truth))))
        for seed, rows in enumerate(probabilities):
            labels = rows.argmax(axis=1)
            record = make_record(study, seed, float((labels == truth).mean()), test_examples=len(truth), **more)
            keeps = kept is None or seed < kept
            study.write(record, labels, **({"probabilities": rows} if keeps else {}))
        return study

    return make


def made(seed=0, **more):
    return softmaxes(np.random.default_rng(seed), SEEDS, EXAMPLES, **more)


def naive_error(rows, truth):
    confidence, right = rows.max(axis=1).astype(float), rows.argmax(axis=1) == truth
    place = np.ceil(confidence * 15)
    parts = [(place == b) for b in np.unique(place)]
    return sum(p.mean() * abs(confidence[p].mean() - right[p].mean()) for p in parts)


def test_the_words_say_error_confidence_and_ensembles(sure):
    probabilities, truth = made()
    found = agreement_of(sure(probabilities, truth))
    said = words(agreement_words(found))
    errors = [naive_error(rows, truth) for rows in probabilities]
    assert f"(ECE): {100 * np.mean(errors):.2f} ± {100 * np.std(errors, ddof=1):.2f} % over 12 seeds" in said
    confidence = probabilities.max(axis=2).mean(dtype=float)
    accuracy = (probabilities.argmax(axis=2) == truth).mean()
    assert f"mean confidence is {100 * confidence:.2f} %, their accuracy {100 * accuracy:.2f} %" in said
    assert f"({100 * (confidence - accuracy):+.2f} points, 95 %: +" in said and "Seeds are overconfident" in said
    pairs = [(a.astype(float) + b).argmax(axis=1) == truth for a, b in itertools.combinations(probabilities, 2)]
    two = ensemble_table([found]).rows[1]
    assert two[0] == "2" and float(two[3]) == pytest.approx(100 * np.mean(pairs), abs=0.5)
    assert f"Averaging gains: the averaged probabilities of 2 seeds reach {two[3]} %" in said
    assert "keep probabilities" not in said


def test_seeds_that_are_calibrated_are_not_called_anything_else(sure):
    """Without noise of their own seeds say what the truth is drawn from."""
    said = words(calibration_words(agreement_of(sure(*made(taste=0.0, seed=3)))))
    assert "Neither over- nor underconfidence is shown" in said
    assert "Seeds are underconfident" in words(calibration_words(agreement_of(sure(*made(sharpness=0.4), name="mild"))))


def test_of_a_study_of_which_half_of_the_seeds_keep_them_the_rest_is_reported(sure):
    probabilities, truth = made()
    study = sure(probabilities, truth, kept=6)
    whole = agreement_of(sure(probabilities, truth, name="whole"))
    rows = np.full((EXAMPLES, probabilities.shape[2]), 0.9)  # no distribution, of a module of one's own
    study.write(study.record(3), probabilities[3].argmax(axis=1), probabilities=rows)
    found = agreement_of(study)
    assert found.churn.value == whole.churn.value and len(found.ensembles) == len(whole.ensembles)
    assert found.calibration.seeds.tolist() == [0, 1, 2, 4, 5]
    said = words(agreement_words(found))
    assert "5 of 12 seeds keep probabilities; what follows on these is without seed 3, 6-11" in said
    errors = [naive_error(probabilities[i], truth) for i in (0, 1, 2, 4, 5)]
    assert f"{100 * np.mean(errors):.2f} ± {100 * np.std(errors, ddof=1):.2f} % over 5 seeds" in said
    assert calibration_table([found]).rows[0][1] == "5 of 12"
    one = agreement_of(sure(probabilities, truth, name="one", kept=1))
    assert "(ECE): " in words(agreement_words(one)) and "±" not in words(calibration_words(one))
    assert ensemble_table([one]) is None and [e.k for e in one.ensembles] == [2, 5, 10]


def test_without_probabilities_no_file_is_opened_for_them(sure, monkeypatch):
    found = agreement_of(sure(*made(), kept=0))
    monkeypatch.setattr(Study, "probabilities", lambda *_: pytest.fail("opened"))
    assert found.calibration is None and calibration_words(found) == []
    assert calibration_table([found]) is None and ensemble_table([found]) is None


def test_the_figure_shows_accuracy_by_confidence_and_its_band(sure):
    probabilities, truth = made()
    found = agreement_of(sure(probabilities, truth))
    axes = reliability(Drawn([found], None)).axes[0]
    x, y = axes.lines[1].get_data()
    confidence, right = probabilities.max(axis=2).astype(float), probabilities.argmax(axis=2) == truth
    last = confidence > 14 / 15
    assert x[-1] == pytest.approx(100 * confidence[last].mean()) and y[-1] == pytest.approx(100 * right[last].mean())
    each = [100 * r[own].mean() for r, own in zip(right, last, strict=True)]
    band = axes.collections[0].get_paths()[-1].vertices
    at_end = band[np.isclose(band[:, 0], x[-1])][:, 1]
    std = np.std(each, ddof=1)
    assert (at_end.min(), at_end.max()) == pytest.approx((y[-1] - std, y[-1] + std))


@pytest.mark.draws
def test_a_report_has_the_figure_and_two_studies_share_it(sure):
    probabilities, truth = made()
    studies = [sure(probabilities, truth, name=name) for name in ("one", "two")]
    page, _ = write_report(studies[0])
    assert "Expected calibration error" in page.read_text() and (page.parent / "reliability.png").stat().st_size > 9_000
    both = [agreement_of(study) for study in studies]
    assert len(reliability(Drawn(both, None)).axes[0].lines) == 3
    text = write_reports(studies)[0].read_text()
    assert "confidence minus accuracy" in text and "two, 10" in text and "calibrated seeds lie on the grey line" in text
