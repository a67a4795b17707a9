"""Do the seeds agree? Words, figures and sections, of made-up labels and of two configs that were really trained."""

import itertools
import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from seedspread import statistics as st
from seedspread.commands.agree import main
from seedspread.commands.train import train
from seedspread.data.recorded_pictures import RecordedPictures
from seedspread.records.examples import ExampleIndex
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report.agreement import Agreement, BetweenStudies, SeedMap
from seedspread.report.agreement_figures import Drawn, draw_agreement, seed_map, unstable_examples
from seedspread.report.agreement_page import agreement_parts, between_studies
from seedspread.report.agreement_words import agreement_words, class_table, unstable_table
from seedspread.report.document import Table
from seedspread.report.study_page import write_report, write_reports
from tests.synthetic import CONFIG, make_record, words

EXAMPLES, CLASSES = 120, 4


@pytest.fixture
def labelled(tmp_path):
    """A study of these labels (S, N), with truth (N,)."""

    def make(labels, truth, name="dots", names=None, first=0, **more):
        study = Study.open(tmp_path / "results" / name, CONFIG)
        study.check_examples(ExampleIndex(truth, np.arange(len(truth)), names))
        for seed, row in enumerate(labels, start=first):
            accuracy = float((row == truth).mean())
            study.write(make_record(study, seed, accuracy, test_examples=len(truth), **more), row)
        return study

    return make


