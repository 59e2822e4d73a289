from __future__ import annotations

import pytest

from mmpl.errors import InputError
from mmpl.io.ehr import read_ehr


@pytest.fixture
def ehr_file(tmp_path):
    def write(content):
        path = tmp_path / "ehr.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_values_come_as_written(ehr_file):
    record = read_ehr(ehr_file('{"Age": 61, "Gender": "F", "M-stage": null, "Tobacco Consumption": 0.5, "p16": true}'))
    assert record == {"Age": 61, "Gender": "F", "M-stage": None, "Tobacco Consumption": 0.5, "p16": True}


def test_byte_order_mark(ehr_file):
    assert read_ehr(ehr_file(b'\xef\xbb\xbf{"Age": 61}')) == {"Age": 61}


def test_empty_object(ehr_file):
    assert read_ehr(ehr_file("{}")) == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"Age": 61,\n "Gender" 1}', "line 2, column 11"),
        ("", "line 1, column 1"),
        ("[1, 2]", "holds a list, not an object"),
        ("3", "holds the value 3, not an object"),
        ('{"a": {"b": 1}}', '"a" holds an object'),
        ('{"a": [1]}', '"a" holds a list'),
        ('{"a": 1, "b": 2, "a": 3}', '"a" more than once'),
        ('{"Age": NaN}', "holds NaN"),
        (b'{"Age": "\xff"}', "not UTF-8"),
        ('{"Age": -' + "9" * 5000 + "}", "holds a number of 5000 digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"Treatment": "\\ud800"}', 'holds "\\ud800", half a character'),
        ('{"\\udfff": 1, "\\udfff": 2}', 'holds "\\udfff", half a character'),
    ],
)
def test_refused_with_one_sentence(ehr_file, content, says):
    path = ehr_file(content)
    with pytest.raises(InputError) as caught:
        read_ehr(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_ehr(tmp_path / "no.json")


def test_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        read_ehr(tmp_path)
