"""A clinical record from a JSON file; what its values mean is decided elsewhere."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from mmpl.errors import InputError
from mmpl.file_names import can_be_spelt, spelt

LONGEST = 400  # digits; Python itself gives up at some thousands
EXPECTED = 'give a JSON object such as {"Age": 61, "Gender": 1, "M-stage": null}'


def read_ehr(path: str | Path) -> dict[str, object]:
    """Read a flat JSON object: names to text, numbers, true, false or null.

    Parameters
    ----------
    path : a JSON file in UTF-8, with or without a byte order mark

    Raises
    ------
    InputError
        If the file is missing, is not JSON, is not an object, is nested, names a field twice or
        holds NaN, Infinity, a number of hundreds of digits or half a character.
    """
    path = Path(path)
    text = _text(path)
    try:
        record = json.loads(text, object_pairs_hook=_Pairs, parse_constant=_refuse_constant, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        raise InputError(
            f"clinical record {path} is not valid JSON (line {error.lineno}, column {error.colno}: "
            f"{error.msg}): {EXPECTED}"
        ) from error
    except _NotANumberError as error:
        raise InputError(f"clinical record {path} holds {error}: write null for an unknown value") from error
    except _TooLongError as error:
        raise InputError(f"clinical record {path} holds a number of {error} digits: correct it") from error
    except RecursionError as error:
        raise InputError(f"clinical record {path} is nested too deeply: {EXPECTED}") from error
    if not isinstance(record, _Pairs):
        raise InputError(f"clinical record {path} holds {_kind(record)}, not an object: {EXPECTED}")
    return _flat(record, path)


class _Pairs(list):
    """The members of one JSON object in order, duplicates included."""


class _NotANumberError(ValueError):
    """NaN or Infinity, which JSON does not have."""


class _TooLongError(ValueError):
    """A whole number that no value of a record can be."""


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST:
        raise _TooLongError(len(digits.lstrip("-")))
    return int(digits)


def _refuse_constant(name: str) -> None:
    raise _NotANumberError(name)


def _text(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"clinical record {path} is a folder: {EXPECTED}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"clinical record {path} does not exist: check the path") from error
    except OSError as error:
        raise InputError(f"clinical record {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"clinical record {path} is not UTF-8 text: {EXPECTED}") from error


def _flat(record: _Pairs, path: Path) -> dict[str, object]:
    for text in (text for pair in record for text in pair if isinstance(text, str)):
        if not can_be_spelt(text):  # JSON's \ud800 alone; no result could hold it
            raise InputError(f'clinical record {path} holds "{spelt(text)}", half a character: correct it')
    repeated = [name for name, count in Counter(name for name, _ in record).items() if count > 1]
    if repeated:
        raise InputError(f'clinical record {path} names "{repeated[0]}" more than once: keep one')
    for name, value in record:
        if isinstance(value, list):
            raise InputError(f'clinical record {path}: "{name}" holds {_kind(value)}, expected text, a number or null')
    return dict(record)


def _kind(value: object) -> str:
    if isinstance(value, _Pairs):
        return "an object"
    return "a list" if isinstance(value, list) else f"the value {json.dumps(value)}"