def made(seeds=12, examples=EXAMPLES, seed=0):
    """Labels of seeds that are wrong at rates of the examples' own, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, CLASSES, examples)
    wrong = rng.random((seeds, examples)) < rng.beta(0.5, 2, examples)
    return np.where(wrong, rng.integers(0, CLASSES, (seeds, examples)), truth), truth


def agreement_of(study):
    return Agreement.of(Scores.of(study))


def test_the_words_say_the_numbers_of_the_labels(labelled):
    labels, truth = made()
    found = agreement_of(labelled(labels, truth))
    said = words(agreement_words(found))
    pairs = [(a != b).mean() for a, b in itertools.combinations(labels, 2)]
    error = (labels != truth).mean()
    assert f"two seeds differ on {100 * np.mean(pairs):.2f} % (95 %: " in said and "over all 66 pairs" in said
    assert f"A seed errs on {100 * error:.2f} %" in said and f"{np.mean(pairs) / error:.2f} times the error" in said
    stds = [(labels[:, truth == c] == c).mean(axis=1).std(ddof=1) for c in range(CLASSES)]
    assert f"Class {np.argmax(stds)} spreads most: the std of its accuracy over seeds is {100 * max(stds):.2f}" in said
    asked = {(c, k): (labels[:, truth == c] == k).mean() for c, k in itertools.permutations(range(CLASSES), 2)}
    (c, k), share = max(asked.items(), key=lambda pair: pair[1])
    assert f"{c} is taken for {k} in {100 * share:.2f} %" in said
    assert "the votes of 5 seeds reach" in said and "of 10 seeds reach" in said and "a coin decides" in said
    assert "No two families of seeds are shown: the map has no clear gap" in said
    table = class_table(found)
    assert table is not None and [row[0] for row in table.rows] == [str(c) for c in np.argsort(stds)[::-1]]


def test_the_unstable_examples_are_those_of_most_disagreement(labelled):
    labels, truth = made()
    names = np.array([f"test/{'abcd'[t]}/{i}.png" for i, t in enumerate(truth)])
    found = agreement_of(labelled(labels, truth, names=names))
    differ = np.mean([a != b for a, b in itertools.combinations(labels, 2)], axis=0)
    assert differ[found.unstable] == pytest.approx(np.sort(differ)[::-1][:30])
    first = int(found.unstable[0])
    row = unstable_table(found).rows[0]
    given = dict(zip(*np.unique(labels[:, first], return_counts=True), strict=True))
    assert row[0] == names[first] and row[1] == "abcd"[truth[first]] and row[3] == f"{100 * differ[first]:.2f} %"
    assert {part.rpartition(" ")[0] for part in str(row[2]).split(", ")} == {
        f"{'abcd'[label]}: {count}" for label, count in given.items()
    }


@pytest.mark.draws
def test_a_report_has_the_section_and_its_map(labelled):
    page, _ = write_report(labelled(*made()))
    text = page.read_text()
    section = text.partition("Do the seeds agree?")[2].partition("<h2>")[0]
    assert "differ on" in section and "pairs of seeds that differ" in section and section.count("data:image/svg") == 1
    assert (page.parent / "seed_map.png").stat().st_size > 5_000
    assert "Do the seeds agree?" in (page.parent / "report.md").read_text()


def test_without_predictions_a_report_stays_as_it_is(labelled, study):
    for path in study.folder.glob("examples/0*"):
        path.unlink()
    assert agreement_of(study) is None and "Do the seeds agree?" not in write_report(study)[0].read_text()


@pytest.mark.parametrize("kind", [{"scores": np.linspace(0, 1, 203)}, {"probabilities": np.eye(203)}])
def test_what_is_no_label_is_not_compared(study, kind):
    """A regression, and seeds of which probabilities alone are there."""
    for seed in range(24):
        study.write(study.record(seed), **kind)
    assert agreement_of(study) is None


def test_labels_of_several_tasks_at_once_are_not_compared(study):
    for seed in range(24):
        study.write(study.record(seed), np.zeros((203, 3), int))
    assert agreement_of(study) is None


def test_without_true_labels_churn_and_examples_are_shown(labelled):
    study = labelled(*made())
    study.index_path.unlink()
    found = agreement_of(study)
    said = words(agreement_words(found))
    assert "two seeds differ on" in said and "true labels are not known" in said
    assert "spreads most" not in said and "Voting" not in said
    rows = unstable_table(found).rows
    assert rows[0][0] == str(found.unstable[0]) and rows[0][1] == ""


def test_missing_and_damaged_predictions_are_named_and_left_out(labelled):
    labels, truth = made()
    study = labelled(labels, truth)
    study.examples_path(2).unlink()
    study.examples_path(7).write_bytes(b"torn")
    found = agreement_of(study)
    assert found.seeds.tolist() == [0, 1, 3, 4, 5, 6, 8, 9, 10, 11]
    assert found.labels.tolist() == np.delete(labels, [2, 7], axis=0).tolist()
    assert "Without seed 2, 7 of dots" in words(agreement_words(found))


def test_few_seeds_say_less(labelled):
    labels, truth = made()
    said = words(agreement_words(agreement_of(labelled(labels[:2], truth, name="two"))))
    assert "the two seeds differ on" in said and "too few for an interval" in said and "Three seeds" in said
    assert "map" not in said
    assert agreement_of(labelled(labels[:1], truth, name="one")) is None
    alike = agreement_of(labelled(np.tile(labels[:1], (6, 1)), truth, name="alike"))
    assert alike.map is None and not len(alike.unstable)
    assert "All seeds agree on every test example." in [
        getattr(part, "text", "") for part in agreement_parts([alike], {})
    ]


def test_flawless_seeds_are_reported(labelled):
    _, truth = made()
    said = words(agreement_words(agreement_of(labelled(np.tile(truth, (6, 1)), truth))))
    assert "differ on 0.00 %" in said and "errs on 0.00 %" in said


def test_two_families_are_named_with_their_seeds(labelled):
    labels, truth = made(16)
    labels[10:, :40] = (labels[10:, :40] + 1) % CLASSES
    found = agreement_of(labelled(labels, truth, first=100))
    said = words(agreement_words(found))
    assert "two families of seeds (" in said and "6 seeds (110-115) and 10 (100-109)" in said
    apart = np.mean([(a != b).mean() for a in labels[:10] for b in labels[10:]])
    assert f"different families differ on {100 * apart:.2f} %" in said
    axes = seed_map(Drawn([found], found.map)).axes[0]
    assert sorted(len(line.get_xdata()) for line in axes.lines) == [6, 10]


def test_one_seed_apart_is_named(labelled):
    labels, truth = made(10)
    labels[4] = (truth + 1) % CLASSES
    said = words(agreement_words(agreement_of(labelled(labels, truth))))
    assert "No two families" in said and "Seed 4 lies apart" in said


def test_seeds_of_two_configs_in_one_study_are_two_clusters(config, tmp_path):
    """Really trained: networks that see the upper or the lower half of the digits, their records mixed on purpose."""
    common = ("experiment=digits", "trainer=cpu", "trainer.max_epochs=4", "schedule.lr_lambda.end=4")
    network = "model._target_=tests.report.half_pictures.HalfPictures"
    for name, upper in (("upper", True), ("lower", False)):
        for seed in range(6):
            train(config(*common, network, f"+model.upper={upper}", f"study={name}", f"seed={seed}"))
    mixed, other = (Study.load(tmp_path / "results" / name) for name in ("upper", "lower"))
    for seed in range(6):
        record = replace(other.record(seed), seed=100 + seed, config_digest=mixed.digest)
        mixed.write(record, other.predictions(seed))
    found = agreement_of(mixed)
    second = set(found.map.seeds[found.map.families.second].tolist())
    assert found.map.is_split and second in ({*range(6)}, {*range(100, 106)})
    assert "two families of seeds (" in words(agreement_words(found))


def test_version_1_says_who_was_right(tmp_path):
    import shutil

    from tests.records.test_version_1 import WRITTEN

    study = Study.load(shutil.copytree(WRITTEN, tmp_path / "results" / "digits"))
    found = agreement_of(study)
    right = [np.unpackbits(np.load(path), count=500) for path in sorted((study.folder / "correct").iterdir())]
    churn = np.mean([(a != b).mean() for a, b in itertools.combinations(right, 2)])
    said = words(agreement_words(found))
    assert f"two seeds differ on {100 * churn:.2f} %" in said and "one is right and the other wrong" in said
    assert "was not recorded" in said and "spreads most" not in said and "votes" not in said
    assert re.fullmatch(r"right \d ×, wrong \d ×", str(unstable_table(found).rows[0][2]))
    assert "Do the seeds agree?" in write_report(study)[0].read_text()


def test_two_studies_are_compared_within_and_between(labelled):
    (labels, truth), rng = made(20), np.random.default_rng(5)
    steady = np.where(rng.random(labels.shape) < 0.8, labels[0], labels)
    one, other = (agreement_of(labelled(rows, truth, name=n)) for rows, n in ((labels, "wild"), (steady, "calm")))
    between = np.mean([(a != b).mean() for a in labels for b in steady])
    found = BetweenStudies.of(one, other)
    assert found.churn.value == pytest.approx(between)
    said = words(between_studies([one, other]))
    assert f"A seed of wild and one of calm differ on {100 * between:.2f} %" in said
    assert "Seeds of calm agree more than those of wild" in said
    assert "Neither wild nor wild" in words(between_studies([one, one]))
    assert [name for name, _ in SeedMap.of([one, other]).groups] == ["wild", "calm"]
    table = next(part for part in agreement_parts([one, other], {}) if isinstance(part, Table))
    assert [row[0] for row in table.rows] == ["wild", "calm"]


def test_the_differences_of_three_studies_hold_together(labelled):
    """Each interval is as wide as one at 98.3 %: of many equal studies, no pair is told apart in 95 % of the cases."""
    labels, truth = made()
    several = [agreement_of(labelled(labels[i : i + 8], truth, name=f"s{i}")) for i in (0, 2, 4)]
    alone, together = (BetweenStudies.of(several[0], several[1], pairs) for pairs in (1, 3))
    assert together.interval == st.churn_difference(several[0].churn, several[1].churn, 1 - 0.05 / 3, paired=True)[1]
    assert together.interval.low < alone.interval.low < alone.larger < alone.interval.high < together.interval.high
    low, high = (100 * side for side in together.interval)
    said = words(between_studies(several))
    assert f"(95 % for all 3 pairs together: {low:+.2f} to {high:+.2f}, for other seeds" in said
    assert "together" not in words(between_studies(several[:2]))


def test_studies_of_the_same_seeds_are_compared_seed_by_seed(labelled):
    labels, truth = made()
    one, same, others = (
        agreement_of(labelled(labels[rows], truth, name=name, first=first))
        for name, rows, first in (("one", slice(0, 8), 0), ("same", slice(4, 12), 0), ("others", slice(4, 12), 4))
    )
    for other, paired in ((same, True), (others, False)):
        found = BetweenStudies.of(one, other)
        assert found.interval == st.churn_difference(one.churn, other.churn, paired=paired)[1]
        assert ("; compared seed by seed)" in words(between_studies([one, other]))) == paired


def test_a_report_side_by_side_compares_the_studies(labelled):
    studies = [labelled(*made(8), name=name) for name in ("one", "two")]
    page, _ = write_reports(studies)
    assert "A seed of one and one of two differ on" in page.read_text()


def test_studies_of_other_test_examples_are_not_compared(labelled):
    labels, truth = made()
    one = agreement_of(labelled(labels, truth))
    for i, other in enumerate((
        labelled(labels, truth[::-1].copy(), name="turned"),
        labelled(labels, truth, name="foreign", data_sha256="e2" * 32),
        labelled(labels[:, 1:], truth[1:], name="fewer"),
    )):  # fmt: skip
        found = agreement_of(other)
        assert BetweenStudies.of(one, found) is None, i
        assert "other test examples" in words(between_studies([one, found]))


def test_pictures_and_their_features_share_test_examples(labelled):
    """A probe's data are features; what they were made of is in its record."""
    labels, truth = made()
    pictures, features = "a1" * 32, "fe" * 32
    scratch = agreement_of(labelled(labels, truth, name="scratch", data_sha256=pictures))
    for name, of in (("probe", f"{pictures} 5000 2000"), ("whole", pictures), ("other", f"{'b2' * 32} 5000 2000")):
        found = agreement_of(labelled(labels, truth, name=name, data_sha256=features, features={"pictures": of}))
        assert (scratch.cannot_compare(found) is None) == (name != "other")


