"""What the command says and writes, whatever the task."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from mmpl.results import RESEARCH_USE

HOSTILE = "<script>alert(1)</script>&\"'"
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and text; raises where a tag is closed that was not opened."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, words = [], [], [], []
        self.words = words
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(words).replace("\u00a0", " ").split())

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


@pytest.fixture
def hpv(table):
    pred = table("pred.csv", "PatientID,hpv_probability", *((f"P{k:02d}", (k % 7) / 7) for k in range(24)))
    truth = table("truth.csv", "PatientID,HPV Status,CenterID", *((f"P{k:02d}", k % 2, k % 3) for k in range(24)))
    return pred, truth


@pytest.fixture
def rfs(table):
    pred = table(
        "pred.csv",
        "PatientID,risk,survival_365,survival_730",
        *((f"P{k:02d}", k % 7, 0.9 - 0.02 * (k % 7), 0.8 - 0.05 * (k % 7)) for k in range(24)),
    )
    rows = ((f"P{k:02d}", int(k % 3 > 0), 40 * (25 - k) + 7 * (k % 5), f"{HOSTILE}{k % 2}") for k in range(24))
    return pred, table("truth.csv", "PatientID,Relapse,RFS,CenterID", *rows)


@pytest.fixture
def page(evaluate, tmp_path):
    def read(task, pred, truth, *options) -> Page:
        assert evaluate(task, pred, truth, "--html", tmp_path / "report.html", *options).code == 0
        return Page((tmp_path / "report.html").read_text(encoding="utf-8"))

    return read


def test_the_table_on_the_terminal(hpv, evaluate):
    ran = evaluate("hpv", *hpv)
    assert (ran.code, ran.errors) == (0, [])
    assert re.search(r"patients scored +24\n", ran.out)
    assert re.search(r"AUC \(0\.5 is chance\) +0\.\d{3} \(0\.\d{3} to 0\.\d{3}\)\n", ran.out)
    assert ran.out.rstrip().endswith(RESEARCH_USE)


def test_json_is_what_the_terminal_shows(hpv, scored, evaluate):
    found = scored("hpv", *hpv)
    auc = found["measures"]["auc"]
    shown = f"{auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})"
    assert shown in evaluate("hpv", *hpv).out
    assert (found["format_version"], found["task"], found["notice"]) == ("1.0", "hpv", RESEARCH_USE)
    assert found["inputs"] == {"predictions": str(hpv[0]), "truth": str(hpv[1])}
    assert found["settings"]["bootstrap_seed"] == 0


def test_the_seed_repeats_every_figure(hpv, scored):
    assert scored("hpv", *hpv, "--seed", 5) == scored("hpv", *hpv, "--seed", 5)
    assert scored("hpv", *hpv, "--seed", 5)["measures"] != scored("hpv", *hpv, "--seed", 6)["measures"]


def test_the_page_loads_and_runs_nothing(rfs, page):
    found = page("rfs", *rfs)
    assert not set(found.tags) & {"script", "link", "iframe", "object", "embed", "base", "img"}
    assert not [a for a in found.attributes if a[1] in ("src", "href", "style") or a[1].startswith("on")]
    assert f"{HOSTILE}0" in found.text
    assert found.tags.count("svg") == 3  # Kaplan-Meier, calibration, centres


def test_the_pages_policy_allows_its_style_sheet_alone(hpv, page, tmp_path):
    found = page("hpv", *hpv)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    style = re.search(r"<style>(.*)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [v for _, n, v in found.attributes if n == "content" and v.startswith("default-src")]
    assert policy == f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    used = {n for tag, key, v in found.attributes if key == "class" and tag != "svg" for n in v.split()}
    assert {name for name in used if f".{name}" not in style} - {"tick"} == set()


def test_the_page_shows_figures_with_their_reasons(rfs, page):
    text = page("rfs", *rfs).text
    assert "MMPL experiment report: predictions against truth" in text
    assert RESEARCH_USE in text
    assert re.search(r"Harrell's C-index \(0\.5 is chance\) 0\.\d{3} 0\.\d{3} to 0\.\d{3}", text)
    assert "Not given: no follow-up beyond 3 years." in text
    assert "Kaplan-Meier by risk group" in text
    assert re.search(r"Log-rank p: (0\.\d{3}|below 0\.001)\.", text)


def test_charts_say_in_words_what_they_show(hpv, page):
    text = page("hpv", *hpv, "--bins", 2).text
    assert re.search(r"n=\d+: predicted \d+ %, observed \d+ %; n=\d+: predicted", text)
    assert re.search(r"AUC by centre 0 \(n=8\): (not given|\d\.\d{3})", text)


def test_segmentation_makes_a_page_too(label_maps, page):
    bars = {"A.nii.gz": [(1, 0, 4, 0), (2, 0, 4, 6)]}
    found = page("segmentation", label_maps("pred", bars), label_maps("truth", bars))
    assert "GTVp mean Dice (higher is better) 1.000" in found.text
    assert found.tags.count("svg") == 2
    assert "Not given: the truth has no column CenterID." in found.text


# --- outputs and options ------------------------------------------------------------------------------


def test_outputs_that_cannot_be_written_are_refused_before_the_work(hpv, evaluate, tmp_path):
    pred, truth = hpv
    old = truth.read_bytes()

    def line(*options):
        ran = evaluate("hpv", tmp_path / "absent.csv", truth, *options)
        assert (ran.code, ran.out, len(ran.errors)) == (2, "", 1)
        return ran.errors[0]

    assert "no/such/f.json: its folder does not exist" in line("--json", tmp_path / "no" / "such" / "f.json")
    assert "is a folder: give a file name" in line("--html", tmp_path)
    assert f"--csv {truth} would replace {truth}: give another name" in line("--csv", truth)
    assert "would replace" in line("--json", tmp_path / "a", "--html", tmp_path / "." / "a")
    assert truth.read_bytes() == old
    assert evaluate("hpv", pred, truth, "--json", tmp_path / "new.json").code == 0
    assert json.loads((tmp_path / "new.json").read_text(encoding="utf-8"))["task"] == "hpv"


def test_a_file_in_a_folder_that_is_read_is_never_replaced(label_maps, table, evaluate, tmp_path, contents):
    bars = {"A.nii.gz": [(1, 0, 4, 0)]}
    pred = label_maps("pred", {"A/mask.nii.gz": bars["A.nii.gz"]})
    cohort = label_maps("cohort/Task 1", bars).parent
    centers = table("cohort/Task 1/HECKTOR_2025_Training_Task_1.csv", "PatientID,CenterID", ("A", 1))
    cases = table("pred/cases.csv", "case_id,status", ("A", "done"))
    (tmp_path / "elsewhere").mkdir()
    link, linked = cohort / "linked.csv", tmp_path / "elsewhere" / "table.csv"
    linked.write_text("PatientID\n", encoding="utf-8")
    link.symlink_to(linked)
    back = tmp_path / "elsewhere" / "back.csv"
    back.symlink_to(centers)
    before = contents(tmp_path)
    for given, home in ((centers, cohort), (pred / "A" / "mask.nii.gz", pred), (cases, pred), (link, cohort)):
        for option in ("--csv", "--json", "--html"):
            ran = evaluate("segmentation", pred, cohort, "--json", tmp_path / "new.json", option, given)
            sentence = f"{option} {given} would replace a file in {home}, which is read: give another name"
            assert (ran.code, ran.out, ran.errors) == (2, "", [f"mmpl evaluate: {sentence}"])
    assert evaluate("segmentation", pred, cohort, "--csv", back).code == 2
    assert contents(tmp_path) == before
    assert evaluate("segmentation", pred, cohort, "--csv", pred / "scores.csv").code == 0  # a new file may lie there


@pytest.mark.parametrize(
    ("option", "task"), [(("--iou", 0.5), "segmentation"), (("--resample",), "segmentation"), (("--bins", 3), "hpv")]
)
def test_an_option_of_another_task_is_refused(rfs, refused, option, task):
    assert refused("rfs", *rfs, *option) == f"{option[0]} is for 'mmpl evaluate {task}', not for rfs"


def test_a_task_that_does_not_exist(mmpl):
    ran = mmpl("evaluate", "dose", "--pred", "p", "--truth", "t")
    assert ran.code == 2
    assert len(ran.errors) == 1
    assert "invalid choice: 'dose'" in ran.errors[0]


def test_phantom_results_are_called_so(hpv, scored, tmp_path):
    pred, truth = hpv
    assert not any("Phantom" in note for note in scored("hpv", pred, truth)["notes"])
    cohort = tmp_path / "cohort" / "Task 3"
    cohort.mkdir(parents=True)
    inside = cohort / "HECKTOR_2025_Training_Task_3.csv"
    inside.write_bytes(truth.read_bytes())
    (tmp_path / "cohort" / "phantom.json").write_text("{}", encoding="utf-8")
    said = "Phantom results: the truth is synthetic, and the figures say nothing about patients."
    for place in (inside, tmp_path / "cohort"):
        assert scored("hpv", pred, place)["notes"][0] == said
