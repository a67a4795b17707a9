"""A report as text (Markdown), as one page that needs no network, and as tables for papers and for pandas."""

from collections.abc import Iterable, Mapping, Sequence

from seedspread.config.overrides import shorten_seeds
from seedspread.decide.verdict import ArmComparison
from seedspread.report import verdict_words
from seedspread.report.findings import Findings
from seedspread.report.luck import describe_luck
from seedspread.report.markdown import escape_markdown, format_figures
from seedspread.report.repeat import how_to_repeat, shortcomings_note
from seedspread.report.tables import results_table
from seedspread.report.wording import (
    black_swans,
    distribution,
    headline,
    pretraining,
    spreads,
    stability,
)


def markdown_page(several: Sequence[Findings], figures: Mapping[str, str]) -> str:
    """The whole report in Markdown; `figures` are captions by name, their files NAME.png beside it."""
    drawn = format_figures(figures)

    def section(title: str, words: Iterable[str], *names: str) -> list[str]:
        return [f"## {title}", *map(escape_markdown, words), *(drawn[name] for name in names if name in drawn)]

    parts = [f"# {escape_markdown(' and '.join(found.name for found in several))}"]
    parts += [f"**{escape_markdown(headline(found))}**" for found in several]
    parts += [results_table(several), *(note for found in several if (note := shortcomings_note(found.scores)))]
    parts.append(drawn["learning_curves"])
    words = (line for found in several for line in distribution(found))
    about_spread = ("histogram", "as_seeds_are_added", "spread_over_epochs", "losses")
    parts += section("How are the scores distributed over seeds?", words, *about_spread)
    words = (line for found in several for line in black_swans(found))
    parts += section('Are there "black swan" seeds?', words, "sorted_accuracies")
    parts += section("How much of it is luck?", luck_words(several), "luck")
    if words_on_stability := [line for found in several for line in stability(found)]:
        parts += section("Is the training stable?", words_on_stability, "gradient_norms")
    parts += section("Does pretraining shrink the spread?", pretraining(several))
    if len(several) > 2 or (len(several) == 2 and not any(found.pretrained for found in several)):
        parts += section("Do the spreads differ?", spreads(several), "spreads")
    elif len(several) == 2:
        parts.append(drawn["spreads"])
    parts += [part for found in several for part in how_to_repeat(found.scores)]
    parts.append(
        "Accuracies are percent of the test set, std is the sample's (ddof = 1). 95 % intervals: Student's for the "
        "mean, Bonett's (2006) for the std, percentile bootstrap for the median and the interquartile mean (IQM: the "
        "mean of the middle half). The extremes have none: more seeds move them. The paper is Picard 2021, "
        "[arXiv 2109.08203](https://arxiv.org/abs/2109.08203)."
    )
    return "\n\n".join(parts) + "\n"


def luck_words(several: Sequence[Findings]) -> list[str]:
    """What of each study's spread is luck with the test set; why it cannot be said where it cannot."""
    words = []
    for found in several:
        if found.luck is not None:
            words += describe_luck(found.luck)
            if left := sorted(set(found.scores.seeds.tolist()) - set(found.luck.seeds.tolist())):
                words.append(
                    f"Without seed {shorten_seeds(left)} of {found.name}, whose predictions are missing or damaged."
                )
        else:
            why = "all score the same" if not found.std else "the predictions of at least 5 seeds are needed"
            words.append(f"{found.name}: how much of the spread is luck cannot be said: {why}.")
    return words


def luck_markdown(found: Findings, figures: Mapping[str, str]) -> str:
    """The section on luck as a page of its own, in Markdown."""
    title = f"# How much of {escape_markdown(found.name)} is luck?"
    words = map(escape_markdown, luck_words([found]))
    return (
        "\n\n".join([title, f"**{escape_markdown(headline(found))}**", *words, *format_figures(figures).values()])
        + "\n"
    )


def verdict_tables(c: ArmComparison) -> list[str]:
    """What a verdict stands on, in Markdown: the table, and the notes."""
    lines = [
        "| | |",
        "|---|---|",
        *(f"| {escape_markdown(what)} | {escape_markdown(told)} |" for what, told in verdict_words.rows(c)),
    ]
    return ["\n".join(lines), "\n".join(f"- {escape_markdown(note)}" for note in verdict_words.notes(c))]