def test_large_maps_are_thinned_and_say_so(labelled, monkeypatch):
    monkeypatch.setattr("seedspread.report.agreement.MOST_MAPPED", 8)
    found = agreement_of(labelled(*made()))
    assert len(found.map.seeds) == 8 and set(found.map.seeds) <= set(range(12))
    assert (
        seed_map(Drawn([found], found.map)).axes[0].get_title(loc=mpl.rcParams["axes.titlelocation"])
        == "12 seeds, 8 drawn at random"
    )


@pytest.mark.draws
def test_pictures_at_hand_are_drawn_with_their_labels(small, tmp_path):
    for seed in range(3):
        train(small(f"seed={seed}", "trainer.max_epochs=1"))
    found = agreement_of(Study.load(tmp_path / "results" / "digits"))
    assert found.pictures is not None and len(found.pictures.pictures) == len(found.unstable)
    captions = draw_agreement([found], tmp_path)
    assert set(captions) == {"seed_map", "unstable_examples"}
    assert (tmp_path / "unstable_examples.png").stat().st_size > 20_000
    texts = [text.get_text() for text in unstable_examples(Drawn([found], None)).axes[0].texts]
    assert texts[0] == f"true: {found.truth[found.unstable[0]]}" and " %" in texts[1]
    parts = agreement_parts([found], captions)
    assert not any(isinstance(part, Table) and "test example" in part.head for part in parts)


