"""The answers at the top of a study's page, and those that are missing."""

import numpy as np

from seedspread.records.metric import Metric
from seedspread.report.answers import answers, means_answer
from seedspread.report.document import render_html, render_markdown
from seedspread.report.means import compare_means
from seedspread.report.study_page import study_document
from tests.synthetic import add_seed, found_in


def of(study):
    return {answer.short: answer.lines[0] for answer in answers([found_in(study)])}


def test_each_answer_is_a_number_of_the_records(study):
    found = found_in(study)
    said = of(study)
    scores = found.scores.final
    assert (
        said["Spread"].answer == f"{scores.mean():.2f} ± {scores.std(ddof=1):.2f} %"
        and "24 seeds" in said["Spread"].detail
    )
    assert said["Luck"].answer == f"{100 * (1 - found.luck.reliability):.0f} % of the variance"
    rows = np.array([study.predictions(seed) for seed in range(24)])
    churn = np.mean([np.mean(rows[i] != rows[j]) for i in range(24) for j in range(i)])
    assert said["Agreement"].answer == f"{100 * churn:.2f} % churn"
    low = (scores.min() - scores.mean()) / scores.std(ddof=1)
    assert said["Black swans"].answer == "none shown" and f"{low:+.2f}" in said["Black swans"].detail


def test_what_is_not_known_says_why(make_study):
    single, few = of(make_study([0.8])), of(make_study([0.8, 0.82, 0.84], "few"))
    assert not single["Spread"].known and "one seed" in single["Spread"].detail
    assert [single[short].answer for short in ("Black swans", "Luck", "Agreement")] == ["unknown"] * 3
    assert (
        few["Spread"].known and "3 seeds: at least 5" in few["Black swans"].detail and "5 seeds" in few["Luck"].detail
    )
    loss = make_study([], "loss", metric=Metric.of("val/loss"))
    for seed in range(6):
        add_seed(loss, seed, 0.5 + seed / 40)
    assert "right answers" in of(loss)["Luck"].detail and of(loss)["Spread"].answer.startswith("val/loss ")
    alike = of(make_study([0.8] * 6, "alike"))
    assert "all 6 seeds score the same" in alike["Spread"].detail and alike["Luck"].detail == "all seeds score the same"


def test_outliers_and_collapsed_seeds_are_named(make_study):
    rng = np.random.default_rng(2)
    scores = [*rng.normal(0.9, 0.004, 30), 0.85]
    odd, far = of(make_study(scores, "odd"))["Black swans"], of(make_study([*scores[:30], 0.1], "far"))["Black swans"]
    assert odd.answer == "1 outlier" and odd.detail.startswith("seed 30, ") and odd.detail.endswith("below the median")
    assert far.answer == "1 of 31 seeds collapsed" and far.detail.startswith("no outlier")


def test_means_are_compared_with_the_first_where_the_data_are_the_same(make_study):
    rng = np.random.default_rng(3)
    names = ("base", "higher", "alike", "elsewhere", "single")
    config = {"data": {"name": "dots"}, "trainer": {"max_epochs": 8}}
    scores = (rng.normal(mean, 0.01, 40) for mean in (0.8, 0.85, 0.8, 0.8))
    several = [
        found_in(make_study(values, name, {**config, "data": {"name": "other" if name == "elsewhere" else "dots"}}))
        for name, values in zip(names, [*scores, [0.8]], strict=True)
    ]
    compared = compare_means(several)
    lines = {line.of.split(" against ")[0]: line for line in means_answer(compared).lines}
    assert [lines[name].answer for name in names[1:]] == ["better", "no difference shown", "unknown", "unknown"]
    gain = several[1].mean - several[0].mean
    assert f"{gain:+.2f} points" in lines["higher"].detail and "by Holm" in lines["higher"].detail
    assert lines["elsewhere"].detail == "the data are dots and other"
    assert "higher is better than base" in " ".join(compared.words)


def test_two_copies_have_no_verdict_on_their_means(make_study):
    scores = np.random.default_rng(4).normal(0.8, 0.01, 10)
    compared = compare_means([found_in(make_study(scores, "one")), found_in(make_study(scores, "copy"))])
    assert not compared.found and "have the same scores" in compared.left_out["copy"]


def test_answers_lead_to_the_sections_that_explain_them(study, tmp_path):
    document = study_document([found_in(study)], {})
    page, text = render_html(document, tmp_path), render_markdown(document)
    for answer in document.answers:
        anchor = document.anchor_of(answer)
        assert f'<a href="{anchor}">' in page and f'<h2 id="{anchor[1:]}">' in page
        assert f"- [{answer.short}]({anchor}): **{answer.lines[0].answer}**" in text
    assert "## How much of it is luck?" in text and document.anchor_of(document.answers[2]) == "#how-much-of-it-is-luck"


def test_an_answer_without_a_section_is_no_link(make_study, tmp_path):
    found = found_in(make_study([0.8]))
    document = study_document([found], {})
    luck = next(answer for answer in document.answers if answer.short == "Agreement")
    assert document.anchor_of(luck) == "" and "- Agreement: **unknown**, needs" in render_markdown(document)
    assert "<div class=unknown>" in render_html(document, tmp_path)
