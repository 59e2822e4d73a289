from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmpl.errors import InputError
from mmpl.radiomics.extraction import extract_features
from mmpl.radiomics.feature_set import FAMILIES, FEATURES_OF_FAMILY, FeatureSet
from mmpl.radiomics.ibsi import CODE_OF, Reference, compare, read_references

TABLE = """family,feature,code,data,aggregation,value,tolerance,consensus
Units,Volume (mesh),RNU0,dig. phantom,,556.0,4.0,very strong
Units,Volume (mesh),RNU0,config. A,,358000.0,5000.0,very strong
Units,Joint maximum,GYBY,dig. phantom,2D,0.519,,very strong
Units,Joint maximum,GYBY,dig. phantom,"3D, averaged",0.503,,very strong
Units,(Excess) intensity kurtosis,IPH6,dig. phantom,,,,very strong
Units,Small zone emphasis,,dig. phantom,3D,0.255,,very strong
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "values.csv"
    path.write_text(TABLE, encoding="utf-8")
    return path


def test_every_feature_has_an_entry_and_no_code_comes_twice():
    assert len(CODE_OF) == sum(map(len, FEATURES_OF_FAMILY.values()))
    codes = [c for c in CODE_OF.values() if c != "-"]
    assert len(set(codes)) == len(codes) == 102


def test_reads_the_configuration_and_aggregation(table):
    found = read_references(table, "dig. phantom")
    assert found == {
        "RNU0": Reference(556.0, 4.0),
        "GYBY": Reference(0.503, None),
        "5QRC": Reference(0.255, None),
        "IPH6": Reference(-0.355, None),  # the table leaves negative values out
        "R8DG": Reference(-0.157, None),
    }
    assert read_references(table, "config. A") == {"RNU0": Reference(358000.0, 5000.0)}


def test_refuses_a_configuration_or_table_that_is_not_there(table, tmp_path):
    with pytest.raises(InputError, match=r"config\. Z"):
        read_references(table, "config. Z")
    with pytest.raises(InputError, match="is not there"):
        read_references(tmp_path / "other.csv", "dig. phantom")


@pytest.mark.parametrize(
    ("reference", "value", "agrees"),
    [
        (Reference(556.0, 4.0), 560.0, True),
        (Reference(556.0, 4.0), 560.1, False),
        (Reference(0.503, None), 0.5034, True),
        (Reference(0.503, None), 0.5037, False),
        (Reference(109.0, None), 109.4, True),
        (Reference(109.0, None), 110.0, False),
    ],
)
def test_agreement_is_the_tolerance_or_three_digits(reference, value, agrees):
    assert reference.agrees(value) == agrees


def test_what_differs_has_a_reason(table):
    rows = {r.name: r for r in compare(dict.fromkeys(CODE_OF, 1.0), read_references(table, "dig. phantom"))}
    assert rows["MeshVolume"].reference == Reference(556.0, 4.0)
    assert not rows["MeshVolume"].agrees
    assert rows["MeshVolume"].reason == ""
    assert "+ 3" in rows["firstorder_Kurtosis"].reason
    assert rows["glcm_JointEntropy"].reason == "no value in the published table"


def test_digital_phantom_of_the_fixture_agrees_with_known_consensus(ibsi_image, ibsi_mask):
    feature_set = FeatureSet(
        modalities=("PT",), classes=("GTVp",), families=FAMILIES, log_sigmas_mm=(), wavelet=None, pt_bin_width=1.0
    )
    array = ibsi_image.array
    values, _ = extract_features(array, array, ibsi_image.geometry, {"GTVp": ibsi_mask.array}, feature_set)
    # published excess kurtosis and first information correlation: -0.355 and -0.157
    assert values["GTVp_PT_original_firstorder_Kurtosis"] - 3 == pytest.approx(-0.355, abs=5e-4)
    assert values["GTVp_PT_original_glcm_Imc1"] == pytest.approx(-0.157, abs=5e-4)


@pytest.mark.real_data
@pytest.mark.skipif("MMPL_TEST_DATA" not in os.environ, reason="MMPL_TEST_DATA names no folder")
def test_the_table_has_no_unexplained_difference(tmp_path):
    script = Path(__file__).parents[4] / "bench" / "ibsi.py"
    out = tmp_path / "ibsi.md"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script, "--out", out], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "**differs**" not in out.read_text(encoding="utf-8")
