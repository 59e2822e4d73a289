"""A bundle's members, loaded and ready to run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial

from mmpl.bundle.info import BundleInfo, MemberInfo
from mmpl.bundle.reader import Bundle
from mmpl.clinical.encoder import ClinicalEncoder
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.errors import BundleError, InputError
from mmpl.hpv.member import HpvMember
from mmpl.machine import usable_bytes
from mmpl.network.backends.base import Backend, StoredNetwork
from mmpl.network.backends.choose import AUTO, REFERENCE, BackendChoice, backends, on_this_machine
from mmpl.network.config import NetworkConfig
from mmpl.network.networks import Networks
from mmpl.network.run import HPV_OUTPUTS, check_weights
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.segmentation.plan import FAST, PAPER, PLANS, Cost, PlanSettings
from mmpl.survival.cox import CoxMember
from mmpl.survival.discrete import check_breaks

# roles of a member's files in bundle.json
SEGMENTATION, HPV, RFS = "segmentation", "hpv", "rfs"
ENCODER, HPV_STATISTICS, HPV_FOREST, RFS_STATISTICS = (
    "encoder",
    "hpv_statistics",
    "hpv_forest",
    "rfs_statistics",
)


@dataclass(frozen=True)
class Member:
    """One model: three networks and what was fitted over them."""

    name: str
    segmentation: StoredNetwork
    hpv_net: StoredNetwork
    rfs_net: StoredNetwork
    encoder: ClinicalEncoder
    hpv: HpvMember
    rfs: CoxMember


@dataclass(frozen=True)
class InferenceSettings:
    """What inference needs to know besides the weights; ``preprocessing`` in bundle.json.

    Attributes
    ----------
    overlap : of the segmentation windows of the paper's plan
    breaks_days : intervals of the RFS head
    search_threshold : probability of the searching members below which nothing is possible, fitted out-of-fold; None
        where the bundle does not say, and then every member searches
    """

    overlap: float
    breaks_days: tuple[float, ...]
    search_threshold: float | None = None

    @classmethod
    def from_dict(cls, data) -> InferenceSettings:
        try:
            search = data.get("search_threshold")
            settings = cls(
                float(data["overlap"]),
                tuple(float(b) for b in data["breaks_days"]),
                None if search is None else float(search),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"bundle.json: 'preprocessing' must hold overlap and breaks_days ({error!r})") from error
        breaks, search = settings.breaks_days, settings.search_threshold
        if search is not None and not (math.isfinite(search) and 0 <= search < 1):
            raise BundleError(f"bundle.json: 'preprocessing' has search_threshold {search}, expected 0 to below 1")
        if not 0 <= settings.overlap < 1:
            raise BundleError(f"bundle.json: 'preprocessing' has overlap {settings.overlap}, expected 0 to below 1")
        try:
            check_breaks(breaks)
        except InputError as error:
            raise BundleError(f"bundle.json: 'preprocessing' has breaks_days that cannot be used: {error}") from error
        return settings

    def to_dict(self) -> dict:
        plain = {"overlap": self.overlap, "breaks_days": list(self.breaks_days)}
        return plain if self.search_threshold is None else {**plain, "search_threshold": self.search_threshold}


@dataclass(frozen=True)
class Inference:
    """How networks are to be run, as a user may choose it.

    Attributes
    ----------
    backend : device, library and precision
    plan : "fast", "paper", or "auto": fast where the bundle was fitted for it, which its search threshold says
    memory_gb : that a pass may take besides weights and images; None: from what is free, at most 2.75 GB
    plan_settings : every field of the plan, in place of ``plan``; None: as that says
    """

    backend: BackendChoice = field(default_factory=BackendChoice)
    plan: str = AUTO
    memory_gb: float | None = None
    plan_settings: PlanSettings | None = None

    def __post_init__(self):
        if self.plan not in (AUTO, *PLANS):
            raise InputError(f"plan {self.plan!r} is unknown: choose {', '.join((AUTO, *PLANS))}")
        if self.memory_gb is not None and not 0 < self.memory_gb < math.inf:
            raise InputError(f"memory of {self.memory_gb} GB: give a positive number")


PLAIN = Inference(REFERENCE)  # PyTorch in fp32 on the CPU: what everything else is compared with


@dataclass(frozen=True)
class Ensemble:
    """All members of a bundle and its settings."""

    info: BundleInfo
    sha256: str
    network: NetworkConfig
    settings: InferenceSettings
    feature_set: FeatureSet
    members: tuple[Member, ...]
    networks: Networks
    inference: Inference

    @property
    def segmenters(self):
        """One callable a member: boxes (n, 2, z, y, x), tick -> logits (n, 2, z, y, x)."""
        return [partial(self.networks.run, member.segmentation) for member in self.members]

    def cost(self) -> Cost:
        """What a pass costs on the backend in use, with the memory that is free now."""
        return pass_cost(self.networks.backend, self.network, self.inference.memory_gb)

    @property
    def plan_settings(self) -> PlanSettings:
        if self.inference.plan_settings is not None:
            return self.inference.plan_settings
        name = self.inference.plan
        if name == AUTO:
            name = PAPER if self.settings.search_threshold is None else FAST
        return PlanSettings(name=name, overlap=self.settings.overlap)


def pass_cost(backend: Backend, network: NetworkConfig, memory_gb: float | None) -> Cost:
    """What a pass of such a network costs on a backend; ``memory_gb`` as in :class:`Inference`."""
    most = usable_bytes(backend.device, memory_gb)

    def memory(voxels: int) -> int:
        return backend.pass_bytes(network, voxels)

    return Cost(
        seconds=lambda voxels: backend.pass_seconds(network, voxels),
        fits=lambda voxels: memory(voxels) <= most,
        memory=memory,
        most_bytes=most,
    )


def load_ensemble(bundle: Bundle, inference: Inference = PLAIN) -> Ensemble:
    """Make every member of a verified bundle ready; weights are checked now and loaded when they are needed.

    Raises
    ------
    BundleError
        If settings, weights or columns do not fit this version or each other.
    InputError
        If this machine lacks the device.
    """
    info = bundle.info
    try:
        network = NetworkConfig.from_dict(dict(info.network))
        feature_set = FeatureSet.from_dict(dict(info.radiomics))
    except (InputError, TypeError, ValueError) as error:
        raise BundleError(f"bundle {bundle.path}: 'network' or 'radiomics' cannot be used: {error}") from error
    settings = InferenceSettings.from_dict(info.preprocessing)
    _check_search_threshold(settings, info, bundle)
    intervals = len(settings.breaks_days) - 1
    members = tuple(_load_member(bundle, m, network, intervals) for m in info.members)
    for member in members:
        _check_columns(member, feature_set, bundle)
    inference = replace(inference, backend=on_this_machine(inference.backend))
    chosen, why_not = backends(inference.backend, network, bundle.path)
    networks = Networks(chosen, network, why_not, memory_gb=inference.memory_gb)
    return Ensemble(info, bundle.sha256, network, settings, feature_set, members, networks, inference)


def _check_search_threshold(settings: InferenceSettings, info: BundleInfo, bundle: Bundle) -> None:
    """Below the search threshold the other members do not look, and so nothing may be contoured there."""
    search, lowest = settings.search_threshold, min(info.thresholds.GTVp, info.thresholds.GTVn)
    if search is not None and search > lowest:
        raise BundleError(
            f"bundle {bundle.path}: its search_threshold {search:g} lies above the threshold {lowest:g} of its masks: "
            "the searching members alone would contour what lies between; give it one from 0 to that, or none"
        )


def _check_columns(member: Member, feature_set: FeatureSet, bundle: Bundle) -> None:
    """A column that nothing fills would be imputed for every patient, silently."""
    given = {*feature_set.names(), *member.encoder.columns, DEEP_HPV, DEEP_DAYS}
    for columns, known in ((member.hpv.columns, given), (member.rfs.columns, {*given, HPV_PROBABILITY})):
        strange = [c for c in columns if c not in known]
        if strange:
            raise BundleError(
                f"bundle {bundle.path}: member {member.name} expects the column '{strange[0]}', which neither its "
                "radiomics nor its clinical fields give; train the bundle again"
            )


def _load_member(bundle: Bundle, member: MemberInfo, network: NetworkConfig, intervals: int) -> Member:
    def path(role: str) -> str:
        if role not in member.files:
            raise BundleError(f"bundle {bundle.path}: member {member.name} has no file for '{role}'")
        return member.files[role]

    def net(role: str, outputs: int | None) -> StoredNetwork:
        rel = path(role)
        what = f"bundle {bundle.path}: {rel}"
        check_weights(network, outputs, bundle.tensors(rel), what)
        return StoredNetwork(network, outputs, partial(bundle.tensors, rel), bundle.checksums[rel], what)

    return Member(
        name=member.name,
        segmentation=net(SEGMENTATION, None),
        hpv_net=net(HPV, HPV_OUTPUTS),
        rfs_net=net(RFS, intervals),
        encoder=ClinicalEncoder.from_dict(bundle.json(path(ENCODER))),
        hpv=HpvMember.from_dict(bundle.json(path(HPV_STATISTICS)), bundle.arrays(path(HPV_FOREST))),
        rfs=CoxMember.from_dict(bundle.json(path(RFS_STATISTICS))),
    )
