"""`seedspread agree`."""

from seedspread.commands.agree import main


def test_the_command_tells_and_writes_a_page(study, invoked):
    code, out, _ = invoked(main, f"results={study.folder.parent}", "study=dots")
    assert code == 0 and "two seeds differ on" in out
    page = (study.folder / "agreement" / "index.html").read_text()
    assert "data:image/svg+xml" in page and "Do the seeds of dots agree?" in page


def test_two_studies_are_compared(make_study, invoked):
    for name, accuracies in (("one", [0.8, 0.81, 0.82, 0.79]), ("two", [0.7, 0.72, 0.74, 0.71])):
        study = make_study(accuracies, name=name)
    code, out, _ = invoked(main, f"results={study.folder.parent}", "study=[one,two]")
    assert code == 0 and "A seed of one and one of two differ on" in out
    assert "| one | 4 |" in out and "| two | 4 |" in out and "95 %: " in out and "together" not in out
    assert (study.folder.parent / "one+two" / "agreement" / "index.html").exists()


def test_what_is_unknown_is_said_in_a_line(study, invoked):
    for path in (study.folder / "examples").iterdir():
        path.unlink()
    for arguments, says in (
        (["study=dots"], "the predicted labels of at least 2 seeds are needed"),
        ([], "name one"),
        (["study=nowhere"], "no study in"),
    ):
        code, _, err = invoked(main, f"results={study.folder.parent}", *arguments)
        assert code == 1 and says in err and len(err.strip().splitlines()) == 1
