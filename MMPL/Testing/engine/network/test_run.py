"""Running networks on arrays; weights in and out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmpl.errors import BundleError
from mmpl.network.backends.base import probabilities
from mmpl.network.blocks import ONEDNN, Conv3d
from mmpl.network.config import NetworkConfig
from mmpl.network.model import OutcomeNet, SegmentationNet
from mmpl.network.run import (
    check_weights,
    outcome_net,
    predict_batch,
    segmentation_net,
    stored_weights,
)

NARROW = NetworkConfig(
    stream_channels=(1, 2, 2, 3, 3),
    fusion_channels=(2, 3, 3, 4, 4),
    decoder_channels=(4, 3, 3, 2),
    encoder_convs=(1, 1, 1, 1, 1),
    decoder_convs=(1, 1, 1, 1),
    hidden_units=4,
)


@pytest.fixture
def trained_net():
    """A network whose BatchNorm statistics have moved."""
    torch.manual_seed(0)
    net = SegmentationNet(NARROW)
    net.train()
    for _ in range(3):
        net(torch.randn(2, 2, 16, 16, 16) * 3)
    return net.eval()


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=(2, 2, 16, 32, 16)).astype(np.float32)


def test_stored_kernels_are_half_and_vectors_single(trained_net):
    stored = stored_weights(trained_net)
    assert stored["head.weight"].dtype == torch.float16
    assert stored["head.bias"].dtype == torch.float32
    assert stored["backbone.pet.0.first.1.running_var"].dtype == torch.float32
    assert not [n for n in stored if n.endswith("num_batches_tracked")]


def test_loading_gives_the_stored_network(trained_net, batch):
    stored = stored_weights(trained_net)
    loaded = segmentation_net(NARROW, stored, "here")
    assert not loaded.training
    for name, value in stored_weights(loaded).items():
        assert torch.equal(value, stored[name])
    np.testing.assert_allclose(predict_batch(loaded, batch), predict_batch(trained_net, batch), atol=5e-3)
    again = segmentation_net(NARROW, stored, "here")
    np.testing.assert_array_equal(predict_batch(again, batch), predict_batch(loaded, batch))


def test_weights_of_another_network_are_refused(trained_net):
    stored = stored_weights(trained_net)
    with pytest.raises(BundleError, match=r"^member 3: tensor 'head\.bias' is missing or unknown"):
        segmentation_net(NARROW, {n: v for n, v in stored.items() if n != "head.bias"}, "member 3")
    with pytest.raises(BundleError, match=r"tensor 'head\.2\.bias' is missing or unknown"):
        segmentation_net(NARROW, {**stored, "head.2.bias": torch.zeros(2)}, "member 3")
    with pytest.raises(BundleError, match=r"'head\.bias' has shape \(3,\), expected \(2,\)"):
        segmentation_net(NARROW, {**stored, "head.bias": torch.zeros(3)}, "member 3")
    with pytest.raises(BundleError, match="missing or unknown"):
        outcome_net(NARROW, 1, stored, "member 3")


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(odd, trained_net):
    """OpenVINO's fused ReLU makes 0 of NaN: contours would be wrong without a word."""
    weights = stored_weights(trained_net)
    name = next(iter(weights))
    weights[name].view(-1)[0] = odd
    with pytest.raises(BundleError, match=f"member: tensor '{name}' holds numbers that are not finite"):
        check_weights(NARROW, None, weights, "member")


def test_other_number_of_outputs_is_refused():
    stored = stored_weights(OutcomeNet(NARROW, 10))
    assert outcome_net(NARROW, 10, stored, "rfs").head[-1].out_features == 10
    with pytest.raises(BundleError, match=r"has shape \(10.*expected \(8"):
        outcome_net(NARROW, 8, stored, "rfs")


def test_one_of_a_batch_is_the_same_alone(trained_net, batch):
    both = predict_batch(trained_net, batch)
    assert both.shape == (2, 2, 16, 32, 16)
    assert both.dtype == np.float32
    np.testing.assert_allclose(predict_batch(trained_net, batch[:1]), both[:1], atol=1e-5)
    np.testing.assert_allclose(predict_batch(trained_net, batch[1:]), both[1:], atol=1e-5)
    assert not np.allclose(both[0], both[1], atol=1e-3)


def test_probability_is_the_sigmoid(trained_net, batch):
    expected = torch.sigmoid(torch.from_numpy(predict_batch(trained_net, batch))).numpy()
    np.testing.assert_allclose(probabilities(predict_batch(trained_net, batch)), expected, atol=1e-6)


def test_prediction_leaves_the_network_as_it_was(trained_net, batch):
    before = {n: v.clone() for n, v in trained_net.state_dict().items()}
    predict_batch(trained_net, batch)
    for name, value in trained_net.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("shape", [(1, 2, 16, 16, 16), (2, 2, 16, 32, 16), (1, 2, 64, 48, 48)])
def test_inference_gives_what_a_plain_forward_does(trained_net, shape):
    """In inference mode convolutions go to oneDNN; with gradients, wherever PyTorch sends them."""
    volume = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    plain = trained_net(torch.from_numpy(volume))
    assert plain.requires_grad
    np.testing.assert_allclose(predict_batch(trained_net, volume), plain.detach().numpy(), atol=1e-5)


@pytest.mark.skipif(not ONEDNN, reason="this PyTorch is built without oneDNN")
@pytest.mark.parametrize("kernel", [1, 3])
def test_a_lone_small_volume_takes_no_slow_kernel(kernel):
    conv, volume = Conv3d(2, 3, kernel, padding=kernel // 2), torch.randn(1, 2, 8, 8, 8)
    with torch.inference_mode(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        conv(volume)
    done = {event.key for event in profile.key_averages()}
    assert "aten::mkldnn_convolution" in done
    assert not {name for name in done if "slow_conv" in name}


def test_other_number_types_are_left_to_pytorch():
    conv, volume = Conv3d(1, 1, 3, padding=1).double(), torch.randn(1, 1, 4, 4, 4, dtype=torch.float64)
    with torch.inference_mode():
        np.testing.assert_array_equal(
            conv(volume), torch.nn.functional.conv3d(volume, conv.weight, conv.bias, padding=1)
        )
