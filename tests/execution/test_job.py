"""Several tasks in one job, started again in mid-write."""

from seedspread.execution.job import read_outcomes, run_job
from tests.execution.test_scheduler import tasks


def test_a_job_that_is_started_again_repairs_what_it_wrote_by_half(tmp_path):
    outcomes, squares = tmp_path / "outcomes", tasks("square", [2, 3, 4])
    run_job(squares[:1], str(tmp_path), outcomes)
    with outcomes.open("ab") as file:
        file.write(outcomes.read_bytes()[:40])
    run_job(squares, str(tmp_path), outcomes)
    assert [outcome.value for outcome, _ in read_outcomes(outcomes, 0)] == [4, 9, 16]
