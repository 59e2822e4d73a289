"""Every problem of a cohort is found, in one go, with what to do about it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from mmpl.clinical.fields import is_unknown
from mmpl.errors import TrainingError
from mmpl.training.scan import ERROR, NOTE, WARNING, scan_cohort
from mmpl.training.scan.problems import SEVERITIES, Problem, table_text

COLUMNS = "PatientID,CenterID,Age,Gender,Tobacco Consumption,Alcohol Consumption,Performance Status,Treatment,M-stage"
RECORD = "1,61,1,0,0,1,1,0"


@pytest.fixture
def cohort(writer):
    """Two patients in all three tables, without a problem."""
    for name in ("A-1", "B-2"):
        writer.patient(name)
    rows = [f"{name},{RECORD}" for name in ("A-1", "B-2")]
    writer.table(1, COLUMNS, *rows)
    writer.table(2, COLUMNS + ",Relapse,RFS", *[f"{row},1,400" for row in rows])
    writer.table(3, COLUMNS + ",HPV Status", *[f"{row},1" for row in rows])
    return writer


def found(writer, thorough=False) -> dict[tuple[str, str], Problem]:
    """(code, patient) -> problem; two of a kind would be a mistake here."""
    problems = scan_cohort(writer.root, thorough=thorough).problems
    by_kind = {(p.code, p.patient_id): p for p in problems}
    assert len(by_kind) == len(problems)
    return by_kind


def only(writer, code: str, patient_id: str = "A-1", thorough=False) -> Problem:
    by_kind = found(writer, thorough)
    assert list(by_kind) == [(code, patient_id)]
    return by_kind[code, patient_id]


def test_a_cohort_in_order_has_no_problem(cohort):
    scan = scan_cohort(cohort.root, thorough=False)
    assert scan.problems == ()
    assert [case.patient_id for case in scan.cases] == ["A-1", "B-2"]
    assert scan.patients == 2
    scan.require_usable(strict=True)
    assert scan.text() == (
        f"{cohort.root}: 2 patients; 0 errors, 0 warnings, 0 notes; only headers of images were read"
    )


# --- tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sign", "word"), [(";", "semicolons"), ("\t", "tabs")])
def test_another_delimiter_is_named(cohort, sign, word):
    cohort.table(3, (COLUMNS + ",HPV Status").replace(",", sign), f"A-1,{RECORD},1".replace(",", sign))
    problem = only(cohort, "TABLE_NO_PATIENT_ID", "")
    assert problem.text == f"no column 'PatientID'; is the delimiter a comma? The header is separated by {word}"
    assert problem.where == "Task 3/HECKTOR_2025_Training_Task_3.csv"
    assert problem.remedy == "export it with commas"
    assert problem.severity == ERROR


def test_a_table_without_patients_ids(cohort):
    cohort.table(3, "Patient,HPV Status", "A-1,1")
    assert ("TABLE_NO_PATIENT_ID", "") in found(cohort)


@pytest.mark.parametrize(
    ("data", "text"), [(b"PatientID,Age\nM\xfcller,61\n", "it is not UTF-8 text"), (b"\n", "it is empty")]
)
def test_unreadable_tables(cohort, data, text):
    cohort.table(1, "").write_bytes(data)
    assert only(cohort, "TABLE_UNREADABLE", "").text == text


def test_an_unclosed_quotation_mark_takes_no_patients_away(cohort):
    """All rows that follow it would be one cell of a column that is not read."""
    rows = [f'A-1,{RECORD},1,400,"3 cm node', f"B-2,{RECORD},1,400,"]
    cohort.table(2, COLUMNS + ",Relapse,RFS,Notes", *rows)
    problem = found(cohort)["TABLE_UNREADABLE", ""]
    assert problem.severity == ERROR
    assert problem.text.startswith("it cannot be read: the row that begins on line 2 has no end")
    assert problem.remedy.startswith("close the quotation mark")


def test_a_quoted_cell_may_hold_commas_lines_and_marks(cohort):
    rows = [f'A-1,{RECORD},1,400,"3 cm, ""left""\nnode"', f'B-2,{RECORD},1,400,3" node']
    cohort.table(2, COLUMNS + ",Relapse,RFS,Notes", *rows)
    assert only(cohort, "COLUMN_IGNORED", "").severity == NOTE
    assert [case.rfs_days for case in scan_cohort(cohort.root, thorough=False).cases] == [400.0, 400.0]


def test_columns_are_told_whatever_their_case_and_spaces(cohort):
    cohort.table(3, COLUMNS + ",hpv_status ,Comment", f"A-1,{RECORD},0,x", f"B-2,{RECORD},,")
    by_kind = found(cohort)
    assert {(code, p.severity) for (code, _), p in by_kind.items()} == {
        ("COLUMN_RENAMED", WARNING),
        ("COLUMN_IGNORED", NOTE),
    }
    assert by_kind["COLUMN_RENAMED", ""].text == "the column 'hpv_status ' is read as 'HPV Status'"
    assert by_kind["COLUMN_IGNORED", ""].text == "the column 'Comment' is not read"
    assert [case.hpv for case in scan_cohort(cohort.root, thorough=False).cases] == [0, None]


def test_a_column_that_is_missing_or_there_twice(cohort):
    cohort.table(3, "PatientID,Age", "A-1,61")
    missing = only(cohort, "COLUMN_MISSING", "")
    assert missing.text == "no table has a column 'HPV Status'"
    assert missing.severity == WARNING
    cohort.table(3, "PatientID,Age,age,HPV Status", "A-1,61,62,1")
    twice = found(cohort)["COLUMN_TWICE", ""]
    assert twice.text == "the column 'Age' is there twice"
    assert twice.severity == ERROR


def test_unquoted_decimal_commas_make_rows_too_long(cohort):
    cohort.table(2, COLUMNS + ",Relapse,RFS", f"A-1,{RECORD},1,400,5", f"B-2,{RECORD},1")
    by_kind = found(cohort)
    assert by_kind["ROW_TOO_LONG", "A-1"].text == "the row has 12 cells, the header 11"
    assert by_kind["ROW_TOO_LONG", "A-1"].where.endswith("line 2")
    assert by_kind["ROW_TOO_SHORT", "B-2"].severity == WARNING
    assert set(by_kind) == {("ROW_TOO_LONG", "A-1"), ("ROW_TOO_SHORT", "B-2"), ("FOLLOW_UP_HALF", "B-2")}


def test_a_decimal_comma_before_an_empty_last_cell_makes_a_row_too_long(cohort):
    """Read by position, Age would be 61 and every later value one column off."""
    cohort.table(1, COLUMNS + ",HPV Status", f"A-1,{RECORD.replace('61', '61,5')},", f"B-2,{RECORD},1")
    assert only(cohort, "ROW_TOO_LONG", "A-1").severity == ERROR


def test_rows_of_empty_cells_are_no_rows(cohort):
    cohort.table(1, COLUMNS, f"A-1,{RECORD}", ",,,,,,,,", f"B-2,{RECORD}", "")
    assert found(cohort) == {}


def test_rows_without_a_name_twice_or_with_an_impossible_one(cohort):
    cohort.table(1, COLUMNS, f"A-1,{RECORD}", f"A-1,{RECORD}", f" ,{RECORD}", f"../B-2,{RECORD}", f"B-2,{RECORD}")
    by_kind = found(cohort)
    assert set(by_kind) == {("ROW_TWICE", "A-1"), ("ROW_NO_PATIENT_ID", ""), ("ID_IMPOSSIBLE", "../B-2")}
    assert by_kind["ROW_TWICE", "A-1"].where.endswith("Task_1.csv, line 3")
    assert by_kind["ROW_NO_PATIENT_ID", ""].where.endswith("line 4")


def test_a_table_of_another_name_is_pointed_at(cohort):
    path = cohort.root / "Task 3" / "HECKTOR_2025_Training_Task_3.csv"
    path.rename(path.with_name("task3.xlsx"))
    problem = found(cohort)["TABLE_OTHER_NAME", ""]
    assert problem.text.startswith("there is task3.xlsx but no HECKTOR_2025_Training_Task_3.csv")


def test_two_tables_of_a_task_are_named(cohort):
    name = "HECKTOR_2025_Training_Task_2.csv"
    (cohort.root / name).write_text("PatientID,Relapse,RFS\nA-1,0,900\n", encoding="utf-8")
    assert only(cohort, "TABLE_TWICE", "").sentence == (
        f"Task 2/{name} is read, and {name} beside the tasks' folders is not (task 2); "
        "remove the one that is out of date"
    )
    assert scan_cohort(cohort.root, thorough=False).cases[0].rfs_days == 400


# --- values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "code", "text"),
    [
        ("Age", "230", "VALUE_IMPOSSIBLE", "Age is '230'"),
        ("Age", "3", "VALUE_UNLIKELY", "Age is 3 years"),
        ("Age", "old", "VALUE_IMPOSSIBLE", "Age is 'old'"),
        ("Age", '"63,5"', "VALUE_DECIMAL_COMMA", "Age is '63,5', expected a number"),
        ("RFS", '"1,234,567"', "VALUE_DECIMAL_COMMA", "RFS is '1,234,567', expected a number"),
        ("Age", "12-Mar", "VALUE_DATE", "Age is '12-Mar', a date, expected a number"),
        ("RFS", "2023-03-12", "VALUE_DATE", "RFS is '2023-03-12', a date, expected a number"),
        ("RFS", "12.03.2023", "VALUE_DATE", "RFS is '12.03.2023', a date, expected a number"),
        ("RFS", "2023-03-12 00:00:00", "VALUE_DATE", "RFS is '2023-03-12 00:00:00', a date, expected a number"),
        ("RFS", "Mar-12", "VALUE_DATE", "RFS is 'Mar-12', a date, expected a number"),
        ("RFS", "-1", "VALUE_IMPOSSIBLE", "RFS is '-1', expected a number of days, 0 or more"),
        ("RFS", "11000", "VALUE_IMPOSSIBLE", "RFS is 11000 days, which is 30 years"),
        ("RFS", "3 years", "VALUE_IMPOSSIBLE", "RFS is '3 years', expected a number of days, 0 or more"),
        ("Relapse", "2", "VALUE_IMPOSSIBLE", "Relapse is '2', expected 0 or 1"),
        ("HPV Status", "pos", "VALUE_IMPOSSIBLE", "HPV Status is 'pos', expected 0 or 1"),
        ("Gender", "X", "VALUE_UNSEEN", "Gender is 'X', which is taken as Unknown"),
        ("Performance Status", "01-Feb", "VALUE_DATE", "Performance Status is '01-Feb', a date, expected a number"),
        ("Treatment", "inf", "VALUE_IMPOSSIBLE", "Treatment is 'inf'"),
    ],
)
def test_impossible_and_unlikely_values(writer, column, value, code, text):
    writer.patient("A-1")
    writer.table(1, f"{COLUMNS},Relapse,RFS,HPV Status")  # no column is missing
    writer.table(2, f"PatientID,{column}", f"A-1,{value}")
    problem = only_value(writer)
    assert (problem.code, problem.text) == (code, text)
    assert problem.where == "Task 2/HECKTOR_2025_Training_Task_2.csv, line 2"
    assert problem.remedy


def test_many_warnings_of_one_kind_are_a_few_lines(writer):
    names = [f"A-{n}" for n in range(8)]
    for name in names:
        writer.patient(name)
    writer.table(1, f"{COLUMNS},Relapse,RFS,HPV Status")
    writer.table(2, "PatientID,Gender", *(f"{name},X" for name in names))
    lines = scan_cohort(writer.root, thorough=False).warnings()
    assert [line.split(":")[0] for line in lines] == [*names[:5], "3 more of this kind"]
    assert lines[0].startswith("A-0: Gender is 'X', which is taken as Unknown (Task 2/")


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("63,5", "write 63.5"),
        ("1,234", "write 1234 or 1.234, whichever it is"),
        ("1,234,567", "write 1234567"),
        ("1234,567", "write 1234.567"),
    ],
)
def test_a_comma_may_part_thousands_as_well_as_decimals(writer, value, remedy):
    writer.patient("A-1")
    writer.table(1, f"{COLUMNS},Relapse,RFS,HPV Status")
    writer.table(2, "PatientID,RFS", f'A-1,"{value}"')
    assert only_value(writer).remedy == remedy


def only_value(writer) -> Problem:
    """The one problem besides that an outcome was given alone, which is what some of these tables do."""
    (problem,) = (p for p in scan_cohort(writer.root, thorough=False).problems if p.code != "FOLLOW_UP_HALF")
    return problem


@pytest.mark.parametrize(("column", "value", "other"), [("Relapse", "1", "RFS"), ("RFS", "400", "Relapse")])
def test_half_a_follow_up_is_pointed_at(writer, column, value, other):
    writer.patient("A-1")
    writer.table(1, f"{COLUMNS},Relapse,RFS,HPV Status")
    writer.table(2, f"PatientID,{column}", f"A-1,{value}")
    (problem,) = scan_cohort(writer.root, thorough=False).problems
    assert (problem.code, problem.patient_id, problem.severity) == ("FOLLOW_UP_HALF", "A-1", WARNING)
    assert problem.text == f"{column} without {other}: the patient is left out of RFS"


@pytest.mark.parametrize(("first", "second", "name"), [("3", "3.0", "3"), ("CHUM", "chum", "CHUM")])
def test_a_center_has_one_name_however_tables_spell_it(writer, first, second, name):
    """A spreadsheet with an empty cell writes 3 as 3.0: the centre split would take it for another center."""
    for patient in ("A-1", "B-2"):
        writer.patient(patient)
    writer.table(1, "PatientID,CenterID", f"A-1,{first}", f"B-2,{second}")
    scan = scan_cohort(writer.root, thorough=False)
    assert [case.center_id for case in scan.cases] == [name, name]


@pytest.mark.parametrize("value", ["0", "1.0", "M1", "MX", "n/a"])
def test_spellings_that_mean_something_are_no_problem(writer, value):
    writer.patient("A-1")
    writer.table(1, f"{COLUMNS},Relapse,RFS,HPV Status", f"A-1,3,61.5,F,no,yes,4,crt,{value},0,10957,0.0")
    assert scan_cohort(writer.root, thorough=False).problems == ()


def test_one_row_can_have_many_problems(cohort):
    cohort.table(2, COLUMNS + ",Relapse,RFS", f"A-1,{RECORD.replace('61', '230')},2,-5", f"B-2,{RECORD},0,5")
    codes = [p.code for p in scan_cohort(cohort.root, thorough=False).problems]
    assert codes == ["VALUE_IMPOSSIBLE"] * 3 + ["VALUES_CONFLICT"]


def test_conflicting_values_of_one_patient(cohort):
    cohort.table(3, COLUMNS + ",HPV Status,RFS", f"A-1,{RECORD.replace('61', '62.0')},1,401", f"B-2,{RECORD},NA,400.0")
    by_kind = found(cohort)
    assert set(by_kind) == {("TARGETS_CONFLICT", "A-1"), ("VALUES_CONFLICT", "A-1")}
    values = by_kind["VALUES_CONFLICT", "A-1"]
    assert values.text == "Age is '62.0' here, and '61' in Task 1/HECKTOR_2025_Training_Task_1.csv, line 2"
    assert values.remedy == "correct one of them; '62.0' is used"
    assert by_kind["TARGETS_CONFLICT", "A-1"].severity == ERROR


@pytest.mark.parametrize(("first", "second"), [("M0", "MX"), ("M0", "0"), ("x", "M0"), ("0.0", "cM0")])
def test_the_same_stage_in_other_words_is_no_conflict(cohort, first, second):
    def of(stage: str) -> str:
        return RECORD[:-1] + stage

    for task, columns, rest in ((1, "", ""), (2, ",Relapse,RFS", ",1,400"), (3, ",HPV Status", ",1")):
        cohort.table(task, COLUMNS + columns, f"A-1,{of(first if task < 3 else second)}{rest}", f"B-2,{RECORD}{rest}")
    scan = scan_cohort(cohort.root, thorough=False)
    assert scan.problems == ()
    assert scan.cases[0].clinical["M-stage"].casefold() in {"m0", "0", "cm0"}


def test_another_stage_is_a_conflict(cohort):
    cohort.table(3, COLUMNS + ",HPV Status", f"A-1,{RECORD[:-1]}M1,1", f"B-2,{RECORD},1")
    assert only(cohort, "VALUES_CONFLICT").text.startswith("M-stage is 'M1' here, and '0' in")


def test_an_unknown_value_takes_no_known_one_away(cohort):
    cohort.table(3, COLUMNS + ",HPV Status", f"A-1,{RECORD.replace('61', 'NA')},1", f"B-2,{RECORD},1")
    scan = scan_cohort(cohort.root, thorough=False)
    assert scan.problems == ()
    assert scan.cases[0].clinical["Age"] == "61"
    assert is_unknown("NA")


@pytest.mark.parametrize(("longest", "codes"), [(84, ["RFS_NOT_DAYS"]), (240, [])])
def test_follow_up_in_months_is_suspected(writer, longest, codes):
    names = [f"P-{n:02d}" for n in range(10)]
    for name in names:
        writer.patient(name)
    rows = [f"{name},{n % 5},{RECORD[2:]},0,{longest - n},1" for n, name in enumerate(names)]
    writer.table(2, f"{COLUMNS},Relapse,RFS,HPV Status", *rows)
    assert [p.code for p in scan_cohort(writer.root, thorough=False).problems] == codes


@pytest.mark.parametrize(
    ("centers", "text"),
    [
        ("1111111111", "1 centre: the centre split needs one for each of 5 folds"),
        ("123412341234", "4 centres: the centre split needs one for each of 5 folds"),
        ("12345 2345", "1 of 10 patients have no CenterID, which the centre split needs"),
        ("1234512345", None),
        ("111111111", None),  # nine patients: nobody trains on them
    ],
)
def test_a_cohort_that_the_default_splits_refuse_is_told_so(writer, centers, text):
    names = [f"P-{n:02d}" for n in range(len(centers))]
    for name in names:
        writer.patient(name)
    rows = [
        f"{name},{c.strip()},{RECORD[2:]},0,{400 + n},1" for n, (name, c) in enumerate(zip(names, centers, strict=True))
    ]
    writer.table(2, f"{COLUMNS},Relapse,RFS,HPV Status", *rows)
    problems = scan_cohort(writer.root, thorough=False).problems
    assert [(p.code, p.severity, p.text) for p in problems] == ([("NO_CENTRE_SPLIT", NOTE, text)] if text else [])


# --- folders and files --------------------------------------------------------------------------------


def test_rows_without_a_folder_and_folders_without_a_row(cohort):
    (cohort.root / "Task 1" / "A-1").rename(cohort.root / "Task 1" / "Z-9")
    by_kind = found(cohort)
    assert set(by_kind) == {("ROW_WITHOUT_FOLDER", "A-1"), ("FOLDER_WITHOUT_ROW", "Z-9")}
    assert by_kind["FOLDER_WITHOUT_ROW", "Z-9"].where == "Task 1/Z-9"
    scan = scan_cohort(cohort.root, thorough=False)
    assert [case.patient_id for case in scan.cases] == ["B-2"]


@pytest.mark.parametrize("name", ["a-1", "A -1"])
def test_names_that_differ_in_case_or_spaces(cohort, name):
    (cohort.root / "Task 1" / "A-1").rename(cohort.root / "Task 1" / name)
    problem = only(cohort, "ID_DIFFERS")
    assert problem.text == f"the name differs from '{name}' in case or spaces only"
    assert problem.where == f"Task 1/{name}"


def test_spaces_around_a_name_are_left_out(cohort):
    cohort.table(1, COLUMNS, f"A-1 ,{RECORD}", f"B-2,{RECORD}")
    assert only(cohort, "ID_SPACES").severity == WARNING
    assert len(scan_cohort(cohort.root, thorough=False).cases) == 2


def test_names_that_differ_between_tables(cohort):
    cohort.table(3, COLUMNS + ",HPV Status", f"a-1,{RECORD},1", f"B-2,{RECORD},1")
    assert set(found(cohort)) == {("ID_DIFFERS", "A-1"), ("ID_DIFFERS", "a-1")}


def test_missing_images_and_labels(cohort):
    home = cohort.root / "Task 1"
    (home / "A-1" / "A-1__PT.nii.gz").rename(home / "A-1" / "A-1__PET.nii.gz")
    (home / "B-2" / "B-2.nii.gz").unlink()
    by_kind = found(cohort)
    assert set(by_kind) == {("IMAGE_MISSING", "A-1"), ("LABEL_MISSING", "B-2")}
    missing = by_kind["IMAGE_MISSING", "A-1"]
    assert missing.text == ("no A-1__PT.nii.gz; the folder holds A-1.nii.gz, A-1__CT.nii.gz, A-1__PET.nii.gz")
    assert by_kind["LABEL_MISSING", "B-2"].severity == NOTE
    assert [c.patient_id for c in scan_cohort(cohort.root, thorough=False).cases] == ["B-2"]


def test_contours_without_images(cohort):
    for name in ("A-1__PT", "A-1__CT"):
        (cohort.root / "Task 1" / "A-1" / f"{name}.nii.gz").unlink()
    assert only(cohort, "LABEL_WITHOUT_IMAGE").where == "Task 1/A-1"


def test_images_are_taken_from_a_folder_that_holds_both(cohort):
    (cohort.root / "Task 1" / "A-1" / "A-1__PT.nii.gz").unlink()
    home = cohort.patient("A-1", task=2, label=False)
    scan = scan_cohort(cohort.root, thorough=False)
    assert scan.problems == ()
    assert scan.cases[0].ct_path.parent == home
    assert scan.cases[0].label_path.parent.parent.name == "Task 1"


def test_the_same_images_under_two_names(cohort):
    for kind in ("CT", "PT"):
        copy = cohort.root / "Task 1" / "B-2" / f"B-2__{kind}.nii.gz"
        copy.write_bytes((cohort.root / "Task 1" / "A-1" / f"A-1__{kind}.nii.gz").read_bytes())
    assert only(cohort, "IMAGES_TWICE", "B-2").text == "has the same CT and PET as A-1"
    copy.write_bytes(copy.read_bytes() + b" ")  # a byte after the end of the PET's data
    problem = only(cohort, "CT_TWICE", "B-2")
    assert problem.severity == WARNING


def test_the_same_pet_with_another_ct(cohort):
    pets = [cohort.root / "Task 1" / name / f"{name}__PT.nii.gz" for name in ("A-1", "B-2")]
    pets[1].write_bytes(pets[0].read_bytes())
    problem = only(cohort, "PET_TWICE", "B-2")
    assert (problem.severity, problem.text) == (WARNING, "has the same PET as A-1, with another CT")


def test_copies_that_were_compressed_apart(cohort):
    """Of gzip's own, with a file name and a time in it, and at another level."""
    for kind in ("CT", "PT"):
        original, copy = (cohort.root / "Task 1" / name / f"{name}__{kind}.nii.gz" for name in ("A-1", "B-2"))
        content = gzip.decompress(original.read_bytes())
        with copy.open("wb") as file, gzip.GzipFile(copy.name, "wb", 1, file, mtime=7) as packed:
            packed.write(content)
        assert copy.stat().st_size != original.stat().st_size
    assert only(cohort, "IMAGES_TWICE", "B-2").text == "has the same CT and PET as A-1"


