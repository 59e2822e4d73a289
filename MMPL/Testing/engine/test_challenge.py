"""HECKTOR 2025's container: its folders in, its files out, an answer for every case whose images can be read."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from mmpl import challenge
from mmpl.bundle.reader import default_bundle_path
from mmpl.challenge_answers import Answer
from mmpl.challenge_inputs import bundle_path, read_record
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.errors import BundleError, InputError, OutputError
from mmpl.geometry import Volume
from mmpl.io.case import read_case
from mmpl.network.networks import Networks
from mmpl.pipeline import Drawing, Outcome, predict
from mmpl.steps import deep_scores

SEGMENTATION = "images/tumor-lymph-node-segmentation"
NAME = "1f0c"
ALL_FILES = {f"{SEGMENTATION}/{NAME}.mha", "rfs.json", "hpv-status.json"}
PRIMARY_VOLUME = "GTVp_original_shape_MeshVolume"  # what the tiny Cox models take of the CT
RECORD = {"Age": 61.0, "Gender": 1, "Tobacco Consumption": 0}  # the tiny patient's, as it is encoded

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Ran:
    """How a run ended: exit code, lines on standard output and error, the output folder."""

    code: int
    out: list[str]
    errors: list[str]
    folder: Path

    @property
    def files(self) -> set[str]:
        return {p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file()}

    @property
    def risk(self) -> float:
        return json.loads((self.folder / "rfs.json").read_text(encoding="utf-8"))

    @property
    def hpv(self) -> bool:
        return json.loads((self.folder / "hpv-status.json").read_text(encoding="utf-8"))

    @property
    def mask(self) -> sitk.Image:
        return sitk.ReadImage(str(self.folder / SEGMENTATION / f"{NAME}.mha"))

    def lines(self, start: str) -> list[str]:
        return [line for line in self.out if line.startswith(start)]


def lay_out(folder: Path, patient, save_image) -> Path:
    """A patient as the challenge gives one."""
    save_image(patient.ct, folder / "images" / "ct" / f"{NAME}.mha")
    save_image(patient.pet, folder / "images" / "pet" / "77ab.mha")
    write_record(folder, patient.clinical)
    return folder


def write_record(folder: Path, record: object) -> None:
    (folder / "ehr.json").write_text(json.dumps(record), encoding="utf-8")


def run_challenge(environ: dict, mounted: Path, **options) -> Ran:
    """Run the entry point in this process; options that are None are left out."""
    arguments = [str(a) for name, value in options.items() if value is not None for a in (f"--{name}", value)]
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
        try:
            code = challenge.main(arguments, environ, mounted)
        except SystemExit as stop:
            code = stop.code
    return Ran(code, out.getvalue().splitlines(), errors.getvalue().splitlines(), options["output"])


@pytest.fixture(scope="module")
def answered(tiny_patient, save_image, tiny_bundle_path, tmp_path_factory) -> Ran:
    """The tiny patient, all tasks."""
    folder = tmp_path_factory.mktemp("answered")
    given = lay_out(folder / "input", tiny_patient, save_image)
    return run_challenge({}, folder, input=given, output=folder / "output", bundle=tiny_bundle_path, device="cpu")


@pytest.fixture
def case_folder(tiny_patient, save_image, tmp_path) -> Path:
    return lay_out(tmp_path / "input", tiny_patient, save_image)


@pytest.fixture
def run(case_folder, tiny_bundle_path, tmp_path) -> Callable[..., Ran]:
    """Runs the entry point on ``case_folder``; keywords replace options."""

    def run(*, environ: dict | None = None, mounted: Path = tmp_path / "nothing mounted", **options) -> Ran:
        usual = {"input": case_folder, "output": tmp_path / "output", "bundle": tiny_bundle_path, "device": "cpu"}
        return run_challenge(environ or {}, mounted, **{**usual, **options})

    return run


@pytest.fixture
def drawn(tiny_patient, monkeypatch) -> Callable[..., Volume]:
    """Lets the ensemble draw the true contours, or none, without running its networks."""

    def draw(*, empty: bool = False) -> Volume:
        label_map = tiny_patient.label_map
        label_map = label_map.with_array(np.zeros_like(label_map.array)) if empty else label_map
        monkeypatch.setattr("mmpl.pipeline.draw_contours", lambda *case, **how: Drawing(label_map, (), {}))
        return label_map

    return draw


@pytest.fixture
def predicted_of(case_folder, tiny_ensemble) -> Callable[[], Outcome]:
    """What ``predict`` says of the case that lies in ``case_folder`` now."""

    def outcome() -> Outcome:
        clinical = json.loads((case_folder / "ehr.json").read_text(encoding="utf-8"))
        ct, pet = (case_folder / "images" / name for name in (f"ct/{NAME}.mha", "pet/77ab.mha"))
        return predict(read_case(NAME, ct, pet, clinical), tiny_ensemble)

    return outcome


@pytest.fixture
def an_answer(tiny_patient, monkeypatch) -> Answer:
    """Answers every case at once with the true contours, risk 0.25 and HPV-negative."""
    given = Answer(tiny_patient.label_map, 0.25, False)
    monkeypatch.setattr(challenge, "answer", lambda *case, **how: given)
    return given


def risk_of(ensemble, rows) -> float:
    """Mean of the members' standardised risk, each given its own HPV probability."""
    pairs = list(zip(ensemble.members, rows, strict=True))
    return float(np.mean([m.rfs.standardised_risk({**row, HPV_PROBABILITY: m.hpv.predict(row)}) for m, row in pairs]))