@pytest.mark.draws
def test_captions_of_pictures_do_not_touch(labelled):
    labels, truth = made(30)
    found = agreement_of(labelled(labels, truth))
    names = ("hammerhead shark", "chambered nautilus", "mountain bike", "automobile")
    pictures = [np.zeros((32, 32, 3), np.uint8)] * len(found.unstable)
    found.__dict__["pictures"] = RecordedPictures(pictures, names)
    fig = unstable_examples(Drawn([found], None))
    boxes = [text.get_window_extent() for text in fig.axes[0].texts]
    assert len(boxes) == 2 * len(pictures) and max(len(text.get_text().split("\n")) for text in fig.axes[0].texts) == 4
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= fig.bbox.x1 and box.y0 >= 0 for box in boxes)


def collapse(study, seed, truth):
    """Let `seed` end with one label for all."""
    row = np.zeros(len(truth), int)
    record = make_record(study, seed, float((row == truth).mean()), test_examples=len(truth))
    study.write(record, row)


def test_collapsed_seeds_are_counted_and_left_out(labelled, invoked):
    labels, truth = made(20)
    labels = np.where(np.random.default_rng(1).random(labels.shape) < 0.8, truth, labels)
    study = labelled(labels, truth)
    healthy = agreement_of(labelled(np.delete(labels, [4, 9], axis=0), truth, name="healthy"))
    for seed in (4, 9):
        collapse(study, seed, truth)
    study.write(make_record(study, 20, status="diverged"))
    code, out, _ = invoked(main, f"results={study.folder.parent}", "study=dots")
    assert code == 0 and f"differ on {100 * healthy.churn.value:.2f} %" in out and "all 153 pairs" in out
    low, high = (100 * side for side in st.collapse_rate(3, 21)[1])
    said = "Without seed 4, 9, 20 of dots, which collapsed or diverged: 3 of 21, 14.3 % "
    said += f"(95 %: {low:.1f} to {high:.1f} %)"
    assert said in out and said in (study.folder / "agreement" / "index.html").read_text()
    assert invoked(main, f"results={study.folder.parent}", "study=[dots,healthy]")[0] == 0
    page = (study.folder.parent / "dots+healthy" / "agreement" / "index.html").read_text()
    assert said in page and f">{100 * healthy.churn.value:.2f}<" in page.replace(" ", "")
    report = write_report(study)[0].read_text()
    assert f"differ on {100 * healthy.churn.value:.2f} %" in report and "Without seed" not in report


