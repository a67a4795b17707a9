"""The index of a folder of results: what it lists, and that it survives whatever lies there."""

import json
import threading
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest

from seedspread.execution.leases import Worker
from seedspread.records.requests import request_seeds, request_stop
from seedspread.report import results_index
from seedspread.report.results_index import render_index, write_index
from seedspread.report.study_page import write_report, write_side_by_side
from seedspread.report.summary import Summary
from tests import browser
from tests.synthetic import add_seed, found_in


class Rows(HTMLParser):
    """The cells of each row, and every address of the page."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.addresses, self.within = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        elif tag == "td":
            self.rows[-1].append("")
        elif tag == "a":
            self.addresses.append(dict(attrs)["href"])

        self.within = self.within or tag == "td"

    def handle_endtag(self, tag):
        self.within = self.within and tag != "td"

    def handle_data(self, data):
        if self.within:
            self.rows[-1][-1] += data


def listed(results):
    return {row[0]: row for row in Rows((results / "index.html").read_text()).rows if row}


def test_every_report_lists_every_study(make_study):
    one, other = make_study([0.8, 0.81, 0.83], "one"), make_study([0.5, 0.52], "other")
    results = one.folder.parent
    write_report(one)
    rows = listed(results)
    assert (
        set(rows) == {"one", "other"}
        and rows["one"][2] == found_in(one).digits.plus_minus(found_in(one).mean, found_in(one).std) + " %"
    )
    assert rows["one"][3] == "3" and rows["one"][-1] == "complete" and rows["other"][-1] == "complete, to be reported"
    write_report(other)
    write_side_by_side([found_in(one), found_in(other)])
    assert listed(results)["other"][-1] == "complete"
    page = (results / "index.html").read_text()
    assert page.count("<polyline") == 2 and 'href="one%2Bother/report/index.html"' in page
    addresses = Rows(page).addresses
    assert len(addresses) == 3 and all((results / unquote(address)).exists() for address in addresses)


def test_the_status_is_that_of_the_folder(make_study):
    study = make_study([0.8, 0.81, 0.83])
    add_seed(study, 3, 0.1, status="diverged")
    write_report(study)
    results = study.folder.parent

    def status():
        write_index(results)
        return listed(results)["dots"][-1]

    assert status() == "complete, 1 diverged"
    request_seeds(study.folder, "0-9")
    assert status() == "interrupted, 4 of 10 seeds, 1 diverged"
    request_stop(study.folder, "fail_fast")
    assert status() == "stopped: fail_fast, 4 of 10 seeds, 1 diverged"
    holder = Worker(study.folder)
    holder.acquire([4])
    assert status() == "running, 4 of 10 seeds, 1 diverged"
    holder.close()
    add_seed(study, 4, 0.8)
    assert status().endswith("1 diverged, report of 4")
    assert "<small>of 4 seeds</small>" in (results / "index.html").read_text()


def test_names_are_text_in_the_index(make_study):
    odd = make_study([0.8, 0.81], '<b>x & "y" #1 50%')
    write_report(odd)
    results = odd.folder.parent
    page = (results / "index.html").read_text()
    assert "<b>" not in page and set(listed(results)) == {odd.name}
    assert (results / unquote(Rows(page).addresses[0])).exists()


@pytest.mark.parametrize("stored", ["", "{}", "[1]", '{"metric": "x"', "<script>"])
def test_a_damaged_summary_is_a_study_without_one(make_study, stored):
    study = make_study([0.8, 0.81])
    page, _ = write_report(study)
    page.with_name("summary.json").write_text(stored)
    write_index(study.folder.parent)
    assert listed(study.folder.parent)["dots"][-1] == "complete, to be reported"


def test_a_summary_holds_plain_numbers(make_study):
    page, found = write_report(make_study([0.8]))
    stored = json.loads(page.with_name("summary.json").read_text(), parse_constant=pytest.fail)
    assert stored["records"] == 1 and stored["curve"]["mean"] == pytest.approx(found.curves[0].tolist())
    assert Summary.read(page.parent).answers["Agreement"] == "unknown"


def test_a_page_of_somebody_else_stays(make_study):
    study = make_study([0.8, 0.81])
    mine = study.folder.parent / "index.html"
    mine.write_text("<h1>my homepage</h1>")
    write_report(study)
    assert mine.read_text() == "<h1>my homepage</h1>"


def test_no_record_is_read(make_study):
    study = make_study([0.8, 0.81])
    write_report(study)
    for path in [*(study.folder / "seeds").iterdir(), study.folder / "study.yaml"]:
        path.write_text("not to be read")
    write_index(study.folder.parent)
    assert listed(study.folder.parent)["dots"][3] == "2"


def test_a_report_that_ends_while_the_index_is_made_is_listed(make_study, monkeypatch):
    one, other = make_study([0.8, 0.81], "one"), make_study([0.7, 0.71], "other")
    write_report(one)
    results, rendered = one.folder.parent, []

    def render(folder):
        page = render_index(folder)
        if not rendered:  # the other report writes its summary and its index after this one has looked
            rendered.append(page)
            monkeypatch.setattr(results_index, "render_index", render_index)
            write_report(other)
        return page

    monkeypatch.setattr(results_index, "render_index", render)
    write_index(results)
    assert rendered and listed(results)["other"][-1] == "complete"


def test_indices_written_at_once_leave_one_whole_page(make_study):
    study = make_study([0.8, 0.81])
    write_report(study)
    results = study.folder.parent
    threads = [threading.Thread(target=write_index, args=(results,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (results / "index.html").read_text().rstrip().endswith("</html>")
    assert {path.name for path in results.iterdir()} == {"dots", "index.html"}


def test_the_index_in_a_browser_fits_a_telephone(make_study, chromium):
    study = make_study([0.8, 0.81, 0.82], "a_rather_long_name_of_a_study_with-many-words-in-it")
    write_report(study)
    chromium.get((study.folder.parent / "index.html").resolve().as_uri())
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    )
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 400
    assert browser.drawn(chromium, "polyline")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
