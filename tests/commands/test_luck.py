"""`seedspread luck`."""

from seedspread.commands.luck import main


def test_the_command_tells_and_writes_a_page(study, invoked):
    code, out, _ = invoked(main, f"results={study.folder.parent}", "study=dots")
    assert code == 0 and "points" in out and "rank" in out
    page = (study.folder / "luck" / "index.html").read_text()
    assert "data:image/svg+xml" in page and "How much of dots is luck?" in page


def test_what_is_unknown_is_said_in_a_line(study, invoked):
    for path in (study.folder / "examples").iterdir():
        path.unlink()
    for arguments, says in (
        (["study=dots"], "the predictions of at least 5 seeds are needed"),
        ([], "name one, or several"),
        (["study=nowhere"], "no study in"),
    ):
        code, _, err = invoked(main, f"results={study.folder.parent}", *arguments)
        assert code == 1 and says in err and len(err.strip().splitlines()) == 1
