"""Which segment is which class, by name, by guess and by answer."""

from __future__ import annotations

import pytest

from mmpl.segments import SEGMENTS
from mmpl_slicer.segment_mapping import mapping_in_force, notes_on_segments, proposed_mapping, remember_mapping
from mmpl_slicer.segmentation import find_segment


@pytest.fixture
def named(scene):
    """A function that makes a segmentation with segments of these names."""

    def make(*names):
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
        for name in names:
            node.GetSegmentation().AddEmptySegment(name, name)
        return node

    return make


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("GTVp", 1),
        ("gtv-T", 1),
        ("GTV_p boost", 1),
        ("GTV", 1),
        ("Primary tumor", 1),
        ("Tumour left", 1),
        ("Tu prim", 1),
        ("GTVn", 2),
        ("GTV LN", 2),
        ("GTV-N2", 2),
        ("Lymph node", 2),
        ("LN II", 2),
        ("ln2 right", 2),
        ("nodal mets", 2),
        ("Metastasis", 2),
        ("Parotid", 0),
        ("Spinal cord", 0),
        ("PTV", 0),
        ("Lens", 0),
    ],
)
def test_what_clinics_call_them(named, name, label):
    assert proposed_mapping(named(name)) == {name: label}


def test_our_names_need_no_question_whatever_their_case(named):
    assert mapping_in_force(named("gtvP", "GTVN", "Cord")) == {"gtvP": 1, "GTVN": 2}


def test_our_ids_count_whatever_the_segment_is_called_now(named):
    node = named("GTVp", "GTVn")
    node.GetSegmentation().GetSegment("GTVp").SetName("boost")
    assert mapping_in_force(node) == {"GTVp": 1, "GTVn": 2}


def test_a_name_decides_where_it_is_a_classs(named):
    node = named("GTVp", "GTVn")
    segmentation = node.GetSegmentation()
    segmentation.GetSegment("GTVn").SetName(" gtvP ")
    assert mapping_in_force(node) == {"GTVp": 1, "GTVn": 1}
    segmentation.GetSegment("GTVp").SetName("GTVn")
    assert mapping_in_force(node) == {"GTVp": 2, "GTVn": 1}
    assert [find_segment(node, SEGMENTS[label]) for label in (1, 2)] == ["GTVn", "GTVp"]


def test_an_id_does_not_count_where_another_segment_bears_the_name(named):
    node = named("GTVp", "GTVn")
    segmentation = node.GetSegmentation()
    segmentation.GetSegment("GTVp").SetName("other")
    segmentation.GetSegment("GTVn").SetName("GTVp")
    assert mapping_in_force(node) == {"GTVn": 1}
    assert find_segment(node, SEGMENTS[1]) == "GTVn"
    assert find_segment(node, SEGMENTS[2]) is None
    assert notes_on_segments(node, {"GTVn": 1}) == ["Not used: other (made as GTVp)."]


def test_an_id_does_not_count_where_the_name_speaks_of_the_other_class(named):
    node = named("GTVp", "GTVn")
    node.GetSegmentation().GetSegment("GTVp").SetName("Lymph node left")
    assert mapping_in_force(node) == {"GTVn": 2}
    node.GetSegmentation().GetSegment("GTVn").SetName("Lymph node right")
    assert mapping_in_force(node) == {"GTVn": 2}


def test_an_answer_does_not_outlive_the_name_of_a_class(named):
    node = named("a", "b")
    remember_mapping(node, {"a": 1, "b": 2})
    node.GetSegmentation().GetSegment("a").SetName("GTVn")
    assert mapping_in_force(node) == {"a": 2, "b": 2}


def test_what_a_name_does_not_show_is_said(named):
    node = named("GTVp", "GTVn", "extra", "Cord")
    assert notes_on_segments(node, {"GTVp": 1, "GTVn": 2}) == ["Not used: extra, Cord."]
    node.GetSegmentation().GetSegment("GTVp").SetName("boost")
    remember_mapping(node, {"extra": 2, "Cord": 0})
    assert notes_on_segments(node, mapping_in_force(node)) == [
        "2 segments count as GTVn: GTVn, extra.",
        "boost counts as GTVp, as which it was made.",
        "Not used: Cord.",
    ]


def test_names_that_say_nothing_for_certain_are_asked_for(named):
    assert mapping_in_force(named("Tumour", "LN II")) is None


@pytest.mark.parametrize("names", [("GTVp", "LN left"), ("GTVn", "Primary tumour"), ("GTVn1", "GTV")])
def test_a_class_that_seems_to_be_there_under_another_name_is_asked_for(named, names):
    """Left out in silence, it would make a patient with nodes one without."""
    node = named(*names)
    assert mapping_in_force(node) is None
    remember_mapping(node, {names[0]: proposed_mapping(node)[names[0]], names[1]: 0})
    assert len(mapping_in_force(node)) == 1


def test_numbered_nodes_are_taken_as_the_command_line_takes_them(named):
    node = named("GTVp", "GTVn1", "GTV_N 2", "GTVnodal", "LN IIa")
    assert mapping_in_force(node) == {"GTVp": 1, "GTVn1": 2, "GTV_N 2": 2}
    assert notes_on_segments(node, mapping_in_force(node)) == [
        "2 segments count as GTVn: GTVn1, GTV_N 2.",
        "Not used: GTVnodal, LN IIa.",
    ]


def test_a_segmentation_without_segments_is_not_asked_for(named):
    assert mapping_in_force(named()) == {}


def test_an_answer_is_kept_and_unused_is_one(named):
    node = named("Tumour", "LN II", "Cord")
    remember_mapping(node, {"Tumour": 1, "LN II": 0, "Cord": 0})
    assert mapping_in_force(node) == {"Tumour": 1}
    remember_mapping(node, {"Tumour": 0, "LN II": 0, "Cord": 0})
    assert mapping_in_force(node) == {}


def test_an_answer_outlives_a_new_name_and_forgets_what_is_gone(named):
    node = named("a", "b")
    remember_mapping(node, {"a": 1, "b": 2})
    node.GetSegmentation().GetSegment("a").SetName("renamed")
    node.GetSegmentation().RemoveSegment("b")
    assert mapping_in_force(node) == {"a": 1}


@pytest.mark.parametrize("text", ["nonsense", "[]", "5", '{"a": "x"}', '{"a": 7}'])
def test_an_answer_that_cannot_be_read_is_none(named, text):
    node = named("a")
    node.SetAttribute("MMPL.Segments", text)
    assert mapping_in_force(node) is None
