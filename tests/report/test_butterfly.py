"""One bit against another seed: numbers from the records, and words no stronger than their intervals."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from seedspread import statistics as st
from seedspread.config.errors import InputError
from seedspread.records.study import Study
from seedspread.report.butterfly import (
    HELD,
    INIT,
    Butterfly,
    butterfly_answer,
    butterfly_document,
    butterfly_table,
    name_flip,
    write_butterfly,
)
from seedspread.report.document import parts_to_markdown, render_markdown
from seedspread.report.sources import ALL
from tests.synthetic import CONFIG, add_seed

N = 12


@pytest.fixture
def make(tmp_path):
    """The design from the std of the accuracy in each study, and its labels (runs, examples) where they are random."""

    def made(n=N, same=True, labels=True, unflipped=(), precision="32-true", **stds):
        studies = {}
        for at, (name, std) in enumerate({"held": 0.0, **stds}.items()):
            epoch = int(name.removeprefix("flip")) if name.startswith("flip") else None
            key = {} if epoch is None else {"butterfly": epoch}
            study = Study.open(tmp_path / name, {**CONFIG, "name": name, **key})
            rng = np.random.default_rng(at)
            for seed in range(2 if name == "held" else n):
                more = {"precision": precision}
                if name == "held":
                    more["weights_sha256"] = f"{0 if same else seed:064x}"
                    more["predictions_sha256"] = "f" * 64
                if epoch is not None and seed not in unflipped:
                    more["flipped"] = f"layer.weight[{seed}]"
                add_seed(study, seed, 0.5 if name == "held" else rng.normal(0.5, std), **more)
            if not labels:
                for path in (study.folder / "examples").iterdir():
                    path.unlink()
            varied = {"held": HELD, "seeds": ALL, "inits": INIT}.get(name)
            studies[varied or name_flip(epoch)] = study
        return studies

    return made


def test_numbers_are_those_of_the_records(make, tmp_path):
    studies = make(flip0=0.05, flip5=0.01, seeds=0.06, inits=0.05)
    write_butterfly("dots", Butterfly.read(studies, N), tmp_path / "page")
    rows = pd.read_csv(tmp_path / "page" / "butterfly.csv").set_index("study")
    for study in list(studies.values())[1:]:
        scores = np.array([100 * study.record(seed).final["val/acc"] for seed in range(N)])
        labels = [study.predictions(seed) for seed in range(N)]
        churn = np.mean([(one != other).mean() for one, other in combinations(labels, 2)])
        assert rows.loc[study.name, "std"] == pytest.approx(scores.std(ddof=1))
        assert rows.loc[study.name, "churn"] == pytest.approx(churn)
    flip, seeds = rows.loc["flip0"], rows.loc["seeds"]
    assert flip["std_ratio"] == pytest.approx(flip["std"] / seeds["std"])
    assert flip["churn_difference"] == pytest.approx(flip["churn"] - seeds["churn"])
    assert rows["epoch"].dropna().tolist() == [0, 5]


def test_runs_beyond_the_number_asked_for_do_not_count(make):
    studies = make(flip0=0.05, seeds=0.06, inits=0.05)
    found = Butterfly.read(studies, 5).flips[0]
    assert len(found.scores) == len(found.records) == len(found.agreement.labels) == 5
    with pytest.raises(InputError, match=f"{N} of 20 runs are finished"):
        Butterfly.read(studies, 20)


def test_a_spread_that_is_less_is_said_and_one_that_overlaps_is_not(make):
    found = Butterfly.read(make(flip0=0.06, flip5=0.005, seeds=0.06, inits=0.06), N)
    versus, init, later, control = butterfly_answer(found)
    ratio, interval = st.std_ratio(found.flips[0].scores, found.seeds.scores)
    assert interval.low < 1 < interval.high
    assert versus.startswith(
        "Between one bit of one weight, flipped before the first step, and another seed no difference in spread of "
        "scores or churn is shown: std "
    )
    assert f"({ratio:.2f} times, 95 %: {interval.low:.2f} to {interval.high:.2f}); churn " in versus
    value, apart = st.churn_difference(found.flips[0].churn, found.seeds.churn)
    low, high = (100 * side for side in apart)
    assert versus.endswith(f"({100 * value:+.2f} points, 95 %: {low:+.2f} to {high:+.2f}).")
    assert init.startswith("Between the same bit and another init, with all else held, no difference in ")
    assert later.startswith("A flip after epoch 5 gives less spread of scores and less churn than one before the first")
    assert "end with the same weights, bit for bit" in control
    less, more = found.flips[1], replace(found.seeds, epoch=0)
    bit = "One bit of one weight, flipped"
    first = butterfly_answer(replace(found, flips=[less]))[0]
    assert first.startswith(f"{bit} after epoch 5, gives less spread of scores and less churn than another seed: std ")
    first = butterfly_answer(replace(found, flips=[more], seeds=less))[0]
    assert first.startswith(
        f"{bit} before the first step, gives more spread of scores and more churn than another seed"
    )


def test_runs_without_an_effect_are_counted(make):
    studies = make(flip0=0.05, seeds=0.06, inits=0.05)
    flips = studies[name_flip(0)]
    for seed in (1, 4):
        flips.record_path(seed).write_bytes(replace(flips.record(seed), predictions_sha256="f" * 64).to_json())
    found = Butterfly.read(studies, N)
    assert found.without_effect(found.flips[0]) == 2 and found.without_effect(found.seeds) is None
    assert "| 2 |" in parts_to_markdown(butterfly_table(found))
    line = (
        f"2 of {N} runs with a flip before the first step predict as the run without a flip does, on every test example"
    )
    page = render_markdown(butterfly_document("dots", found))
    assert line in page and "is rough" not in page
    assert "rounds its 32-bit weights" not in page
    mixed = replace(found, held=[replace(record, precision="bf16-mixed") for record in found.held])
    assert "In bf16-mixed a layer rounds its 32-bit weights" in render_markdown(butterfly_document("dots", mixed))
    for seed in range(N - 1):
        flips.record_path(seed).write_bytes(replace(flips.record(seed), predictions_sha256="f" * 64).to_json())
    found = Butterfly.read(studies, N)
    assert "Few runs carry the spread: the interval of its std is rough." in " ".join(butterfly_answer(found))


def test_flips_that_change_nothing_have_a_spread_of_nothing(make):
    found = Butterfly.read(make(flip0=0.0, flip5=0.0, seeds=0.06, inits=0.05), N)
    words = " ".join(butterfly_answer(found))
    assert "std 0.00 against" in words and "nan" not in words
    assert "less churn than another seed" in words and "less spread" not in words, "an interval of its std is not known"
    assert "nan" not in parts_to_markdown(butterfly_table(found))


def test_a_flip_that_changes_no_prediction_is_said_to(make):
    studies = make(flip0=0.05, flip5=0.0, seeds=0.06, inits=0.05)
    flips = studies[name_flip(5)]
    for seed in range(N):
        flips.record_path(seed).write_bytes(replace(flips.record(seed), predictions_sha256="f" * 64).to_json())
    found = Butterfly.read(studies, N)
    assert f"A flip after epoch 5 changes no prediction in any of {N} runs." in butterfly_answer(found)
    assert butterfly_answer(replace(found, flips=found.flips[1:]))[0] == (
        f"One bit of one weight, flipped after epoch 5, changes no prediction in any of {N} runs."
    )
    assert "| 0.00 |" in parts_to_markdown(butterfly_table(found)) and "0.000 to" not in parts_to_markdown(
        butterfly_table(found)
    )


def test_runs_that_differ_without_a_flip_are_a_warning(make):
    found = Butterfly.read(make(same=False, flip0=0.05, seeds=0.06, inits=0.05), N)
    assert not found.repeats and found.without_effect(found.flips[0]) is None
    page = render_markdown(butterfly_document("dots", found))
    assert "> Control: 2 runs without a flip end with different weights" in page and "bit for bit" not in page


def test_runs_that_ended_before_their_flip_are_named(make):
    with pytest.raises(InputError, match=f"2 of {N} runs ended before their bit was flipped, after epoch 5"):
        Butterfly.read(make(unflipped=(3, 4), flip5=0.05, seeds=0.06, inits=0.05), N)


def test_without_labels_the_scores_answer(make, tmp_path):
    found = Butterfly.read(make(labels=False, flip0=0.05, seeds=0.06, inits=0.05), N)
    words = " ".join(butterfly_answer(found))
    assert "std" in words and "churn" not in words and "labels" not in words
    write_butterfly("dots", found, tmp_path / "page")
    assert "abels" not in (tmp_path / "page" / "butterfly.md").read_text()


@pytest.mark.draws
def test_the_page_holds_its_figure(make, tmp_path):
    page = write_butterfly("dots", Butterfly.read(make(flip0=0.05, seeds=0.06, inits=0.05), N), tmp_path / "page")
    assert "data:image/svg+xml" in page.read_text()
    assert (tmp_path / "page" / "butterfly.png").stat().st_size > 10_000