def test_studies_of_version_1_are_compared_as_right_or_wrong(tmp_path, labelled):
    """With one another, and with the labels of a study of today on the same data."""
    import shutil

    from tests.records.test_version_1 import WRITTEN

    results = tmp_path / "results"
    old, twin = (Study.load(shutil.copytree(WRITTEN, results / name)) for name in ("old", "twin"))
    data = old.record(0).data_sha256
    right = [np.unpackbits(np.load(path), count=500) for path in sorted((old.folder / "correct").iterdir())]
    labels, truth = made(6, 500)
    new = agreement_of(labelled(labels, truth, name="new", data_sha256=data))
    one, other = agreement_of(old), agreement_of(twin)
    within = np.mean([(a != b).mean() for a, b in itertools.product(right, right)])
    between = np.mean([(a != b).mean() for a, b in itertools.product(right, labels == truth)])
    said = words(between_studies([one, other, new]))
    assert f"A seed of old and one of twin differ on {100 * within:.2f} %" in said
    assert f"A seed of old and one of new differ on {100 * between:.2f} %" in said
    assert said.count("one is right and the other wrong") == 3
    own = np.mean([(a != b).mean() for a, b in itertools.combinations(labels == truth, 2)])
    table = next(part for part in agreement_parts([one, new], {}) if isinstance(part, Table))
    assert table.rows[1][2] == f"{100 * own:.2f}" and SeedMap.of([one, new]).total == 9
    assert new.churn.value > own  # of labels, as before

    foreign = agreement_of(labelled(labels, truth, name="foreign", data_sha256="e2" * 32))
    assert "scored on other test examples" in words(between_studies([one, foreign]))
    unknown = agreement_of(labelled(labels, truth, name="unknown", data_sha256=None))
    assert "do not say on which data" in words(between_studies([one, unknown]))
