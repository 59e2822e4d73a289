"""The report as a reader and a browser meet it."""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import re
from html.parser import HTMLParser

import pytest

from mmpl.report.figures import pair_components
from mmpl.report.html import render_report
from mmpl.report.slices import lesion_pictures
from mmpl.results import HPV_SCALE

VOID = {"meta", "img", "br", "hr", "link", "input"}
HOSTILE = "<script>alert('1')</script>\"><img src=x onerror=alert(2)>&amp;"


class Page(HTMLParser):
    """Text and tags of a page; raises where a tag is closed that was not opened."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.words = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).replace("\u00a0", " ").split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)


def _report(results, before=None, pictures=(), clinical=(("Age", "58 years"), ("Site", None))) -> str:
    return render_report(
        results=results,
        before=before,
        lesion_pictures=pictures,
        clinical=list(clinical),
        generated="23 November 2026, 10:12",
    )


@pytest.fixture(scope="module")
def pictures_of(scene):
    return lambda results: lesion_pictures(scene, results["lesions"])


def test_a_corrected_case_shows_both_figures(corrected, model):
    text = Page(_report(corrected, model)).text
    assert "HPV probability 83 % HPV-positive was 79 %" in text
    assert HPV_SCALE in text
    assert "RFS at 2 years 79 % recurrence-free was 76 %" in text
    assert "Risk group Intermediate score +0.08 unchanged" in text
    assert "GTVn, nodes 13.0 mL 2 lesions was 15.5 mL" in text
    assert "GTVp, primary 23.4 mL 1 lesion unchanged" in text
    assert "GTVn 1 12.1 11.7 10.1 6.4 5.8 43.9 model's contours 14.2" in text
    assert "GTVn 2 added 0.9 5.3" in text
    assert "GTVn, removed (model's contour) 1.3 3.9" in text


def test_an_uncorrected_case_says_nothing_of_corrections(corrected):
    html = _report(corrected)
    text = Page(html).text
    assert "was 7" not in text
    assert "unchanged" not in text
    assert "curve-before" not in html.split("</style>")[1]


def test_what_drove_the_prediction_adds_up(corrected):
    text = Page(_report(corrected)).text
    assert "Starting point, before any feature 61 %" in text
    assert "GTVp, PET, LoG 3 mm: first-order Mean 4.32 +4.6" in text
    assert "2 other features together +0.2" in text  # 0.003 - 0.001, in percentage points
    assert "GTVp, PET: GLCM Maximal correlation coefficient missing" in text
    assert "Tobacco: no yes" in text
    assert sum(item["effect"] for item in corrected["contributions"]["hpv"]) + 0.61 == pytest.approx(0.834, abs=1e-3)


def test_provenance_and_notices(corrected):
    text = Page(_report(corrected)).text
    assert "MDA-047" in text
    assert "Model bundle hecktor-2025, version 1.2.0" in text
    assert corrected["notice"] in text
    assert corrected["bundle"]["sha256"] in text
    assert "CT grid, x y z 512 × 512 × 184 CT voxel, mm 0.98 × 0.98 × 2.00" in text
    assert "SUV injected dose, MBq 351" in text
    assert "segmentation 48.9 s" in text
    assert "voxels ≥ 41 % of the lesion's SUVmax" in text
    assert "not a confidence interval" in text
    assert "Age 58 years Site unknown" in text
    assert "synthetic phantoms" not in text


def test_a_phantom_bundle_says_so(corrected):
    corrected["bundle"]["phantom"] = True
    assert "Model trained on synthetic phantoms only" in Page(_report(corrected)).text


def test_no_lesion_reads_well(no_lesion, model):
    for before in (None, model):
        text = Page(_report(no_lesion, before, clinical=())).text
        assert "HPV probability is not given. No primary tumour" in text
        assert "Recurrence-free survival is not given. No primary tumour" in text
        assert "HPV probability – not given" in text
        assert "None" not in text.replace("None given.", "")
    assert "GTVp none found" in Page(_report(no_lesion)).text


def test_predictions_that_were_not_given_before(corrected, no_lesion):
    assert "83 % HPV-positive was not given" in Page(_report(corrected, no_lesion)).text


def test_a_known_status_is_shown_beside_the_prediction(corrected):
    corrected["hpv"]["known"] = "negative"
    text = Page(_report(corrected)).text
    assert "The record says HPV-negative , against the prediction." in text
    assert "HPV-positive; record: negative" in text


def test_the_networks_days_are_no_time_to_expect(corrected):
    """Their batches hold relapsed and other patients in equal parts."""
    corrected["rfs"]["deep_restricted_mean_days"] = 2927.0
    assert (
        "score is 2927 days: the longer, the better the outlook, but no time to expect" in Page(_report(corrected)).text
    )


def test_the_members_range_beside_a_year_is_that_of_its_day(corrected):
    corrected["rfs"]["survival_at"]["2y"], corrected["rfs"]["members_at"]["2y"] = 0.7, [0.614, 0.776]
    assert "2 years 70 % 61–78 %" in Page(_report(corrected)).text


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ([0.997, 0.999], "> 99 %"),
        ([0.9, 0.999], "90 % to > 99 %"),
        ([0.001, 0.004], "< 1 %"),
        ([0.002, 1], "< 1 % to 100 %"),
    ],
)
def test_the_members_range_never_rounds_to_certainty(corrected, members, text):
    corrected["rfs"]["survival_at"]["2y"], corrected["rfs"]["members_at"]["2y"] = members[0], members
    row = Page(_report(corrected)).text.split("2 years ")[-1]
    assert row.split("3 years")[0].strip().endswith(text)


def test_six_nodes_and_a_curve_that_ends_early(corrected):
    node = corrected["lesions"]["GTVn"]["components"][0]
    corrected["lesions"]["GTVn"]["components"] = [node | {"id": k} for k in range(1, 7)]
    corrected["rfs"]["survival_at"]["5y"] = corrected["rfs"]["members_at"]["5y"] = None
    text = Page(_report(corrected)).text
    assert "GTVn, all 6" in text
    assert "GTVn 6 12.1" in text
    assert "RFS at 5 years – no estimate so far out" in text
    assert "5 years – –" in text


def test_hostile_strings_are_only_text(corrected):
    hostile = copy.deepcopy(corrected)
    hostile["case_id"] = hostile["notice"] = hostile["mtv_rule"] = HOSTILE
    hostile["bundle"] |= {"name": HOSTILE, "version": HOSTILE, HOSTILE: HOSTILE}
    hostile["inputs"] = {
        HOSTILE: {HOSTILE: HOSTILE},
        "list": [HOSTILE],
        "ct": {"size": [HOSTILE], "spacing_mm": [1]},
    }
    hostile["warnings"] = [{"code": HOSTILE, "text": HOSTILE}]
    hostile["rfs"]["time_zero"] = HOSTILE
    hostile["contributions"]["hpv"][0]["feature"] = HOSTILE
    hostile["timings_s"] = {HOSTILE: 1.0}
    page = Page(
        render_report(
            results=hostile, before=None, lesion_pictures=[], clinical=[(HOSTILE, HOSTILE)], generated=HOSTILE
        )
    )
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert not [a for a in page.attributes if a[1].startswith("on")]
    assert page.text.count("<script>alert('1')</script>") >= 15


def test_null_with_a_hostile_reason(no_lesion):
    no_lesion["hpv"]["reason"] = no_lesion["rfs"]["reason"] = HOSTILE
    assert "script" not in Page(_report(no_lesion)).tags


def test_other_scripts_survive(corrected):
    corrected["case_id"] = "Überprüfung-患者-ﺍ"
    assert "Überprüfung-患者-ﺍ" in Page(_report(corrected)).text


def test_one_file_that_loads_nothing(corrected, model, pictures_of):
    html = _report(corrected, model, pictures_of(corrected))
    page = Page(html)
    assert re.findall(r"\w*:?//\w+", re.sub(r"base64,[^\"]+", "", html)) == []
    assert "url(" not in html
    assert "@import" not in html
    assert not set(page.tags) & {"script", "link", "iframe", "object", "embed", "base"}
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "srcset")]
    assert len(sources) == 12  # four lesions, three planes
    assert all(value.startswith("data:image/png;base64,") for value in sources)
    assert all(value for tag, name, value in page.attributes if (tag, name) == ("img", "alt"))


def test_a_pet_that_is_not_suv_has_no_suv_scale(corrected, scene):
    counts = dataclasses.replace(scene, model_labels=None, pet_top_suv=None)
    text = Page(_report(corrected, None, lesion_pictures(counts, corrected["lesions"]))).text
    assert "PET, not in SUV" in text
    assert "PET colour scale" not in text


def test_the_policy_allows_this_style_sheet_and_no_inline_styles(corrected, model):
    html = _report(corrected, model)
    page = Page(html)
    style = re.search(r"<style>(.*)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [v for _, n, v in page.attributes if n == "content" and v.startswith("default-src")]
    assert policy == f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    assert not [a for a in page.attributes if a[1] == "style"]


def test_the_style_sheet_knows_dark_and_print(corrected):
    style = _report(corrected).split("</style>")[0]
    assert "@media (prefers-color-scheme: dark)" in style
    assert "@media print" in style
    assert "size: A4" in style


def test_every_class_that_a_chart_uses_is_styled(corrected, model):
    html = _report(corrected, model)
    style, body = html.split("</style>")
    used = {
        name for value in re.findall(r'<(?:path|rect|line|circle|text) class="([^"]+)"', body) for name in value.split()
    }
    assert {name for name in used if f".{name}" not in style} - {"tick"} == set()


def test_lesions_pair_by_nearest_centroid_once():
    def at(id_, x):
        return {"id": id_, "centroid_lps_mm": [x, 0, 0]}

    now, before = [at(1, 0), at(2, 8), at(3, 100)], [at(1, 3), at(2, 60)]
    pairs = [(a and a["id"], b and b["id"]) for a, b in pair_components(now, before)]
    assert pairs == [(1, 1), (2, None), (3, None), (None, 2)]


def test_the_same_results_give_the_same_page(corrected, model):
    assert _report(corrected, model) == _report(corrected, model)


CASCADE = {
    "plan": {"name": "fast"},
    "backend": "OpenVINO, bf16, cpu",
    "members": 10,
    "searchers": 2,
    "passes": 12,
    "computed_share": 0.274,
    "shrunk": 0,
}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "OpenVINO, bf16, cpu: 2 of 10 members everywhere, all where they found anything possible"),
        ({}, "12 network passes, 27 % of the work of one pass of every member over the whole region"),
        ({"searchers": 10}, "OpenVINO, bf16, cpu: 10 members everywhere"),
        ({"members": 1, "searchers": 1}, "OpenVINO, bf16, cpu: 1 member everywhere"),
        ({"plan": {"name": "paper"}}, "OpenVINO, bf16, cpu: 10 members in overlapping windows"),
        ({"computed_share": 5.51}, "5.5 times the work of one pass"),
        ({"shrunk": 2}, "; 2 passes cut in two for lack of memory"),
    ],
)
def test_how_the_model_drew_is_said(corrected, changes, said):
    assert said in Page(_report({**corrected, "segmentation": {**CASCADE, **changes}})).text


def test_given_contours_were_drawn_by_nobody(corrected):
    assert "Contours drawn by" not in Page(_report({**corrected, "segmentation": None})).text
