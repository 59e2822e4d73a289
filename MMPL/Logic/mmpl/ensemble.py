"""A bundle's members, loaded and ready to run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from torch import nn

from mmpl.bundle.info import BundleInfo, MemberInfo
from mmpl.bundle.reader import Bundle
from mmpl.clinical.encoder import ClinicalEncoder
from mmpl.columns import DEEP_DAYS, DEEP_HPV, HPV_PROBABILITY
from mmpl.errors import BundleError, InputError
from mmpl.hpv.member import HpvMember
from mmpl.network.config import NetworkConfig
from mmpl.network.run import HPV_OUTPUTS, outcome_net, predict_probability, segmentation_net
from mmpl.radiomics.feature_set import FeatureSet
from mmpl.survival.cox import CoxMember

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
    segmentation: nn.Module
    hpv_net: nn.Module
    rfs_net: nn.Module
    encoder: ClinicalEncoder
    hpv: HpvMember
    rfs: CoxMember


@dataclass(frozen=True)
class InferenceSettings:
    """What inference needs to know besides the weights; ``preprocessing`` in bundle.json.

    Attributes
    ----------
    overlap : of the segmentation windows
    breaks_days : intervals of the RFS head
    """

    overlap: float
    breaks_days: tuple[float, ...]

    @classmethod
    def from_dict(cls, data) -> InferenceSettings:
        try:
            settings = cls(float(data["overlap"]), tuple(float(b) for b in data["breaks_days"]))
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"bundle.json: 'preprocessing' must hold overlap and breaks_days ({error!r})") from error
        breaks = settings.breaks_days
        if not 0 <= settings.overlap < 1 or len(breaks) < 2 or any(b <= a for a, b in pairwise((-1.0, *breaks))):
            raise BundleError(
                f"bundle.json: 'preprocessing' has overlap {settings.overlap} and breaks_days {list(breaks)}; "
                "the overlap must be from 0 to below 1, and the breaks must rise from 0 days"
            )
        return settings

    def to_dict(self) -> dict:
        return {"overlap": self.overlap, "breaks_days": list(self.breaks_days)}


@dataclass(frozen=True)
class Ensemble:
    """All members of a bundle and its settings."""

    info: BundleInfo
    sha256: str
    network: NetworkConfig
    settings: InferenceSettings
    feature_set: FeatureSet
    members: tuple[Member, ...]

    @property
    def segmenters(self):
        """One predictor a member: windows (n, 2, w, w, w) -> probabilities (n, 2, w, w, w)."""
        return [partial(predict_probability, member.segmentation) for member in self.members]


def load_ensemble(bundle: Bundle, device: str = "cpu") -> Ensemble:
    """Load every member of a verified bundle; its networks run on ``device``, as PyTorch names it.

    Raises
    ------
    BundleError
        If settings, weights or columns do not fit this version or each other.
    """
    info = bundle.info
    try:
        network = NetworkConfig.from_dict(dict(info.network))
        feature_set = FeatureSet.from_dict(dict(info.radiomics))
    except (InputError, TypeError, ValueError) as error:
        raise BundleError(f"bundle {bundle.path}: 'network' or 'radiomics' cannot be used: {error}") from error
    settings = InferenceSettings.from_dict(info.preprocessing)
    intervals = len(settings.breaks_days) - 1
    members = tuple(_load_member(bundle, m, network, intervals, device) for m in info.members)
    for member in members:
        _check_columns(member, feature_set, bundle)
    return Ensemble(info, bundle.sha256, network, settings, feature_set, members)


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


def _load_member(bundle: Bundle, member: MemberInfo, network: NetworkConfig, intervals: int, device: str) -> Member:
    def path(role: str) -> str:
        if role not in member.files:
            raise BundleError(f"bundle {bundle.path}: member {member.name} has no file for '{role}'")
        return member.files[role]

    def net(role: str, outputs: int):
        what = f"bundle {bundle.path}: {path(role)}"
        return outcome_net(network, outputs, bundle.tensors(path(role)), what).to(device)

    what = f"bundle {bundle.path}: {path(SEGMENTATION)}"
    return Member(
        name=member.name,
        segmentation=segmentation_net(network, bundle.tensors(path(SEGMENTATION)), what).to(device),
        hpv_net=net(HPV, HPV_OUTPUTS),
        rfs_net=net(RFS, intervals),
        encoder=ClinicalEncoder.from_dict(bundle.json(path(ENCODER))),
        hpv=HpvMember.from_dict(bundle.json(path(HPV_STATISTICS)), bundle.arrays(path(HPV_FOREST))),
        rfs=CoxMember.from_dict(bundle.json(path(RFS_STATISTICS))),
    )
