"""The structured report, walked item by item with pydicom alone."""

import numpy as np
import pytest


def name_of(item) -> str:
    return item.ConceptNameCodeSequence[0].CodeValue


def groups(report) -> dict[str, list]:
    """Items of each measurement group by its tracking identifier."""
    (container,) = [i for i in report.ContentSequence if name_of(i) == "126010"]  # Imaging Measurements
    return {
        next(i.TextValue for i in group.ContentSequence if name_of(i) == "112039"): list(group.ContentSequence)
        for group in container.ContentSequence
    }


def numbers(items) -> dict[tuple, tuple[float, str]]:
    """Value and unit by concept and derivation."""
    found = {}
    for item in items:
        if item.ValueType == "NUM":
            derivations = [i.ConceptCodeSequence[0].CodeValue for i in item.get("ContentSequence", ())]
            measured = item.MeasuredValueSequence[0]
            unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
            found[(name_of(item), *derivations)] = (float(measured.NumericValue), unit)
    return found


def codes(items) -> dict[str, str]:
    return {name_of(i): i.ConceptCodeSequence[0].CodeValue for i in items if i.ValueType == "CODE"}


def comments(report) -> list[str]:
    return [i.TextValue for i in report.ContentSequence if i.ValueType == "TEXT" and name_of(i) == "121106"]


@pytest.fixture
def report(a_source, exported, two_classes):
    return exported(a_source(), two_classes)["report"]


def test_each_class_and_component_has_its_figures_in_the_standard_s_codes(report):
    found = groups(report)
    assert list(found) == ["GTVp", "GTVp 1", "GTVn", "GTVn 1", "GTVn 2", "Prediction"]
    assert numbers(found["GTVp"]) == {
        ("118565006",): (0.92, "ml"),
        ("126401", "56851009"): (15.25, "g/ml{SUVbw}"),
        ("126401", "373098007"): (7.5, "g/ml{SUVbw}"),
        ("126401", "126031"): (12.125, "g/ml{SUVbw}"),
        ("126032",): (0.61, "ml"),
        ("126033",): (6.02, "g"),
    }


def test_a_figure_that_is_null_stays_out_and_is_named(report):
    assert ("126033",) not in numbers(groups(report)["GTVn"])
    assert any(text.startswith("GTVn: not given: TLG") for text in comments(report))


def test_predictions_have_private_codes_that_are_declared(report):
    prediction = groups(report)["Prediction"]
    assert numbers(prediction) == {
        ("HPV_PROBABILITY",): (0.834, "1"),
        ("HPV_THRESHOLD",): (0.52, "1"),
        ("RFS_RISK",): (-0.25, "1"),
        ("RFS_1Y",): (0.91, "1"),
        ("RFS_2Y",): (0.84, "1"),
        ("RFS_3Y",): (0.8125, "1"),
        ("RFS_DEEP_DAYS",): (1904.5, "d"),
    }
    assert codes(prediction)["HPV_STATUS"] == "10828004"
    assert codes(prediction)["RFS_RISK_GROUP"] == "62482003"
    assert "99MMPL" in [s.CodingSchemeDesignator for s in report.CodingSchemeIdentificationSequence]


def test_the_text_says_what_numbers_cannot(report):
    text = "\n".join(comments(report))
    for part in (
        "For research use only.",
        "Model bundle tiny, version 1.2, sha256 0123456789abcdef",
        "counted from: end of radiotherapy",
        "Higher risk means earlier relapse.",
        "at 5y: not given, beyond the last training event",
        "Warning SITE_UNKNOWN: The tumour site of KH-4711-0815 is not given.",
        "MTV rule: voxels >= 41 %",
        "The contours were given to MMPL",
    ):
        assert part in text


def test_groups_refer_to_the_segments_and_carry_their_tracking_uids(a_source, exported, two_classes):
    written = exported(a_source(), two_classes)
    found, seg = groups(written["report"]), written["segmentation"]
    for segment in seg.SegmentSequence:
        items = found[segment.SegmentLabel]
        (image,) = [i.ReferencedSOPSequence[0] for i in items if i.ValueType == "IMAGE"]
        assert image.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert image.ReferencedSegmentNumber == segment.SegmentNumber
        assert next(i.UID for i in items if name_of(i) == "112040") == segment.TrackingUID


def test_the_evidence_is_the_ct_and_the_segmentation(a_source, exported, two_classes):
    written = exported(a_source(), two_classes)
    (study,) = written["report"].CurrentRequestedProcedureEvidenceSequence
    sizes = {s.SeriesInstanceUID: len(s.ReferencedSOPSequence) for s in study.ReferencedSeriesSequence}
    assert sorted(sizes.values()) == [1, 12]
    assert sizes[written["segmentation"].SeriesInstanceUID] == 1


def test_what_is_not_predicted_is_said_with_its_reason(a_source, exported, no_lesion):
    report = exported(a_source(), np.zeros((12, 20, 24), np.uint8), no_lesion)["report"]
    assert {name: numbers(items) for name, items in groups(report).items()} == {
        "GTVp": {("118565006",): (0.0, "ml")},
        "GTVn": {("118565006",): (0.0, "ml")},
    }
    text = comments(report)
    assert "HPV probability: not given. No lesion was found." in text
    assert "Recurrence-free survival: not given. No lesion was found." in text
    assert "Nothing is contoured: no segmentation and no structure set were written." in text


def test_a_class_that_is_not_contoured_is_named(a_source, exported, two_classes):
    report = exported(a_source(), np.where(two_classes == 1, 1, 0).astype(np.uint8))["report"]
    assert list(groups(report)) == ["GTVp", "GTVp 1", "GTVn", "Prediction"]
    assert numbers(groups(report)["GTVn"]) == {("118565006",): (0.0, "ml")}
    assert "GTVn: nothing is contoured, so it is neither a segment nor a region of interest." in comments(report)