@pytest.mark.parametrize("end", [bytes(16), gzip.compress(b"", mtime=0)], ids=["zeros", "an empty part"])
def test_ends_alike_are_not_taken_for_copies(cohort, end):
    """The last part of a gzip file of several says nothing of the others; nor do zeros after the end."""
    for path in cohort.root.glob("Task 1/*/*__*.nii.gz"):
        path.write_bytes(path.read_bytes() + end)
    assert found(cohort) == {}


def test_of_three_a_copy_is_named_that_has_both_images(cohort):
    """C has the CT of A, and CT and PET of B."""
    cohort.patient("C-3")
    homes = {name: cohort.root / "Task 1" / name for name in ("A-1", "B-2", "C-3")}

    def copy(kind: str, source: str, to: str) -> None:
        data = (homes[source] / f"{source}__{kind}.nii.gz").read_bytes()
        (homes[to] / f"{to}__{kind}.nii.gz").write_bytes(data)

    copy("CT", "A-1", "B-2")
    copy("CT", "A-1", "C-3")
    copy("PT", "B-2", "C-3")
    with (cohort.root / "Task 1" / "HECKTOR_2025_Training_Task_1.csv").open("a", encoding="utf-8") as table:
        table.write(f"C-3,{RECORD}\n")
    problems = found(cohort)
    assert set(problems) == {("CT_TWICE", "B-2"), ("IMAGES_TWICE", "C-3")}
    assert problems["IMAGES_TWICE", "C-3"].text == "has the same CT and PET as B-2"


