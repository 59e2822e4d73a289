"""The network against an independent re-statement of it in plain functions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mmpl.network.blocks import AttentionGate, FusionGate
from mmpl.network.config import NetworkConfig
from mmpl.network.model import Backbone, OutcomeNet, SegmentationNet, parameter_count

NARROW = NetworkConfig(
    stream_channels=(2, 3, 4, 5, 6),
    fusion_channels=(3, 4, 5, 6, 7),
    decoder_channels=(6, 5, 4, 3),
    hidden_units=5,
)


# --- the method's text, as functions of a weight dictionary ------------------------------------------------


def conv(w, name, x):
    weight = w[name + ".weight"]
    return F.conv3d(x, weight, w[name + ".bias"], padding=weight.shape[-1] // 2)


def norm(w, name, x):
    return F.batch_norm(
        x, w[name + ".running_mean"], w[name + ".running_var"], w[name + ".weight"], w[name + ".bias"], eps=1e-5
    )


def cbr(w, name, x):
    """Convolution -> BatchNorm -> ReLU."""
    return F.relu(norm(w, name + ".1", conv(w, name + ".0", x)))


def block(w, name, x, convolutions):
    """x = CBR3(x) + CBR1(x), then x = CBR3(x) + x."""
    x = cbr(w, name + ".first", x) + cbr(w, name + ".shortcut", x)
    for n in range(convolutions - 1):
        x = cbr(w, f"{name}.rest.{n}", x) + x
    return x


def fuse(w, name, fusion, pet, ct):
    """Two-way softmax, per voxel and channel, of two 1x1x1 convolutions of the concatenation."""
    merged = cbr(w, name + ".merge", torch.cat([pet, ct], 1))
    both = torch.cat([fusion, merged], 1)
    scores = torch.stack([conv(w, name + ".weigh_fusion", both), conv(w, name + ".weigh_merged", both)])
    weights = torch.softmax(scores, dim=0)
    return weights[0] * fusion + weights[1] * merged


def attend(w, name, skip, coarse):
    """sigmoid(BN(conv1(ReLU(AvgPool2(BN(conv1 skip)) + BN(conv1 g))))) up-sampled trilinearly, times the skip."""
    of_skip = F.avg_pool3d(norm(w, name + ".of_skip.1", conv(w, name + ".of_skip.0", skip)), 2)
    of_coarse = norm(w, name + ".of_coarse.1", conv(w, name + ".of_coarse.0", coarse))
    decided = torch.sigmoid(norm(w, name + ".decide.1", conv(w, name + ".decide.0", F.relu(of_skip + of_coarse))))
    return skip * F.interpolate(decided, scale_factor=2, mode="trilinear", align_corners=False)


def backbone(w, x, encoder=(2, 3, 3, 4, 4), decoder=(4, 3, 3, 2)):
    pet, ct, fusion, features = x[:, 0:1], x[:, 1:2], x, []
    for level, n in enumerate(encoder):
        if level > 0:
            pet, ct, fusion = (F.max_pool3d(f, 2) for f in (pet, ct, fusion))
        pet = block(w, f"backbone.pet.{level}", pet, n)
        ct = block(w, f"backbone.ct.{level}", ct, n)
        fusion = fuse(w, f"backbone.gates.{level}", block(w, f"backbone.fusion.{level}", fusion, n), pet, ct)
        features.append(fusion)
    out, outputs = features[4], []
    for stage, n in enumerate(decoder):
        skip = attend(w, f"backbone.attention.{stage}", features[3 - stage], out)
        up = F.interpolate(out, scale_factor=2, mode="nearest")
        out = block(w, f"backbone.decoder.{stage}", torch.cat([up, skip], 1), n)
        outputs.append(out)
    return outputs


# ---------------------------------------------------------------------------------------------------------


def _randomised(net):
    """Weights, BatchNorm statistics and gates away from where they start."""
    generator = torch.Generator().manual_seed(3)
    net = net.double()
    for name, value in net.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0, generator=generator)
        elif value.is_floating_point():
            noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            value.copy_(value + 0.2 * noise)
    return net.eval()


@pytest.fixture
def images():
    return torch.randn(2, 2, 16, 16, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_full_width_has_the_published_size():
    assert parameter_count(SegmentationNet(NetworkConfig.full())) == 18_438_878


def test_segmentation_is_the_plain_functions(images):
    net = _randomised(SegmentationNet(NARROW))
    w = net.state_dict()
    with torch.no_grad():
        expected = conv(w, "head", backbone(w, images)[-1])
        torch.testing.assert_close(net(images), expected, atol=1e-5, rtol=1e-9)
    assert expected.shape == (2, 2, 16, 16, 32)
    assert expected.std() > 0.1


@pytest.mark.parametrize("outputs", [1, 10])
def test_outcome_is_the_plain_functions(images, outputs):
    net = _randomised(OutcomeNet(NARROW, outputs))
    w = net.state_dict()
    with torch.no_grad():
        pooled = torch.cat([f.flatten(2).mean(-1) for f in backbone(w, images)], 1)
        assert pooled.shape == (2, 6 + 5 + 4 + 3)
        hidden = F.relu(F.linear(pooled, w["head.0.weight"], w["head.0.bias"]))
        expected = F.linear(hidden, w["head.3.weight"], w["head.3.bias"])
        torch.testing.assert_close(net(images), expected, atol=1e-5, rtol=1e-9)
    assert expected.shape == (2, outputs)


def test_the_restatement_uses_every_weight(images):
    """No parameter of the module is left out of the plain functions."""

    used = set()

    class Recording(dict):
        def __getitem__(self, name):
            used.add(name)
            return super().__getitem__(name)

    net = _randomised(SegmentationNet(NARROW))
    w = Recording(net.state_dict())
    with torch.no_grad():
        conv(w, "head", backbone(w, images)[-1])
    assert {n for n in net.state_dict() if not n.endswith("num_batches_tracked")} == used


def test_fusion_gate_starts_as_an_even_mix():
    torch.manual_seed(0)
    gate = FusionGate(2, 3).eval()
    fusion, pet, ct = torch.randn(1, 3, 4, 4, 4), torch.randn(1, 2, 4, 4, 4), torch.randn(1, 2, 4, 4, 4)
    merged = gate.merge(torch.cat([pet, ct], 1))
    torch.testing.assert_close(gate(fusion, pet, ct), (fusion + merged) / 2)


def test_every_gate_of_a_fresh_network_is_even():
    for gate in Backbone(NARROW).gates:
        for conv_of_gate in (gate.weigh_fusion, gate.weigh_merged):
            assert not conv_of_gate.weight.any()
            assert not conv_of_gate.bias.any()


def test_attention_gate_sizes():
    gate = AttentionGate(6, 9)
    shapes = {n: tuple(p.shape) for n, p in gate.named_parameters() if p.ndim == 5}
    assert shapes == {
        "of_skip.0.weight": (6, 6, 1, 1, 1),
        "of_coarse.0.weight": (6, 9, 1, 1, 1),
        "decide.0.weight": (1, 6, 1, 1, 1),
    }


def test_decoder_features_go_from_coarse_to_fine(images):
    with torch.no_grad():
        features = Backbone(NARROW).double().eval()(images)
    assert [tuple(f.shape[1:]) for f in features] == [(6, 2, 2, 4), (5, 4, 4, 8), (4, 8, 8, 16), (3, 16, 16, 32)]


def test_outcome_head_sees_240_features_at_full_width():
    net = OutcomeNet(NetworkConfig.full(), 10)
    assert net.head[0].weight.shape == (128, 240)
    assert net.head[3].weight.shape == (10, 128)
    assert net.head[2].p == 0.5


def test_the_pet_stream_sees_only_the_pet():
    """Changing the CT changes nothing in the PET stream's features, and the other way round."""
    net = Backbone(NARROW).eval()
    seen = {}
    net.pet[0].register_forward_hook(lambda m, i, o: seen.__setitem__("pet", o.clone()))
    net.ct[0].register_forward_hook(lambda m, i, o: seen.__setitem__("ct", o.clone()))
    x = torch.randn(1, 2, 16, 16, 16)
    other_ct = x.clone()
    other_ct[:, 1] += 1
    with torch.no_grad():
        net(x)
        before = dict(seen)
        net(other_ct)
    assert torch.equal(before["pet"], seen["pet"])
    assert not torch.equal(before["ct"], seen["ct"])
