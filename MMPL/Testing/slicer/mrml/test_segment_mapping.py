"""Which segment is which class, by name, by guess and by answer."""

from __future__ import annotations

import pytest

from mmpl_slicer.segment_mapping import mapping_in_force, proposed_mapping, remember_mapping


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


def test_names_that_say_nothing_for_certain_are_asked_for(named):
    assert mapping_in_force(named("Tumour", "LN II")) is None


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