# --- images -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thorough", [False, True])
def test_unreadable_images_of_all_patients_are_found_at_once(cohort, thorough):
    (cohort.root / "Task 1" / "A-1" / "A-1__CT.nii.gz").write_bytes(b"")
    (cohort.root / "Task 1" / "B-2" / "B-2__PT.nii.gz").write_bytes(b"no image at all, but some bytes")
    (cohort.root / "Task 1" / "B-2" / "B-2.nii.gz").write_bytes(b"")
    by_kind = found(cohort, thorough)
    assert set(by_kind) == {("IMAGE_UNREADABLE", "A-1"), ("IMAGE_UNREADABLE", "B-2"), ("LABEL_UNREADABLE", "B-2")}
    empty = by_kind["IMAGE_UNREADABLE", "A-1"]
    assert empty.text.endswith("A-1__CT.nii.gz is empty (0 bytes): copy or export it again")
    assert empty.remedy == "or leave the patient out"
    assert str(cohort.root) not in by_kind["IMAGE_UNREADABLE", "A-1"].text


def test_a_slice_is_no_volume(cohort):
    cohort.image(cohort.root / "Task 1" / "A-1" / "A-1__CT.nii.gz", np.zeros((1, 4, 4), np.float32))
    assert "is no volume (4 x 4 x 1)" in only(cohort, "IMAGE_UNREADABLE").text