def probability_of(ensemble, rows) -> float:
    return float(np.mean([m.hpv.predict(row) for m, row in zip(ensemble.members, rows, strict=True)]))


# what predict says --------------------------------------------------------------------------------------------------


def test_the_answers_are_those_of_predict(answered, predicted, results_of, read_mask):
    expected = results_of(predicted)
    assert (answered.code, answered.errors) == (0, [])
    assert answered.files == ALL_FILES
    assert answered.risk == pytest.approx(expected["rfs"]["risk"], rel=1e-6)
    assert answered.hpv is (expected["hpv"]["status"] == "positive")
    assert answered.lines("warning") == [f"warning {w['code']}: {w['text']}" for w in expected["warnings"]]
    assert answered.lines("fallback") == []
    array = sitk.GetArrayFromImage(answered.mask)
    np.testing.assert_array_equal(array, read_mask(predicted).array)
    assert set(np.unique(array)) == {0, 1, 2}


def test_the_mask_is_uint8_on_exactly_the_ct_grid(run, case_folder, an_answer):
    mask, ct = run().mask, sitk.ReadImage(str(case_folder / "images" / "ct" / f"{NAME}.mha"))
    assert mask.GetPixelID() == sitk.sitkUInt8
    assert mask.GetSize() == ct.GetSize()
    assert (mask.GetSpacing(), mask.GetOrigin(), mask.GetDirection()) == (
        ct.GetSpacing(),
        ct.GetOrigin(),
        ct.GetDirection(),
    )


def test_values_are_bare(run, an_answer):
    ran = run()
    assert (ran.folder / "rfs.json").read_text(encoding="utf-8").strip() == "0.25"
    assert (ran.folder / "hpv-status.json").read_text(encoding="utf-8").strip() == "false"


@pytest.mark.parametrize(
    ("task", "files"),
    [("1", {f"{SEGMENTATION}/{NAME}.mha"}), ("2", {"rfs.json"}), ("3", {"hpv-status.json"}), ("all", ALL_FILES)],
)
def test_a_task_writes_its_own_files_only(task, files, run, an_answer):
    assert run(task=task).files == files


