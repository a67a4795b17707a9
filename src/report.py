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
from src.study.scores import Scores
from src.study.store import Study, study_folder, unwritable, write_atomically
from src.study.tensorboard import write_run
from src.train import CONF


def report(studies: Sequence[Study]) -> tuple[Path, list[Findings]]:
    """Write the report of one study, or of each of several and of all side by side; return the page and its numbers.

    Raises InputError where a study has no finished seed, or curves of different lengths.
    """
    several = [Findings.of(Scores.of(study)) for study in studies]
    try:
        for found in several:
            page = _written([found], found.scores.study.folder / "report")
            figures = {name: page.with_name(f"{name}.png") for name in ("learning_curves", "histogram")}
            texts = {"table": results_table([found]), "how_to_repeat": commands(found.scores)}
            write_run(found, figures, texts | ({"note": note} if (note := stands_on(found.scores)) else {}))
        if len(several) > 1:
            beside = several[0].scores.study.folder
            page = _written(several, beside.with_name("+".join(found.name for found in several)) / "report")
    except OSError as error:
        raise unwritable(studies[0].folder, error) from error
    return page, several


def _written(several: Sequence[Findings], folder: Path) -> Path:
    """Write the files of one report into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    captions = draw(several, folder)
    text = markdown_page(several, captions)
    write_atomically(folder / "report.md", text.encode())
    table(several).to_csv(folder / "table.csv", index=False)
    (folder / "table.tex").write_text(latex_table(several))
    if len(several) == 1:
        seeds, curves = several[0].scores.seeds_table(), several[0].scores.curves_table()
        seeds.to_csv(folder / "seeds.csv", index=False)
        seeds.to_parquet(folder / "seeds.parquet", index=False)
        curves.to_parquet(folder / "curves.parquet", index=False)
    page = folder / "index.html"
    write_atomically(page, html_page(text, folder).encode())
    return page


@hydra.main(version_base="1.3", config_path=CONF, config_name="report")
def main(cfg: DictConfig) -> None:
    """Write the reports that `cfg` asks for, and say where."""
    with plain_errors():
        results = Path(cfg.results)
        names = named_studies(cfg)
        if not names:
            there = ", ".join(sorted(path.parent.name for path in results.glob("*/study.yaml")))
            raise InputError(f"study=?: name one, or several as study=[ONE,OTHER]; {results} has {there or 'none'}")
        page, several = report([Study.load(study_folder(cfg.results, name)) for name in names])
        for found in several:
            print(headline(found))
        print(f"report in {page}\nbands: tensorboard --logdir {results}")


if __name__ == "__main__":
    run(main)