def test_label_grids_are_compared_with_the_cts(cohort):
    label = cohort.root / "Task 1" / "A-1" / "A-1.nii.gz"
    cohort.image(label, np.ones((3, 3, 3), np.uint8), origin_mm=0.05)  # rounding in a header
    assert found(cohort) == {}
    cohort.image(label, np.ones((2, 2, 2), np.uint8), spacing_mm=1.5)
    problem = only(cohort, "LABEL_OTHER_GRID")
    assert problem.text.startswith(
        "the label map has another grid (2 x 2 x 2 voxels of 1.5 x 1.5 x 1.5 mm) than the CT"
    )
    assert problem.severity == WARNING
    cohort.image(label, np.ones((3, 3, 3), np.uint8), origin_mm=40)
    assert only(cohort, "LABEL_APART").severity == ERROR


def test_pet_and_ct_that_do_not_meet(cohort):
    pet = cohort.root / "Task 1" / "A-1" / "A-1__PT.nii.gz"
    cohort.image(pet, np.ones((3, 3, 3), np.float32), origin_mm=500)
    problem = only(cohort, "IMAGES_APART")
    assert problem.text.startswith("images: PET and CT do not overlap")
    assert problem.where == "Task 1/A-1/A-1__PT.nii.gz"


@pytest.fixture
def tiny_cohort(writer, tiny_patient, save_image):
    """The tiny patient, in order but for what a test changes."""
    home = writer.root / "Task 1" / "A-1"
    save_image(tiny_patient.ct, home / "A-1__CT.nii.gz")
    save_image(tiny_patient.pet, home / "A-1__PT.nii.gz")
    save_image(tiny_patient.label_map, home / "A-1.nii.gz")
    writer.table(1, f"{COLUMNS},Relapse,RFS,HPV Status", f"A-1,{RECORD},1,300,1")
    return writer