def test_the_segmentation_alone_measures_nothing(run, drawn, monkeypatch):
    expected = drawn()
    monkeypatch.setattr("mmpl.pipeline.measure_drawing", lambda *case, **how: pytest.fail("measured"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(run(task="1").mask), expected.array)


def test_the_environment_names_the_task_unless_an_argument_does(run, an_answer, tmp_path):
    assert run(environ={"MMPL_TASK": "2"}).files == {"rfs.json"}
    other = run(environ={"MMPL_TASK": "2"}, task="3", output=tmp_path / "other")
    assert other.files == {"hpv-status.json"}


def test_optional_images_are_passed_over(run, case_folder, an_answer):
    for name in ("ct-planning", "rt-dose"):
        (case_folder / "images" / name).mkdir()
        (case_folder / "images" / name / "x.mha").write_bytes(b"")
    assert run().code == 0


# fallbacks ----------------------------------------------------------------------------------------------------------


def test_without_a_lesion_the_models_look_at_the_middle_and_take_medians(run, drawn, tiny_prepared, tiny_ensemble):
    """The networks' patch is then centred on the region of interest; no radiomics are known."""
    drawn(empty=True)
    ran, ensemble = run(), tiny_ensemble
    assert ran.code == 0
    assert not sitk.GetArrayFromImage(ran.mask).any()
    middle = (np.array(tiny_prepared.roi.geometry.shape) - 1) / 2
    rows = []
    for m in ensemble.members:
        nets = (lambda patch, n=net: ensemble.networks.run(n, patch) for net in (m.hpv_net, m.rfs_net))
        settings = {"spacing_mm": ensemble.network.spacing_mm, "breaks_days": ensemble.settings.breaks_days}
        logit, days = deep_scores(tiny_prepared.network_array, middle, *nets, **settings)
        rows.append({DEEP_HPV: logit, DEEP_DAYS: days, **m.encoder.encode(RECORD)})
    assert ran.risk == pytest.approx(risk_of(ensemble, rows), rel=1e-6)
    assert ran.hpv is (probability_of(ensemble, rows) >= 0.5)
    assert ran.lines("fallback") == [
        f"fallback: {what} is given although no lesion is contoured: the models take what is known of the case, "
        "and training medians for the rest."
        for what in ("RFS", "HPV status")
    ]


def test_a_pet_in_other_units_costs_its_radiomics_only(
    run, drawn, predicted_of, case_folder, tiny_patient, tiny_ensemble, save_image
):
    """Networks see the PET as z-scores, so their scores stay; the CT's radiomics do too."""
    drawn()
    in_suv = predicted_of()
    becquerel = tiny_patient.pet.with_array(tiny_patient.pet.array * 5300)
    save_image(becquerel, case_folder / "images" / "pet" / "77ab.mha")
    ran, without = run(), predicted_of()
    assert (without.results.rfs.risk, without.results.hpv.probability) == (None, None)
    assert len(ran.lines("warning PET_NOT_SUV")) == 1
    assert [line.split(":")[1] for line in ran.lines("fallback")] == [
        " RFS is given although the PET is not in SUV",
        " HPV status is given although the PET is not in SUV",
    ]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ran.mask), without.label_map.array)
    assert sitk.GetArrayFromImage(ran.mask).any()
    rows = [
        {**deep, PRIMARY_VOLUME: without.features[PRIMARY_VOLUME], **m.encoder.encode(RECORD)}
        for deep, m in zip(in_suv.deep.rows, tiny_ensemble.members, strict=True)
    ]
    assert ran.risk == pytest.approx(risk_of(tiny_ensemble, rows), abs=2e-3)


def test_another_primary_site_gets_the_status_it_would_get_without(run, drawn, predicted_of, case_folder, tiny_patient):
    drawn()
    write_record(case_folder, {**tiny_patient.clinical, "Primary Site": "larynx"})
    ran, larynx = run(), predicted_of()
    write_record(case_folder, {k: v for k, v in tiny_patient.clinical.items() if k != "Primary Site"})
    unknown = predicted_of()
    assert larynx.results.hpv.status is None
    assert ran.hpv is (unknown.results.hpv.status == "positive")
    assert ran.risk == pytest.approx(larynx.results.rfs.risk, rel=1e-9)
    (said,) = ran.lines("fallback")
    assert said.startswith("fallback: HPV status is given although the primary site is not the oropharynx")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [("elsewhere", "do not overlap"), ("constant", "the PET is constant"), ("not finite", "are NaN or infinite")],
)
def test_images_that_cannot_be_used_together_leave_the_clinical_record(
    fault, sentence, run, case_folder, tiny_patient, tiny_ensemble, save_image
):
    pet = tiny_patient.pet
    pets = {
        "elsewhere": replace(pet, geometry=replace(pet.geometry, origin_mm=(2000.0, 0.0, 0.0))),
        "constant": pet.with_array(np.zeros_like(pet.array)),
        "not finite": pet.with_array(np.where(np.arange(pet.array.shape[2]) < 9, np.nan, pet.array)),
    }
    save_image(pets[fault], case_folder / "images" / "pet" / "77ab.mha")
    ran = run()
    assert (ran.code, ran.errors) == (0, [])
    assert not sitk.GetArrayFromImage(ran.mask).any()
    assert ran.mask.GetSize() == tiny_patient.ct.geometry.size
    first, second = ran.lines("fallback")
    assert first.startswith("fallback: No lesion is drawn: ")
    assert sentence in first
    assert second.startswith("fallback: RFS and HPV status go by the clinical record alone")
    rows = [m.encoder.encode(RECORD) for m in tiny_ensemble.members]
    assert ran.risk == pytest.approx(risk_of(tiny_ensemble, rows), rel=1e-9)
    assert ran.hpv is (probability_of(tiny_ensemble, rows) >= 0.5)


