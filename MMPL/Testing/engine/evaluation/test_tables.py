"""What can be wrong with a CSV: one sentence each, exit code 2, nothing written."""

from __future__ import annotations

import pytest

GOOD_TRUTH = ("PatientID,HPV Status,CenterID", ("A", 1, 1), ("B", 0, 1), ("C", 1, 2))
GOOD_PRED = ("PatientID,hpv_probability", ("A", 0.9), ("B", 0.2), ("C", 0.6))


@pytest.fixture
def hpv_truth(table):
    return table("truth.csv", *GOOD_TRUTH)


@pytest.fixture
def bad(refused, hpv_truth, tmp_path):
    """The sentence about a prediction file of the given text or bytes."""

    def run(content: str | bytes) -> str:
        path = tmp_path / "pred.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        return refused("hpv", path, hpv_truth)

    return run


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_another_delimiter(bad, sign, name):
    line = bad(f"PatientID{sign}hpv_probability\nA{sign}0.9\n")
    assert line.endswith(f"pred.csv is separated by {name}: save it with commas between columns and decimal points")


def test_a_missing_column_names_those_that_are_there(bad):
    line = bad("PatientID,probability,Age\nA,0.9,61\n")
    assert line.endswith("pred.csv has no column 'hpv_probability'; its columns are PatientID, probability, Age")
    assert "has no column 'PatientID' and 'hpv_probability'" in bad("id,p\nA,0.9\n")


def test_a_patient_or_a_column_that_occurs_twice(bad):
    line = bad("PatientID,hpv_probability\nA,0.9\nB,0.1\nA,0.8\n")
    assert line.endswith("pred.csv: PatientID 'A' occurs twice (lines 2 and 4); keep one line a patient")
    assert "has two columns named 'hpv_probability': keep one" in bad(
        "PatientID,hpv_probability,hpv_probability\nA,1,1\n"
    )


def test_decimals_with_a_comma(bad):
    line = bad('PatientID,hpv_probability\nA,"0,83"\n')
    assert line.endswith(
        "pred.csv, line 2 (A): hpv_probability is '0,83', with a comma: write decimals with a point; "
        "expected a probability from 0 to 1"
    )
    assert "line 3: 3 cells under 2 columns" in bad("PatientID,hpv_probability\nA,0.83\nB,0,2\n")


@pytest.mark.parametrize(
    "date", ["2024-03-01", "2024-03-01 00:00:00", "1/2/2024", "01.02.24", "1-Mar", "Mar-24", "2. Mrz"]
)
def test_a_date_that_was_a_number(bad, date):
    line = bad(f"PatientID,hpv_probability\nA,{date}\n")
    assert f"line 2 (A): hpv_probability is '{date}', a date (spreadsheets turn numbers into dates" in line


@pytest.mark.parametrize("value", ["1.3", "-0.1", "inf"])
def test_a_probability_out_of_range(bad, value):
    line = bad(f"PatientID,hpv_probability\nA,{value}\n")
    assert line.endswith(f"line 2 (A): hpv_probability is {value}, expected a probability from 0 to 1")


@pytest.mark.parametrize("value", ["high", "83 %", "12 days"])
def test_text_that_is_no_number(bad, value):
    line = bad(f"PatientID,hpv_probability\nA,{value}\n")
    assert line.endswith(f"line 2 (A): hpv_probability is '{value}', expected a probability from 0 to 1")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"PatientID,hpv_probability\n", "names its columns but holds no patient"),
        (b"PK\x03\x04rest", "is an Excel workbook: save it as CSV"),
        ("PatientID,hpv_probability\nA,0.9\n".encode("utf-16"), "is not UTF-8 text"),
        (b"PatientID,hpv_probability\nM\xfcller,0.9\n", "is not UTF-8 text"),
        (b'PatientID,hpv_probability\nA,"0.9\n', "not valid CSV"),
        (b"PatientID,hpv_probability\n,0.9\n", "line 2: PatientID is empty"),
    ],
)
def test_files_that_are_no_table(bad, content, sentence):
    assert sentence in bad(content)


def test_no_such_file(refused, hpv_truth, tmp_path):
    assert "absent.csv does not exist: check the path" in refused("hpv", tmp_path / "absent.csv", hpv_truth)