def test_a_pet_that_is_no_suv_and_a_label_of_other_values(tiny_cohort, tiny_patient, save_image):
    home = tiny_cohort.root / "Task 1" / "A-1"
    save_image(tiny_patient.pet.with_array(tiny_patient.pet.array * 5000), home / "A-1__PT.nii.gz")
    save_image(tiny_patient.label_map.with_array(tiny_patient.label_map.array * 3), home / "A-1.nii.gz")
    assert found(tiny_cohort) == {}  # voxels are not read
    by_kind = found(tiny_cohort, thorough=True)
    assert set(by_kind) == {("PET_NOT_SUV", "A-1"), ("LABEL_VALUES", "A-1")}
    assert by_kind["PET_NOT_SUV", "A-1"].text.startswith("the PET is not in SUV (largest value ")
    assert "holds the values 3, 6: only 0 (background), 1 (GTVp) and 2 (GTVn)" in by_kind["LABEL_VALUES", "A-1"].text


def test_a_patient_in_order_passes_the_thorough_pass(tiny_cohort):
    told = []
    scan = scan_cohort(tiny_cohort.root, thorough=True, progress=lambda step, fraction: told.append((step, fraction)))
    assert scan.problems == ()
    assert told == [("reading images", 0.0), ("reading images", 1.0)]
    assert scan.text() == f"{tiny_cohort.root}: 1 patient; 0 errors, 0 warnings, 0 notes"