def test_contours_that_cannot_be_measured_are_kept(run, drawn, tiny_ensemble, monkeypatch):
    expected = drawn()

    def too_little_memory(*arguments, **how):
        raise InputError("the memory of cpu does not hold one small pass of the networks")

    monkeypatch.setattr("mmpl.pipeline.measure_drawing", too_little_memory)
    ran = run()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ran.mask), expected.array)
    assert ran.lines("fallback")[0].startswith("fallback: The contours are not measured: the memory of cpu")
    rows = [m.encoder.encode(RECORD) for m in tiny_ensemble.members]
    assert ran.risk == pytest.approx(risk_of(tiny_ensemble, rows), rel=1e-9)


def test_networks_that_have_no_number_for_the_case_leave_the_clinical_record(run, tiny_ensemble, monkeypatch):
    finite = Networks._finite
    monkeypatch.setattr(Networks, "_finite", lambda self, network, logits: finite(self, network, logits * np.nan))
    ran = run()
    assert (ran.code, ran.errors) == (0, [])
    assert not sitk.GetArrayFromImage(ran.mask).any()
    assert "numbers that are not finite on these images" in ran.lines("fallback")[0]
    rows = [m.encoder.encode(RECORD) for m in tiny_ensemble.members]
    assert ran.risk == pytest.approx(risk_of(tiny_ensemble, rows), rel=1e-9)


# the clinical record ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "is missing: every clinical value is taken as unknown"),
        ('{"Age": 61,', "is not valid JSON (Expecting property name"),
        (b'{"Age": "\xff"}', "is not valid JSON ('utf-8' codec"),
        ("[" * 100_000, "is not valid JSON (maximum recursion"),
        ('[{"Age": 61}]', "holds no JSON object: every clinical value is taken as unknown"),
    ],
)
def test_a_record_that_cannot_be_read_is_unknown_and_said_so(text, sentence, tmp_path):
    if text is not None:
        (tmp_path / "ehr.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    record, (said,) = read_record(tmp_path / "ehr.json")
    assert record == {}
    assert said.startswith(f"clinical record {tmp_path / 'ehr.json'} {sentence}")


def test_the_case_is_answered_without_its_record(run, drawn, case_folder, predicted_of):
    drawn()
    (case_folder / "ehr.json").write_text("{,}", encoding="utf-8")
    ran = run()
    write_record(case_folder, {})
    assert ran.code == 0
    assert len(ran.lines("warning: clinical record")) == 1
    assert ran.risk == pytest.approx(predicted_of().results.rfs.risk, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ('"Weight": 80', "'Weight' is not a field MMPL knows"),
        ('"Gender": [1]', "Gender is [1.0]"),
        ('"Tobacco Consumption": 0, "tobacco-consumption": 1', "Tobacco Consumption is given twice"),
        ('"HPV Status": 3', "HPV Status is 3.0"),
        ('"Performance Status": 1' + "0" * 400, "Performance Status is inf"),
        ('"Primary Site": 3', "Primary Site is 3.0"),
    ],
)
def test_a_field_that_cannot_be_used_costs_itself_only(text, left_out, tmp_path):
    path = tmp_path / "ehr.json"
    path.write_text(f'{{"Age": 61, {text}, "M-stage": "M0"}}', encoding="utf-8")
    record, (said,) = read_record(path)
    assert {"Age": 61, "M-stage": "M0"}.items() <= record.items()
    assert left_out in said
    assert said.endswith("(left out)")


@pytest.mark.parametrize("again", ['"Age": 70', '"age": 70', '"Age": 50, "AGE": "old"'])
def test_of_a_field_given_twice_no_value_counts(again, tmp_path):
    path = tmp_path / "ehr.json"
    path.write_text(f'{{"Age": 50, "Gender": 1, {again}, "M-stage": "M0"}}', encoding="utf-8")
    record, said = read_record(path)
    assert record == {"Gender": 1, "M-stage": "M0"}
    assert said == ("clinical record: Age is given twice; keep one (left out)",)


def test_the_organisers_fields_and_nan_raise_no_word(tmp_path):
    path = tmp_path / "ehr.json"
    raw = {"CenterID": 5, "Age": 56, "Gender": 1, "Alcohol Consumption": float("nan"), "M-stage": "M0"}
    path.write_text(json.dumps(raw), encoding="utf-8")
    record, said = read_record(path)
    assert said == ()
    assert record == {**raw, "Alcohol Consumption": None}


