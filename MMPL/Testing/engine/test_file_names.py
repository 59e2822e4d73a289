"""Names of files that are no text, and those that file managers leave."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from mmpl.errors import InputError
from mmpl.file_names import can_be_spelt, check_spelling, is_left_by_file_manager, spelt


@pytest.mark.parametrize(
    "name", [".DS_Store", "a/Thumbs.db", "desktop.ini", "__MACOSX/a/b.json", "a/._b.json", "DESKTOP.INI"]
)
def test_what_file_managers_leave(name):
    assert is_left_by_file_manager(PurePosixPath(name))


@pytest.mark.parametrize("name", ["a.json", ".hidden", "a/b.dcm", "_a", "my desktop.ini.txt", "thumbs"])
def test_what_is_somebodys(name):
    assert not is_left_by_file_manager(PurePosixPath(name))


def test_bytes_that_are_no_text_are_named_and_refused():
    name = b"M\xfcller".decode("utf-8", "surrogateescape")  # as Python reads it from a disk
    assert not can_be_spelt(name)
    assert spelt(name) == "M\\udcfcller"
    with pytest.raises(InputError, match=r"M\\udcfcller: the name is not valid UTF-8; rename the file or folder"):
        check_spelling(name)
    for name in ("Müller", "李", "a b"):
        assert can_be_spelt(name)
        assert spelt(name) == name
        check_spelling(name)
