"""A whole full-width case by the command line: a CT of 512 x 512 x 300 voxels, ten members, radiomics, HPV and RFS.

The bundle is the demo's with ten members of full width in place of its three, at 1 mm and with the method's whole
feature set. What networks compute does not depend on their weights, but what comes after them does: the segmentation
networks carry the PET to the answer, and the PET of the case has uptake nowhere but in and around the phantom's
lesions. So contours, boxes and features are of real sizes; their numbers mean nothing.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from inference_card_case import carrying
from scipy.ndimage import distance_transform_edt

from mmpl.bundle.info import MemberInfo
from mmpl.bundle.reader import Bundle, default_bundle_path, open_bundle
from mmpl.bundle.writer import write_bundle
from mmpl.ensemble import HPV, RFS, SEGMENTATION
from mmpl.geometry import Geometry, Volume, image_from_volume
from mmpl.network.config import NetworkConfig
from mmpl.network.model import OutcomeNet, SegmentationNet
from mmpl.network.run import HPV_OUTPUTS, stored_weights
from mmpl.phantom import generate_patient
from mmpl.phantom.patient import PhantomPatient
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.resample import resample

SEED, INDEX = 7001, 0
MEMBERS = 10
FULL = NetworkConfig.full()
NATIVE_SIZE, NATIVE_MM = (512, 512, 300), (0.977, 0.977, 1.25)  # a CT of head and neck, field of view 500 mm
AROUND_MM = 6.0  # of uptake kept around a lesion
GAIN = 8.0  # of the answer: its logit is 0 one standard deviation above the mean of the uptake that is kept


def whole(folder: Path, number: float) -> dict:
    """One case of ``mmpl predict`` in a process of its own; its peak memory is that process's, or this one's if higher.

    The first converts the bundle's networks, later ones find them converted.
    """
    case, bundle = folder / "case", folder / "whole-bundle"
    if not (case / "PT.nii.gz").is_file():
        make_files(case)
    if not (bundle / "bundle.json").is_file():
        make_bundle(bundle)
    if number == 1:
        shutil.rmtree(bundle.with_name(f"{bundle.name}.openvino"), ignore_errors=True)
    out = folder / f"whole-out-{number:.0f}"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "mmpl", "predict", "--site", "oropharynx", "--bundle", str(bundle)]
    command += ["--ct", str(case / "CT.nii.gz"), "--pt", str(case / "PT.nii.gz"), "--out", str(out)]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return {
        "wall_s": time.perf_counter() - started,
        "cpu_s": used.ru_utime + used.ru_stime,
        "peak_gb": round(used.ru_maxrss * 1024 / 1e9, 2),
        "segmentation": results["segmentation"],
        "timings_s": results["timings_s"],
        "warnings": [warning["text"] for warning in results["warnings"]],
    }


def make_files(folder: Path) -> None:
    """CT and PET of the phantom; PT.nii.gz comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    patient = generate_patient(SEED, INDEX)
    for name, volume in (("CT", native_ct(patient)), ("PT", lesions_only(patient))):
        sitk.WriteImage(image_from_volume(volume), str(folder / f"{name}.nii.gz"), True)


def native_ct(patient: PhantomPatient) -> Volume:
    """The phantom's CT as a scanner would store it, air around it."""
    grid = patient.ct.geometry
    middle = grid.physical((np.asarray(grid.size) - 1) / 2)
    origin = middle - (np.asarray(NATIVE_SIZE) - 1) / 2 * np.asarray(NATIVE_MM)
    native = Geometry(NATIVE_SIZE, NATIVE_MM, tuple(origin))
    moved = resample(patient.ct, native, method="linear", fill=-1024.0)
    return moved.with_array(np.rint(moved.array).astype(np.int16))


def lesions_only(patient: PhantomPatient) -> Volume:
    """The phantom's PET, zero but for its lesions and what is near them."""
    labelled = patient.label_map.array > 0
    spacing = patient.label_map.geometry.spacing_mm[::-1]
    near = patient.label_map.with_array((distance_transform_edt(~labelled, spacing) <= AROUND_MM).astype(np.float32))
    share = resample(near, patient.pet.geometry, method="linear", fill=0.0).array
    return patient.pet.with_array(np.where(share > 0.5, patient.pet.array, 0).astype(np.float32))


def make_bundle(folder: Path, network: NetworkConfig = FULL, count: int = MEMBERS) -> Bundle:
    """So many members, each with the encoder, forest and Cox model of one of the demo's."""
    demo = open_bundle(default_bundle_path())
    outputs = {HPV: HPV_OUTPUTS, RFS: len(demo.info.preprocessing["breaks_days"]) - 1}
    payload, members = {}, []
    for number in range(count):
        of = demo.info.members[number % len(demo.info.members)]
        files = {key: f"member_{number}/{Path(rel).name}" for key, rel in of.files.items()}
        payload |= {files[key]: demo.bytes(rel) for key, rel in of.files.items()}
        torch.manual_seed(number)
        payload[files[SEGMENTATION]] = stored_weights(_seeing_uptake(carrying(SegmentationNet(network))))
        for stage, width in outputs.items():
            payload[files[stage]] = stored_weights(OutcomeNet(network, width))
        members.append(MemberInfo(f"member_{number}", files))
    info = replace(
        demo.info,
        name="full-width",
        description="Members whose weights mean nothing, to measure what a case costs.",
        network=network.to_dict(),
        radiomics=FeatureSet.full().to_dict(),
        members=tuple(members),
    )
    return write_bundle(folder, info, payload)


def _seeing_uptake(net: SegmentationNet) -> SegmentationNet:
    """GTVp where the PET's number is above 1; no GTVn."""
    with torch.no_grad():
        net.head.weight *= GAIN
        net.head.weight[1] = 0.0
        net.head.bias.fill_(-GAIN)
    return net
