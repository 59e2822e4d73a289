"""A quick look at a bundle says what the verified record says, without what that needs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import zipfile

import pytest

from mmpl.bundle.parts import CohortSurvival
from mmpl.bundle.peek import BundleCard, peek
from mmpl.bundle.reader import Bundle, default_bundle_path, open_bundle
from mmpl.bundle.writer import write_bundle, zip_bundle
from mmpl.errors import BundleError

FIELDS = [f.name for f in dataclasses.fields(BundleCard) if f.name != "sha256"]  # sha256 is of them
CURVE = CohortSurvival((0, 10.0, 20.0), (1, 0.5, 0.5), (4, 4, 1), 4, 2)

BARE = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"jsonschema", "torch", "safetensors", "numba", "scipy", "lifelines"}:
            raise ModuleNotFoundError(f"{name} is kept out by the test")

sys.meta_path.insert(0, Absent())
from mmpl.bundle.peek import peek
from mmpl.bundle.store import default_bundle_path
card = peek(default_bundle_path())
print(card.name, card.members, card.cohort_survival.patients)
"""


def refusal(path) -> str:
    with pytest.raises(BundleError) as caught:
        peek(path)
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text
    return text


def assert_same(card: BundleCard, bundle: Bundle) -> None:
    info = bundle.info
    of_its_own = {"members": len(info.members), "sha256": bundle.sha256}
    names = {f.name for f in dataclasses.fields(card)}
    said = {name: getattr(info, name) for name in names - set(of_its_own)}
    assert {name: getattr(card, name) for name in names} == {**said, **of_its_own}


def test_the_demo_bundle_says_the_same_either_way():
    path = default_bundle_path()
    assert_same(peek(path), open_bundle(path))


@pytest.mark.parametrize("curve", [None, CURVE])
def test_folder_and_zip_say_the_same(tmp_path, an_info, a_payload, curve):
    bundle = write_bundle(tmp_path / "b", dataclasses.replace(an_info, cohort_survival=curve), a_payload)
    zip_bundle(bundle, tmp_path / "b.zip")
    assert_same(peek(tmp_path / "b"), bundle)
    assert peek(str(tmp_path / "b.zip")) == peek(tmp_path / "b")


def test_the_libraries_of_inference_are_not_needed():
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True)
    assert (done.stderr, done.stdout.split()) == ("", ["mmpl-demo", "3", "300"])


def test_a_bundle_whose_weights_are_damaged_can_still_be_looked_at(a_bundle_folder):
    (a_bundle_folder / "m0" / "rfs.safetensors").write_bytes(b"damaged")
    assert peek(a_bundle_folder).name == "test-bundle"


def test_nothing_there(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nowhere")


def test_a_folder_of_something_else_is_not_searched(tmp_path):
    (tmp_path / "malware.exe").write_bytes(b"MZ")
    assert "has no bundle.json: it is not an MMPL bundle" in refusal(tmp_path)


def test_a_file_of_something_else(tmp_path):
    (tmp_path / "thesis.docx").write_bytes(b"words")
    assert "neither a folder nor a zip file" in refusal(tmp_path / "thesis.docx")


def test_a_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("notes.txt", "words")
    assert "has no bundle.json" in refusal(tmp_path / "b.zip")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b'{"name": NaN}', b"[" * 100_000])
def test_what_is_no_json(a_bundle_folder, data):
    (a_bundle_folder / "bundle.json").write_bytes(data)
    assert "is not valid JSON" in refusal(a_bundle_folder)


@pytest.mark.parametrize("value", [b'"\\ud800"', b"1e999"])
def test_json_that_has_no_form_of_its_own(a_bundle_folder, value):
    path = a_bundle_folder / "bundle.json"
    path.write_bytes(path.read_bytes().rstrip().removesuffix(b"}") + b', "more": ' + value + b"}")
    assert "bundle.json is not valid JSON" in refusal(a_bundle_folder)


def test_what_a_bundle_says_otherwise_makes_another_fingerprint(a_bundle_folder, rewrite):
    before = peek(a_bundle_folder)
    rewrite(lambda raw: raw["thresholds"].update(hpv=0.9))
    after = peek(a_bundle_folder)
    assert (before.name, before.version) == (after.name, after.version)
    assert before.sha256 != after.sha256


def test_json_of_something_else(a_bundle_folder):
    (a_bundle_folder / "bundle.json").write_text("[]", encoding="utf-8")
    assert "holds no object" in refusal(a_bundle_folder)
    (a_bundle_folder / "bundle.json").write_text("{}", encoding="utf-8")
    assert "it is not an MMPL bundle" in refusal(a_bundle_folder)


def test_another_format_version(a_bundle_folder, rewrite):
    rewrite(lambda raw: raw.update(format_version="2.0"))
    assert "format version '2.0'" in refusal(a_bundle_folder)


@pytest.mark.parametrize("name", [name for name in FIELDS if name != "cohort_survival"])
def test_a_missing_field(a_bundle_folder, rewrite, name):
    rewrite(lambda raw: raw.pop(name))
    assert f"lacks {name}" in refusal(a_bundle_folder)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_of_the_wrong_type(a_bundle_folder, rewrite, name):
    rewrite(lambda raw: raw.update({name: None}))
    assert f"{name} is None, expected" in refusal(a_bundle_folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("thresholds", "hpv"), "0.5"),
        (("thresholds", "GTVp"), True),
        (("limitations", 0), 7),
        (("clinical", 1), ""),
        (("risk_tertiles",), [0.0]),
        (("risk_tertiles",), [0.0, "1"]),
        (("risk_tertiles",), [1.0, 0.0]),
        (("rfs_last_day",), 10**400),
        (("members",), {}),
        (("cohort_survival", "days"), [0, 10, "20"]),
        (("cohort_survival", "at_risk"), [4, 4, 1.5]),
        (("cohort_survival", "patients"), True),
    ],
)
def test_a_value_of_the_wrong_type_in_a_field(a_bundle_folder, rewrite, path, value):
    def edit(raw):
        raw["cohort_survival"] = dataclasses.asdict(CURVE)
        for step in path[:-1]:
            raw = raw[step]
        raw[path[-1]] = value

    rewrite(edit)
    assert path[0] in refusal(a_bundle_folder)


def test_other_words_are_shortened_in_the_message(a_bundle_folder, rewrite):
    rewrite(lambda raw: raw.update(name=["x"] * 1000))
    assert len(refusal(a_bundle_folder)) < 300 + len(str(a_bundle_folder))


def test_content_is_json_that_a_front_end_can_pass_on(a_bundle_folder):
    assert json.loads(json.dumps(dataclasses.asdict(peek(a_bundle_folder))))["thresholds"]["hpv"] == 0.6