def test_a_byte_order_mark_blank_lines_and_spaces_do_no_harm(scored, hpv_truth, tmp_path):
    path = tmp_path / "pred.csv"
    path.write_bytes(b"\xef\xbb\xbfPatientID, hpv_probability\r\n A ,0.9\r\n\r\nB, 0.2\r\nC,0.6\r\n")
    assert scored("hpv", path, hpv_truth)["counts"]["patients scored"] == 3


@pytest.mark.parametrize("status", ["2", "maybe", "1,0"])
def test_a_status_that_is_neither(refused, table, status):
    truth = table("truth.csv", "PatientID,HPV Status", ("A", status))
    line = refused("hpv", table("pred.csv", *GOOD_PRED), truth)
    assert f"truth.csv, line 2 (A): HPV Status is '{status}'" in line
    assert 'give "positive" (1) or "negative" (0)' in line


def test_a_minus_beside_a_plus_is_refused_and_alone_unknown(refused, scored, table):
    pred, column = table("pred.csv", *GOOD_PRED), "PatientID,HPV Status"
    line = refused("hpv", pred, table("truth.csv", column, ("A", "+"), ("B", " - "), ("C", "-")))
    assert line.endswith(
        "truth.csv, line 3 (B): HPV Status is '-', which says unknown, in a column that has '+', too: write 0 or "
        "negative for each '-', or leave it empty where the status is unknown"
    )
    counts = scored("hpv", pred, table("truth.csv", column, ("A", "positive"), ("B", "-"), ("C", 0)))["counts"]
    assert (counts["HPV-positive"], counts["HPV-negative"], counts["left out: truth unknown"]) == (1, 1, 1)
    counts = scored("hpv", pred, table("truth.csv", column, ("A", "+"), ("B", "-ve"), ("C", "p16-")))["counts"]
    assert (counts["HPV-positive"], counts["HPV-negative"], counts["left out: truth unknown"]) == (1, 2, 0)


def test_follow_up_that_cannot_be(refused, table):
    pred = table("pred.csv", "PatientID,risk", ("A", 1))

    def line(relapse, days):
        return refused("rfs", pred, table("truth.csv", "PatientID,Relapse,RFS", ("A", relapse, days)))

    assert line(1, -5).endswith("line 2 (A): RFS is -5, expected days from 0 to 36525")
    assert line(1, 45321).endswith("RFS is 45321, expected days from 0 to 36525")
    assert line(2, 50).endswith("Relapse is 2, expected 0 or 1")
    assert line(0.5, 50).endswith("Relapse is 0.5, expected 0 or 1")
    assert "RFS is '2024-03-01', a date" in line(1, "2024-03-01")
    assert line("", -5).endswith("RFS is -5, expected days from 0 to 36525")


def test_patients_in_one_table_and_not_the_other(refused, table, hpv_truth):
    few = table("few.csv", GOOD_PRED[0], ("A", 0.9))
    line = refused("hpv", few, hpv_truth)
    assert line.startswith("2 of 3 patients (B, C) with an HPV status in ")
    assert line.endswith("few.csv; give them all, or --only-common to score the others")
    more = table("more.csv", *GOOD_PRED, *((f"X{k}", 0.5) for k in range(5)))
    line = refused("hpv", more, hpv_truth)
    assert line.startswith("5 of 8 patients (X0, X1, X2, ...) with an HPV probability in ")
    other = table("other.csv", GOOD_PRED[0], ("X", 0.5))
    assert "no patient has both" in refused("hpv", other, hpv_truth, "--only-common")


def test_an_empty_probability_is_no_prediction(refused, scored, table, hpv_truth):
    pred = table("pred.csv", GOOD_PRED[0], ("A", 0.9), ("B", ""), ("C", "nan"))
    assert refused("hpv", pred, hpv_truth).startswith("2 of 3 patients (B, C) with an HPV status")
    counts = scored("hpv", pred, hpv_truth, "--only-common")["counts"]
    assert (counts["patients scored"], counts["left out: no prediction"]) == (1, 2)


def test_only_common_counts_whom_it_leaves_out(scored, table):
    truth = table("truth.csv", *GOOD_TRUTH, ("D", "", 2), ("E", 1, 2))
    pred = table("pred.csv", *GOOD_PRED, ("D", 0.5), ("X", 0.5))
    counts = scored("hpv", pred, truth, "--only-common")["counts"]
    assert counts == {
        "patients scored": 3,
        "left out: truth unknown": 1,
        "left out: no prediction": 1,
        "left out: not in the truth": 1,
        "HPV-positive": 2,
        "HPV-negative": 1,
    }