def test_an_empty_label_map_is_pointed_at(tiny_cohort, tiny_patient, save_image):
    empty = tiny_patient.label_map.with_array(np.zeros_like(tiny_patient.label_map.array))
    save_image(empty, tiny_cohort.root / "Task 1" / "A-1" / "A-1.nii.gz")
    assert only(tiny_cohort, "LABEL_EMPTY", thorough=True).severity == WARNING


def test_contours_beyond_the_region_of_interest_are_counted(writer, large_case, save_image):
    """A body of 256 x 240 x 360 mm, larger than the ROI: of three voxels the one in the corner is lost."""
    labels = np.zeros(large_case.ct.geometry.shape, np.uint8)
    labels[45, 30, 32:34] = 1
    labels[0, 0, 0] = 2
    home, hu = writer.root / "Task 1" / "A-1", large_case.ct.array.copy()
    hu[:, :2] = -1000.0  # a little air, as every CT has
    save_image(large_case.ct.with_array(hu), home / "A-1__CT.nii.gz")
    save_image(large_case.pet, home / "A-1__PT.nii.gz")
    save_image(large_case.ct.with_array(labels), home / "A-1.nii.gz")
    writer.table(1, f"{COLUMNS},Relapse,RFS,HPV Status", f"A-1,{RECORD},1,300,1")
    problem = only(writer, "LABEL_OUTSIDE_ROI", thorough=True)
    assert problem.text == "1 of 3 label voxels lie outside the region of interest"