# input that cannot be answered --------------------------------------------------------------------------------------


@pytest.fixture
def refused(run, contents, tmp_path) -> Callable[..., str]:
    """Runs what must be refused with an older answer in the output folder; returns its one line."""

    def refuse(**options) -> str:
        folder = tmp_path / "output"
        folder.mkdir(exist_ok=True)
        (folder / "rfs.json").write_text("1.5")
        before = contents(folder)
        ran = run(**options)
        assert contents(folder) == before
        assert (ran.code, ran.out, len(ran.errors)) == (2, [], 1), ran
        assert ran.errors[0].startswith("mmpl.challenge: ")
        return ran.errors[0].removeprefix("mmpl.challenge: ")

    return refuse


@pytest.mark.parametrize(("name", "what"), [("ct", "CT"), ("pet", "PET")])
def test_an_image_that_is_missing(name, what, refused, case_folder):
    folder = case_folder / "images" / name
    for file in folder.iterdir():
        file.rename(folder / "image.nii.gz")
    assert refused() == f"{folder} holds no {what}: put one .mha file there"


@pytest.mark.parametrize(("name", "what"), [("ct", "CT"), ("pet", "PET")])
def test_two_images_of_a_kind(name, what, refused, case_folder):
    folder = case_folder / "images" / name
    (folder / "0.mha").write_bytes(b"")
    (folder / ".hidden.mha").write_bytes(b"")
    file = NAME if name == "ct" else "77ab"
    assert refused() == f"{folder} holds 2 images (0.mha, {file}.mha): leave the one {what} of this case"


def test_no_input_at_all(refused, tmp_path):
    assert refused(input=tmp_path / "none") == f"{tmp_path / 'none/images/ct'} holds no CT: put one .mha file there"


def test_a_damaged_image(refused, case_folder):
    path = case_folder / "images" / "ct" / f"{NAME}.mha"
    path.write_bytes(path.read_bytes()[:-5000])
    assert refused().startswith(f"CT {path} ")


def test_a_device_that_is_not_there(refused):
    assert refused(device="cuda:99").startswith("device 'cuda:99' is not on this machine: choose cpu")


def test_a_bundle_that_is_not_there(refused, tmp_path):
    assert refused(bundle=tmp_path / "none").startswith(f"bundle {tmp_path / 'none'} does not exist")


def test_a_task_that_is_none(run):
    for given in ({"task": "4"}, {"environ": {"MMPL_TASK": "4"}}):
        ran = run(**given)
        assert (ran.code, len(ran.errors)) == (2, 1)
        assert "argument --task: '4' is no task: choose 1, 2, 3, all" in ran.errors[0]


def test_an_output_that_is_a_file(run, tmp_path):
    (tmp_path / "file").write_text("mine")
    ran = run(output=tmp_path / "file")
    assert (ran.code, ran.errors) == (2, [f"mmpl.challenge: output {tmp_path / 'file'} is a file: give a folder"])


def test_nothing_is_left_of_an_answer_that_cannot_be_written_whole(run, an_answer, monkeypatch):
    written = challenge.write_json_atomic

    def full(path, value):
        if path.name == "hpv-status.json":
            raise OutputError(f"output {path.name} cannot be written: the disk is full")
        written(path, value)

    monkeypatch.setattr(challenge, "write_json_atomic", full)
    ran = run()
    assert (ran.code, ran.errors) == (2, ["mmpl.challenge: output hpv-status.json cannot be written: the disk is full"])
    assert not ran.folder.exists()


# bundle, device, limits ---------------------------------------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path) -> Path:
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def test_the_bundle_is_the_given_the_mounted_the_built_in_the_demo(mounted, tmp_path):
    given, built_in = tmp_path / "given", tmp_path / "built-in"
    environ = {"MMPL_BUNDLE": str(built_in)}
    assert bundle_path(None, {}, mounted) == default_bundle_path()
    assert bundle_path(None, environ, mounted) == built_in
    (mounted / "inner").mkdir()
    (mounted / "inner" / "bundle.json").write_text("{}")
    assert bundle_path(None, environ, mounted) == mounted / "inner"
    (mounted / "inner").rename(tmp_path / "inner")
    (tmp_path / "inner" / "bundle.json").rename(mounted / "bundle.json")
    assert bundle_path(None, environ, mounted) == mounted
    assert bundle_path(given, environ, mounted) == given


