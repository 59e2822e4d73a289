"""Reading a HECKTOR 2025 folder, and what is refused."""

from __future__ import annotations

import pytest

from mmpl.errors import TrainingError
from mmpl.training.cohort import CLINICAL_COLUMNS, read_cohort

HEADER = "PatientID,CenterID,Age,Gender"


@pytest.fixture
def cohort(writer):
    writer.patient("B-2")
    writer.patient("A-1")
    writer.patient("C-3", task=2, label=False)
    writer.table(1, HEADER, "B-2,5,61,1", "A-1,3,,0")
    writer.table(2, HEADER + ",Relapse,RFS", "A-1,3,,0,1,412.5", "C-3,2,70,1,0,1800", "B-2,5,61,1,,")
    writer.table(3, HEADER + ",HPV Status", "A-1,3,,0,1", "C-3,2,70,1,")
    return writer.root


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
        (["A-1,3,,0,2,100"], "^A-1: Relapse is '2', expected 0 or 1 .*csv, line 2.*; write 1 .relapse. or 0 .none."),
        (["A-1,3,,0,yes,100"], "^A-1: Relapse is 'yes', expected 0 or 1"),
        (["A-1,3,,0,1,-3"], "^A-1: RFS is '-3', expected a number of days, 0 or more"),
        (["A-1,3,,0,1,inf"], "^A-1: RFS is 'inf', expected a number of days, 0 or more"),
        (["A-1,3,,0,1,5", "A-1,3,,0,1,5"], "^A-1: PatientID 'A-1' occurs twice in the table"),
        (["D-4,3,,0,1,5"], "^D-4: is in the tables but has no folder in any task folder"),
    ],
)
def test_wrong_rows_are_named(cohort, writer, rows, said):
    writer.table(2, HEADER + ",Relapse,RFS", *rows)
    with pytest.raises(TrainingError, match=said):
        read_cohort(cohort)


def test_the_first_error_counts_the_others(cohort, writer):
    writer.table(2, HEADER + ",Relapse,RFS", "A-1,3,,0,2,-100", "D-4,3,,0,1,5")
    with pytest.raises(TrainingError) as raised:
        read_cohort(cohort)
    assert str(raised.value) == (
        "A-1: Relapse is '2', expected 0 or 1 (Task 2/HECKTOR_2025_Training_Task_2.csv, line 2); write 1 (relapse) or "
        f"0 (none), or leave it empty (and 2 more problems: 'mmpl scan --data {cohort}' lists them)"
    )


@pytest.mark.parametrize("unknown", ["", "nan", "NA", "Unknown"])
def test_unknown_targets_are_none(cohort, writer, unknown):
    writer.table(2, HEADER + ",Relapse,RFS", f"A-1,3,,0,{unknown},{unknown}")
    case = read_cohort(cohort)[0]
    assert case.relapse is None
    assert case.rfs_days is None


def test_missing_folder_tables_and_columns(writer):
    with pytest.raises(TrainingError, match=r"^no such folder .*none.*; give the folder that holds 'Task 1'"):
        read_cohort(writer.root / "none")
    writer.root.mkdir()
    with pytest.raises(TrainingError, match=r"^no HECKTOR_2025_Training_Task_N\.csv with patients"):
        read_cohort(writer.root)
    writer.table(1, "PatientID;CenterID", "A;1")
    with pytest.raises(TrainingError, match=r"^no column 'PatientID'; is the delimiter a comma"):
        read_cohort(writer.root)


def test_byte_order_mark_is_no_part_of_the_name(writer):
    writer.patient("A-1")
    writer.table(1, "\ufeff" + HEADER, "A-1,3,50,0")
    assert read_cohort(writer.root)[0].clinical["Age"] == "50"
