"""Losses by hand and against MONAI and PyTorch."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss, TverskyLoss

from mmpl.survival.discrete import interval_targets
from mmpl.training.losses import (
    EPS,
    FOCAL_TVERSKY,
    balanced_bce_loss,
    dice_loss,
    discrete_time_nll,
    focal_tversky_loss,
    oda_loss,
)


def _random(seed=0, shape=(3, 2, 4, 5, 6)):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), (torch.rand(shape, generator=generator) > 0.6).float()


def _row(*values):
    """One sample, two equal classes, from voxel values."""
    return torch.tensor(values).reshape(1, 1, 1, 1, -1).repeat(1, 2, 1, 1, 1)


def test_dice_by_hand():
    # overlap 0.8 + 0.4 = 1.2; sums 1.5 and 2
    loss = dice_loss(_row(0.8, 0.4, 0.3), _row(1.0, 1.0, 0.0))
    torch.testing.assert_close(loss, torch.full((1, 2), 1 - 2.4 / 3.5), atol=1e-5, rtol=0)


def test_dice_of_nothing_found_in_nothing_is_zero():
    assert dice_loss(_row(0.0, 0.0), _row(0.0, 0.0)).abs().max() == 0


def test_dice_is_monais():
    probability, target = _random()
    theirs = DiceLoss(reduction="none", smooth_nr=EPS, smooth_dr=EPS)(probability, target)
    torch.testing.assert_close(dice_loss(probability, target), theirs.reshape(3, 2))


def test_focal_tversky_by_hand():
    # TP 1.2, FP 0.3, FN 0.8: TI of T = 1.2 / (1.2 + 0.15 + 0.4), of N = 1.2 / (1.2 + 0.09 + 0.56)
    loss = focal_tversky_loss(_row(0.8, 0.4, 0.3), _row(1.0, 1.0, 0.0))
    expected = torch.tensor([[(1 - 1.2 / 1.75) ** 1.33, (1 - 1.2 / 1.85) ** 1.5]])
    torch.testing.assert_close(loss, expected, atol=2e-5, rtol=0)


def test_the_settings_are_the_methods():
    assert FOCAL_TVERSKY == ((0.5, 0.5, 1.33), (0.3, 0.7, 1.5))


def test_focal_tversky_is_monais_tversky_raised():
    probability, target = _random()
    ours = focal_tversky_loss(probability, target)
    for c, (alpha, beta, gamma) in enumerate(FOCAL_TVERSKY):
        theirs = TverskyLoss(alpha=alpha, beta=beta, smooth_nr=EPS, smooth_dr=EPS, reduction="none")(
            probability[:, c : c + 1], target[:, c : c + 1]
        )
        torch.testing.assert_close(ours[:, c], theirs.reshape(3) ** gamma)


def test_missed_voxels_cost_nodes_more_than_false_ones():
    target = _row(1.0, 1.0, 0.0, 0.0)
    missed = focal_tversky_loss(_row(1.0, 0.0, 0.0, 0.0), target)[0, 1]
    false = focal_tversky_loss(_row(1.0, 1.0, 1.0, 0.0), target)[0, 1]
    assert missed > 1.5 * false


def test_oda_is_the_sum_of_its_parts():
    """From the method's text: sums per sample and class, then the batch mean, classes added."""
    probability, target = _random(1)
    logits = torch.logit(probability)
    total = 0.0
    for b in range(3):
        for c, (alpha, beta, gamma) in enumerate(FOCAL_TVERSKY):
            p, t = probability[b, c].double(), target[b, c].double()
            tp, fp, fn = (p * t).sum(), (p * (1 - t)).sum(), ((1 - p) * t).sum()
            dice = 1 - (2 * tp + 1e-5) / (p.sum() + t.sum() + 1e-5)
            tversky = (1 - (tp + 1e-5) / (tp + alpha * fp + beta * fn + 1e-5)) ** gamma
            bce = -(t * p.log() + (1 - t) * (1 - p).log()).mean()
            inverse_overlap = ((1 - p) * (1 - t)).sum()
            inverse = 1 - (2 * inverse_overlap + 1e-5) / ((1 - p).sum() + (1 - t).sum() + 1e-5)
            total += float(dice + tversky + bce + inverse) / 3
    assert float(oda_loss(logits, target)) == pytest.approx(total, rel=1e-5)


def test_balanced_bce_by_hand():
    # one positive at logit 0.5, two negatives at -1 and 2; pos_weight 2
    logit, label = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([1.0, 0.0, 0.0])
    sigmoid = [1 / (1 + math.exp(-v)) for v in (0.5, -1.0, 2.0)]
    expected = (-2 * math.log(sigmoid[0]) - math.log(1 - sigmoid[1]) - math.log(1 - sigmoid[2])) / 3
    assert float(balanced_bce_loss(logit, label, 2.0)) == pytest.approx(expected, rel=1e-6)


def test_pos_weight_evens_out_the_classes():
    """With pos_weight = n_neg / n_pos a network that says nothing is pushed neither way."""
    logit = torch.zeros(5, requires_grad=True)
    balanced_bce_loss(logit, torch.tensor([1.0, 1, 1, 1, 0]), 1 / 4).backward()
    assert float(logit.grad.sum()) == pytest.approx(0, abs=1e-7)


def test_discrete_nll_by_hand():
    # intervals 0-100, 100-200, 200-400: relapse at 150; censored at 160 (past the second midpoint)
    survived, failed = (torch.tensor(t) for t in interval_targets([150, 160], [1, 0], (0, 100, 200, 400)))
    q = torch.tensor([[0.9, 0.6, 0.7], [0.8, 0.5, 0.3]], dtype=torch.float64)
    expected = (-math.log(0.9) - math.log(1 - 0.6) - math.log(0.8) - math.log(0.5)) / 2
    assert float(discrete_time_nll(torch.logit(q), survived, failed)) == pytest.approx(expected, rel=1e-9)


def test_discrete_nll_is_the_logistic_hazard_loss():
    """Kvamme and Borgan's logistic-hazard loss: cross-entropy of hazards 1 - q over the intervals at risk."""
    breaks = (0, 300, 600, 900, 1100, 1300)
    times, events = [250, 700, 1299, 5000, 1000, 10], [1, 1, 0, 0, 0, 0]
    survived, failed = (torch.tensor(t) for t in interval_targets(times, events, breaks))
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    phi = -logits  # logit(1 - q)
    at_risk = survived + failed
    cross_entropy = F.binary_cross_entropy_with_logits(phi, failed, reduction="none") * at_risk
    expected = cross_entropy.sum(dim=1).mean()
    torch.testing.assert_close(discrete_time_nll(logits, survived, failed), expected)
    assert float(at_risk[-1].sum()) == 0  # followed for 10 days: says nothing


@pytest.mark.parametrize("extreme", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_gradients_stay_finite(extreme):
    for target in (torch.zeros(1, 2, 2, 2, 2), torch.ones(1, 2, 2, 2, 2)):
        logits = torch.full((1, 2, 2, 2, 2), extreme, requires_grad=True)
        loss = oda_loss(logits, target)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()
    logit = torch.full((4,), extreme, requires_grad=True)
    balanced_bce_loss(logit, torch.tensor([1.0, 0, 1, 0]), 0.5).backward()
    assert torch.isfinite(logit.grad).all()
    curve = torch.full((2, 3), extreme, requires_grad=True)
    discrete_time_nll(curve, torch.tensor([[1.0, 0, 0], [1, 1, 1]]), torch.tensor([[0.0, 1, 0], [0, 0, 0]])).backward()
    assert torch.isfinite(curve.grad).all()
