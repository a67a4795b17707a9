"""What a study says, as a page, tables, figures and TensorBoard bands: `python -m src.report study=digits`.

From the records alone; neither torch nor Lightning is imported.
"""

from collections.abc import Sequence
from pathlib import Path

import hydra
from omegaconf import DictConfig

from src.command_line import named_studies, plain_errors, run
from src.errors import InputError
from src.study.figures import draw
from src.study.findings import Findings, headline
from src.study.page import commands, html_page, latex_table, markdown_page, results_table, stands_on, table
from src.study.scores import NothingFinished, Scores
from src.study.store import Study, drafted, folder_of_several, studies_in, study_folder, unwritable
from src.study.tensorboard import write_run
from src.train import CONF


def report(studies: Sequence[Study]) -> tuple[Path, list[Findings]]:
    """Write the report of one study, or of each of several and of all side by side; return the page and its numbers.

    Of several, those without a finished seed are left out and named. Raises InputError where none has one, or where
    curves have different lengths.
    """
    several = []
    for study in studies:
        try:
            page, found = report_of(study)
            several.append(found)
        except NothingFinished as error:
            if len(studies) == 1:
                raise
            print(f"left out: {error}", flush=True)
    if not several:
        raise NothingFinished(f"none of {', '.join(study.name for study in studies)} has a finished seed")
    return side_by_side(several) if len(several) > 1 else page, several


def report_of(study: Study) -> tuple[Path, Findings]:
    """Write the report of one study and its TensorBoard run; return the page and its numbers. Raises as `report`."""
    found = Findings.of(Scores.of(study))
    try:
        page = _written([found], study.folder / "report")
        figures = {name: page.with_name(f"{name}.png") for name in ("learning_curves", "histogram")}
        texts = {"table": results_table([found]), "how_to_repeat": commands(found.scores)}
        write_run(found, figures, texts | ({"note": note} if (note := stands_on(found.scores)) else {}))
    except OSError as error:
        raise unwritable(study.folder, error) from error
    return page, found


def side_by_side(several: Sequence[Findings]) -> Path:
    """Write the report of several studies as one, beside theirs; return the page. Raises InputError as `report`."""
    results = several[0].scores.study.folder.parent
    folder = folder_of_several(results, "+".join(found.name for found in several))
    try:
        return _written(several, folder / "report")
    except OSError as error:
        raise unwritable(folder, error) from error


def _written(several: Sequence[Findings], folder: Path) -> Path:
    """Write the files of one report into `folder`: all of them, or where something fails none."""
    with drafted(folder) as draft:
        text = markdown_page(several, draw(several, draft))
        (draft / "report.md").write_text(text)
        (draft / "index.html").write_text(html_page(text, draft))
        (draft / "table.tex").write_text(latex_table(several))
        table(several).to_csv(draft / "table.csv", index=False)
        if len(several) == 1:
            seeds, curves = several[0].scores.seeds_table(), several[0].scores.curves_table()
            seeds.to_csv(draft / "seeds.csv", index=False)
            seeds.to_parquet(draft / "seeds.parquet", index=False)
            curves.to_parquet(draft / "curves.parquet", index=False)
    return folder / "index.html"


@hydra.main(version_base="1.3", config_path=CONF, config_name="report")
def main(cfg: DictConfig) -> None:
    """Write the reports that `cfg` asks for, and say where."""
    with plain_errors():
        names = list(dict.fromkeys(named_studies(cfg)))
        if not names:
            there = ", ".join(studies_in(cfg.results)) or "none"
            raise InputError(f"study=?: name one, or several as study=[ONE,OTHER]; {cfg.results} has {there}")
        page, several = report([Study.load(study_folder(cfg.results, name)) for name in names])
        for found in several:
            print(headline(found))
        print(f"report in {page}\nbands: tensorboard --logdir {cfg.results}")


if __name__ == "__main__":
    run(main)
