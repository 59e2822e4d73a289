"""Reading a HECKTOR 2025 folder, and what is refused."""

from __future__ import annotations

import pytest

from mmpl.errors import TrainingError
from mmpl.training.cohort import CLINICAL_COLUMNS, read_cohort

HEADER = "PatientID,CenterID,Age,Gender"


def _patient(root, patient_id, task=1, label=True):
    home = root / f"Task {task}" / patient_id
    home.mkdir(parents=True)
    for suffix in ("__CT", "__PT", *([""] if label else [])):
        (home / f"{patient_id}{suffix}.nii.gz").touch()


def _table(root, task, *lines):
    folder = root / f"Task {task}"
    folder.mkdir(exist_ok=True)
    (folder / f"HECKTOR_2025_Training_Task_{task}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def cohort(tmp_path):
    _patient(tmp_path, "B-2")
    _patient(tmp_path, "A-1")
    _patient(tmp_path, "C-3", task=2, label=False)
    _table(tmp_path, 1, HEADER, "B-2,5,61,1", "A-1,3,,0")
    _table(tmp_path, 2, HEADER + ",Relapse,RFS", "A-1,3,,0,1,412.5", "C-3,2,70,1,0,1800", "B-2,5,61,1,,")
    _table(tmp_path, 3, HEADER + ",HPV Status", "A-1,3,,0,1", "C-3,2,70,1,")
    return tmp_path


def test_tables_are_merged_and_images_found(cohort):
    cases = read_cohort(cohort)
    assert [c.patient_id for c in cases] == ["A-1", "B-2", "C-3"]
    a, b, c = cases
    assert (a.relapse, a.rfs_days, a.hpv, a.center_id) == (1, 412.5, 1, "3")
    assert a.clinical["Age"] is None
    assert (b.relapse, b.rfs_days, b.hpv) == (None, None, None)
    assert b.clinical["Age"] == "61"
    assert c.label_path is None
    assert c.ct_path == cohort / "Task 2" / "C-3" / "C-3__CT.nii.gz"
    assert a.label_path == cohort / "Task 1" / "A-1" / "A-1.nii.gz"


def test_center_and_targets_are_no_clinical_columns(cohort):
    record = read_cohort(cohort)[0].clinical
    assert set(record) == set(CLINICAL_COLUMNS)
    assert not {"CenterID", "Relapse", "RFS", "HPV Status"} & set(record)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["A-1,3,,0,2,100"], r"A-1: Relapse is 2, expected \(0, 1\)"),
        (["A-1,3,,0,yes,100"], "A-1: Relapse is 'yes', expected a number"),
        (["A-1,3,,0,1,-3"], "A-1: RFS is -3, expected a number >= 0"),
        (["A-1,3,,0,1,inf"], "A-1: RFS is inf, expected a number >= 0"),
        (["A-1,3,,0,1,5", "A-1,3,,0,1,5"], "PatientID 'A-1' occurs twice"),
        (["D-4,3,,0,1,5"], "D-4 is in the tables but has no __CT and __PT image"),
    ],
)
def test_wrong_rows_are_named(cohort, rows, said):
    _table(cohort, 2, HEADER + ",Relapse,RFS", *rows)
    with pytest.raises(TrainingError, match=said):
        read_cohort(cohort)


@pytest.mark.parametrize("unknown", ["", "nan", "NA", "Unknown"])
def test_unknown_targets_are_none(cohort, unknown):
    _table(cohort, 2, HEADER + ",Relapse,RFS", f"A-1,3,,0,{unknown},{unknown}")
    case = read_cohort(cohort)[0]
    assert case.relapse is None
    assert case.rfs_days is None


def test_missing_folder_tables_and_columns(tmp_path):
    with pytest.raises(TrainingError, match="no such folder; give the folder that holds 'Task 1'"):
        read_cohort(tmp_path / "none")
    with pytest.raises(TrainingError, match=r"no HECKTOR_2025_Training_Task_N\.csv with patients"):
        read_cohort(tmp_path)
    _table(tmp_path, 1, "PatientID;CenterID", "A;1")
    with pytest.raises(TrainingError, match="no column 'PatientID'; is the delimiter a comma"):
        read_cohort(tmp_path)


def test_byte_order_mark_is_no_part_of_the_name(tmp_path):
    _patient(tmp_path, "A-1")
    _table(tmp_path, 1, "\ufeff" + HEADER, "A-1,3,50,0")
    assert read_cohort(tmp_path)[0].clinical["Age"] == "50"