# --- what is made of it -------------------------------------------------------------------------------


def test_strict_goes_by_warnings_too(cohort):
    cohort.patient("Z-9")
    scan = scan_cohort(cohort.root, thorough=False)
    scan.require_usable()
    with pytest.raises(TrainingError, match=r"^Z-9: has a folder but is in no table, and is left out \(Task 1/Z-9\)"):
        scan.require_usable(strict=True)


def test_the_table_is_aligned_and_notes_of_a_kind_share_a_line():
    problems = [
        *[Problem("LABEL_MISSING", f"P-{n}", f"Task 1/P-{n}", "has no label map", "nothing to do") for n in range(7)],
        Problem("ID_SPACES", "long-name", "t.csv, line 2", "spaces", "remove them"),
        Problem("NO_TABLE", "", "data", "no table", "give one"),
    ]
    assert table_text(problems).splitlines() == [
        "level    patient    where          problem",
        "error               data           no table; give one",
        "warning  long-name  t.csv, line 2  spaces; remove them",
        "note     (7)                       has no label map; nothing to do: P-0, P-1, P-2, P-3, P-4 and 2 more",
    ]


def test_the_json_holds_every_problem(cohort):
    cohort.table(3, COLUMNS + ",HPV Status", f"A-1,{RECORD},2", f"B-2,{RECORD},1")
    data = json.loads(json.dumps(scan_cohort(cohort.root, thorough=False).to_dict()))
    assert data["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert data["usable"] == ["B-2"]
    assert data["problems"] == [
        {
            "severity": "error",
            "code": "VALUE_IMPOSSIBLE",
            "patient_id": "A-1",
            "where": "Task 3/HECKTOR_2025_Training_Task_3.csv, line 2",
            "text": "HPV Status is '2', expected 0 or 1",
            "remedy": "write 1 (positive) or 0 (negative), or leave it empty",
        }
    ]


@pytest.mark.parametrize(
    ("flags", "spoil", "code"),
    [((), None, 0), (("--strict",), None, 0), ((), "Gender", 0), (("--strict",), "Gender", 3), ((), "Age", 2)],
)
def test_exit_codes_of_the_command(cohort, mmpl, tmp_path, flags, spoil, code):
    if spoil:
        cohort.table(1, f"PatientID,{spoil}", "A-1,900")
    ran = mmpl("scan", "--data", cohort.root, "--quick", "--json", tmp_path / "scan.json", *flags)
    assert ran.code == code
    assert f"{cohort.root}: 2 patients; " in ran.out
    data = json.loads((tmp_path / "scan.json").read_text(encoding="utf-8"))
    assert data == json.loads(json.dumps(scan_cohort(cohort.root, thorough=False).to_dict()))
    if code == 2:
        assert ran.errors == [f"mmpl scan: training cannot start: 1 error in {cohort.root}"]
        assert "Age is '900'; it must lie between 0 and 120 years, or be left empty" in ran.out


def test_a_missing_folder_is_a_problem_like_any_other(tmp_path):
    scan = scan_cohort(tmp_path / "none", thorough=True)
    assert [p.code for p in scan.problems] == ["NO_FOLDER"]
    assert scan.cases == ()


def test_every_severity_is_one_of_three():
    assert set(SEVERITIES.values()) == {ERROR, WARNING, NOTE}


def test_the_documentation_lists_every_code_with_its_level():
    text = (Path(__file__).resolve().parents[4] / "docs" / "training-data.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")]
    assert {code: level for _, code, level, *_ in rows} == SEVERITIES
    assert [code for _, code, *_ in rows] == list(SEVERITIES)