def test_a_mounted_model_that_is_no_bundle_is_not_passed_over(mounted, tmp_path):
    (mounted / "weights.pth").write_bytes(b"")
    with pytest.raises(BundleError, match=r"holds 0 bundles: pack the content of one bundle's folder, bundle\.json"):
        bundle_path(None, {"MMPL_BUNDLE": str(tmp_path)}, mounted)


def test_a_mounted_bundle_answers(run, tiny_bundle_path, an_answer):
    ran = run(bundle=None, mounted=tiny_bundle_path)
    assert ran.out[0] == f"{NAME}: bundle tiny 0.1.0 on cpu"


def test_auto_takes_the_first_graphics_card(monkeypatch):
    monkeypatch.setattr("mmpl.machine.devices", lambda: [{"id": "cpu"}, {"id": "cuda:0"}, {"id": "cuda:1"}])
    assert challenge.chosen_device("auto") == "cuda:0"
    assert challenge.chosen_device("cpu") == "cpu"
    monkeypatch.setattr("mmpl.machine.devices", lambda: [{"id": "cpu"}])
    assert challenge.chosen_device("auto") == "cpu"


@pytest.mark.parametrize(("free_gb", "expected"), [(256, 8.0), (None, 8.0), (5, 4.0)])
def test_a_pass_takes_half_of_the_limit_or_most_of_what_is_free(free_gb, expected, monkeypatch):
    monkeypatch.setattr(challenge, "free_bytes", lambda device: None if free_gb is None else int(free_gb * 1e9))
    assert challenge.inference_on("cpu").memory_gb == pytest.approx(expected)


# as a process -------------------------------------------------------------------------------------------------------


def test_a_process_answers_without_network_in_a_folder_it_cannot_write(
    case_folder, tiny_bundle_path, answered, contents, tmp_path
):
    """Attempts to reach a network are noted, not only refused; nothing appears where the process stands."""
    script = """
import socket, sys
tried = []
def refuse(*arguments, **keywords):
    tried.append(arguments)
    raise OSError("refused")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
from mmpl.challenge import main
code = main(sys.argv[1:])
sys.exit(f"tried {tried}" if tried else code)
"""
    here = tmp_path / "read-only"
    here.mkdir(mode=0o555)
    given = contents(case_folder)
    out = tmp_path / "of a process"
    folders = ["--input", str(case_folder), "--output", str(out), "--bundle", str(tiny_bundle_path)]
    ran = subprocess.run(
        [sys.executable, "-c", script, "--device", "cpu", *folders],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT / "MMPL" / "Logic")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert list(here.iterdir()) == []
    assert contents(case_folder) == given
    mine, theirs = contents(out), contents(answered.folder)
    risks = [float(found.pop("rfs.json")) for found in (mine, theirs)]
    assert risks[0] == pytest.approx(risks[1], rel=1e-6)  # another number of threads adds up in another order
    assert mine == theirs


def test_the_module_runs_as_the_container_runs_it():
    ran = subprocess.run(
        [sys.executable, "-m", "mmpl.challenge", "--task", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "MMPL" / "Logic")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr == (
        "mmpl.challenge: argument --task: '0' is no task: choose 1, 2, 3, all; see 'python -m mmpl.challenge --help'\n"
    )


# the image ----------------------------------------------------------------------------------------------------------


def pins() -> dict[str, str]:
    text = (ROOT / "container" / "constraints.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name.lower(): version for name, version in (line.split("==") for line in lines)}


def test_the_image_pins_every_package_of_the_engine_within_its_bounds():
    import tomllib

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["openvino"]]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins()[requirement.name.lower()]), requirement


def test_the_image_has_the_torch_of_the_makefile():
    (torch,) = re.findall(r"^TORCH := torch==(\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert pins()["torch"] == torch


def test_the_page_names_every_option_and_variable():
    page = (ROOT / "docs" / "challenge.md").read_text(encoding="utf-8")
    options = {o for a in challenge._parser({})._actions for o in a.option_strings if o.startswith("--")}
    assert options - {"--help"} <= set(re.findall(r"`(--[a-z]+)", page))
    dockerfile = (ROOT / "container" / "Dockerfile").read_text(encoding="utf-8")
    for variable in ("MMPL_TASK", "MMPL_BUNDLE"):
        assert f"`{variable}`" in page
        assert f"{variable}=" in dockerfile
