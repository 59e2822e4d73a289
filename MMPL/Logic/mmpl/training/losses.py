"""Losses of the three stages."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-5
# per class: weight of false positives, weight of false negatives, focal exponent
FOCAL_TVERSKY = ((0.5, 0.5, 1.33), (0.3, 0.7, 1.5))  # GTVp, GTVn


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice, per sample and class.

    Parameters
    ----------
    probability, target : float tensors, shape (batch, classes, z, y, x)

    Returns
    -------
    Tensor, shape (batch, classes); sums run over the voxels of one sample.
    """
    overlap = (probability * target).flatten(2).sum(-1)
    total = probability.flatten(2).sum(-1) + target.flatten(2).sum(-1)
    return 1 - (2 * overlap + EPS) / (total + EPS)


def focal_tversky_loss(probability: Tensor, target: Tensor, settings=FOCAL_TVERSKY) -> Tensor:
    """(1 - TI)^gamma with TI = TP / (TP + alpha FP + beta FN), per sample and class.

    Abraham and Khan, ISBI 2019, with the exponent as gamma itself.

    Returns
    -------
    Tensor, shape (batch, classes)
    """
    alpha, beta, gamma = torch.tensor(settings, dtype=probability.dtype, device=probability.device).T
    true_positive = (probability * target).flatten(2).sum(-1)
    false_positive = (probability * (1 - target)).flatten(2).sum(-1)
    false_negative = ((1 - probability) * target).flatten(2).sum(-1)
    weighted = true_positive + alpha * false_positive + beta * false_negative
    index = (true_positive + EPS) / (weighted + EPS)
    return (1 - index).clamp(min=0) ** gamma


def oda_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Organ-distribution-adaptive segmentation loss of stage 1; a scalar.

    Per class: Dice loss + focal Tversky loss + binary cross-entropy + Dice loss of the complements; summed over
    classes, averaged over the batch.

    Parameters
    ----------
    logits, target : float tensors, shape (batch, 2, z, y, x); channel 0 GTVp, channel 1 GTVn; targets in [0, 1]
    """
    probability = torch.sigmoid(logits)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(2).mean(-1)
    per_class = (
        dice_loss(probability, target)
        + focal_tversky_loss(probability, target)
        + cross_entropy
        + dice_loss(1 - probability, 1 - target)
    )
    return per_class.sum(dim=1).mean()


def dice_only_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Dice loss summed over classes, averaged over the batch: what :func:`oda_loss` is compared with."""
    return dice_loss(torch.sigmoid(logits), target).sum(dim=1).mean()


SEGMENTATION_LOSSES = {"oda": oda_loss, "dice": dice_only_loss}


def balanced_bce_loss(logit: Tensor, label: Tensor, pos_weight: float) -> Tensor:
    """Class-balanced binary cross-entropy of stage 2; a scalar.

    Parameters
    ----------
    logit, label : float tensors, shape (batch,)
    pos_weight : n_negative / n_positive of the training fold
    """
    weight = torch.tensor(pos_weight, dtype=logit.dtype, device=logit.device)
    return F.binary_cross_entropy_with_logits(logit, label, pos_weight=weight)


def discrete_time_nll(survival_logits: Tensor, survived: Tensor, failed: Tensor) -> Tensor:
    """Negative log-likelihood of discrete-time survival, stage 3; a scalar.

    q_i = sigmoid(logit_i) is the probability of surviving interval i, given survival to its start. A patient adds
    -log q_i for each interval survived and -log(1 - q_i) for the one with the event
    (Gensheimer and Narasimhan, PeerJ 2019; Kvamme and Borgan, Lifetime Data Analysis 2021).

    Parameters
    ----------
    survival_logits : float tensor, shape (batch, K)
    survived, failed : float tensors of 0 and 1, shape (batch, K)
    """
    terms = survived * F.softplus(-survival_logits) + failed * F.softplus(survival_logits)
    return terms.sum(dim=1).mean()
