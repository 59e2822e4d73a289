"""Is a dictionary a ``results.json``? A JSON Schema for the shape, code for what a schema cannot say."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from mmpl.errors import OutputError

SCHEMA_FILE = Path(__file__).parent / "schema" / "results.schema.json"
CURVE_TOLERANCE = 1e-9


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))


def validate_results(results: dict) -> None:
    """Check what ``Results.as_dict()`` yields, or what was read back from ``results.json``.

    Parameters
    ----------
    results : dict

    Raises
    ------
    OutputError
        Naming the place (as a path into the document) and what is wrong with it.
    """
    error = best_match(_validator().iter_errors(results))
    if error is not None:
        raise OutputError(f"results at {error.json_path}: {error.message[:300]}; write it as the schema has it")
    if results["rfs"]["curve"] is not None:
        _check_curve(results["rfs"]["curve"])
    _check_years(results["rfs"])
    for name, lesions in results["lesions"].items():
        _check_components(name, lesions["components"])


def _check_curve(curve: dict) -> None:
    where = "results at $.rfs.curve"
    lengths = {name: len(values) for name, values in curve.items()}
    if len(set(lengths.values())) != 1:
        raise OutputError(f"{where}: arrays of different lengths {lengths}; give one value per day")
    if any(later <= earlier for earlier, later in itertools.pairwise(curve["days"])):
        raise OutputError(f"{where}: days must rise strictly")
    rows = list(zip(curve["survival"], curve["members_low"], curve["members_high"], strict=True))
    known = [row for row in rows if None not in row]
    if any(value is not None for row in rows[len(known) :] for value in row):
        raise OutputError(f"{where}: a value follows a null; survival and band end together, once")
    if any(later[0] > earlier[0] + CURVE_TOLERANCE for earlier, later in itertools.pairwise(known)):
        raise OutputError(f"{where}: survival rises; it can only fall or stay")
    if any(not low - CURVE_TOLERANCE <= survival <= high + CURVE_TOLERANCE for survival, low, high in known):
        raise OutputError(f"{where}: survival lies outside the members' minimum and maximum")


def _check_years(rfs: dict) -> None:
    for year, members in rfs.get("members_at", {}).items():
        survival = rfs["survival_at"].get(year)
        if members is None:
            continue
        if survival is None or not members[0] - CURVE_TOLERANCE <= survival <= members[1] + CURVE_TOLERANCE:
            raise OutputError(
                f"results at $.rfs.survival_at.{year}: {survival} is outside the members' minimum and maximum {members}"
            )


def _check_components(name: str, components: list[dict]) -> None:
    ids = [component["id"] for component in components]
    if ids != list(range(1, len(ids) + 1)):
        raise OutputError(f"results at $.lesions.{name}.components: ids {ids}; they count from 1 in order")
