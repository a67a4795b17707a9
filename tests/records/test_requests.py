"""What sweeps ask of a study: the seeds, and to stop."""

from seedspread.records.requests import asked_seeds, request_seeds, request_stop, stop_reason


def test_a_new_sweep_forgets_the_stop_of_the_one_before(tmp_path):
    assert asked_seeds(tmp_path) == [] and stop_reason(tmp_path) is None
    request_stop(tmp_path, "out of luck")
    assert stop_reason(tmp_path) == "out of luck"
    request_seeds(tmp_path, "0-2,7")
    assert stop_reason(tmp_path) is None and asked_seeds(tmp_path) == [0, 1, 2, 7]


def test_a_torn_list_of_seeds_asks_for_none(tmp_path):
    (tmp_path / "asked").write_text("0-2,x")
    assert asked_seeds(tmp_path) == []
