"""The reference backend: what it answers, how it is stopped, and what it makes of too little memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmpl.network.backends.base import BackendUnavailable, OutOfMemory, StoredNetwork, describe, probabilities
from mmpl.network.backends.pytorch import TorchBackend, TorchRunner, gflop, named_errors
from mmpl.network.config import NetworkConfig
from mmpl.network.model import SegmentationNet
from mmpl.network.run import predict_batch, stored_weights

DEMO = NetworkConfig.demo()


@pytest.fixture
def stored():
    torch.manual_seed(0)
    weights = stored_weights(SegmentationNet(DEMO))
    return StoredNetwork(DEMO, None, lambda: weights, "0" * 64, "a network")


@pytest.fixture
def batch():
    return np.random.default_rng(0).normal(size=(1, 2, 16, 32, 48)).astype(np.float32)


def test_a_runner_answers_as_the_network(stored, batch):
    backend = TorchBackend()
    np.testing.assert_array_equal(backend.runner(stored)(batch), predict_batch(stored.module(), batch))
    assert describe(backend) == "PyTorch, fp32, cpu"


def test_ticks_rise_and_what_one_raises_stops_the_pass(stored, batch):
    runner, told = TorchBackend().runner(stored), []
    expected = runner(batch, told.append)
    assert len(told) > 20
    assert told == sorted(told)
    assert 0 <= told[0] < told[-1] < 1

    def stop(fraction):
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner(batch, stop)
    np.testing.assert_array_equal(runner(batch), expected)  # and leaves nothing behind


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes."),  # on Windows
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("could not create a primitive"),  # oneDNN's
    ],
)
def test_too_little_memory_has_one_name(error, batch):
    class Greedy(torch.nn.Linear):
        def forward(self, x):
            raise error

    with pytest.raises(OutOfMemory):
        TorchRunner(Greedy(1, 1))(batch)


def test_other_faults_are_not_taken_for_memory(batch):
    class Broken(torch.nn.Linear):
        def forward(self, x):
            raise RuntimeError("sizes do not match")

    with pytest.raises(RuntimeError, match="sizes"):
        TorchRunner(Broken(1, 1))(batch)


def test_weights_that_do_not_fit_are_called_so():
    def read():
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory):
        TorchBackend().runner(StoredNetwork(DEMO, None, read, "0" * 64, "a network"))


def test_what_a_card_cannot_do_is_left_to_the_next_backend():
    said = r"^CUDA error: no kernel image is available for execution$"
    with pytest.raises(BackendUnavailable, match=said), named_errors("cuda:0"):
        raise RuntimeError("CUDA error: no kernel image is available for execution\nCompile with ...")
    with pytest.raises(OutOfMemory), named_errors("cuda:0"):
        raise RuntimeError("CUDA error: out of memory")


def test_predictions_grow_with_the_voxels_and_the_width():
    full, demo, backend = NetworkConfig.full(), DEMO, TorchBackend()
    assert gflop(full, 128**3) == pytest.approx(479.6)
    assert gflop(demo, 128**3) == pytest.approx(479.6 / 4)
    assert backend.pass_bytes(full, 2000) == 2 * backend.pass_bytes(full, 1000) == 4 * backend.pass_bytes(demo, 1000)
    assert TorchBackend(precision="bf16").pass_bytes(full, 1000) == backend.pass_bytes(full, 1000) // 2


def test_more_threads_are_predicted_to_take_less_time(monkeypatch):
    full = NetworkConfig.full()
    on = {}
    for threads in (1, 2, 8):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        on[threads] = TorchBackend().pass_seconds(full, 1000), TorchBackend("cuda:0").pass_seconds(full, 1000)
    assert on[1][0] == pytest.approx(2 * on[2][0])
    assert on[8][0] == pytest.approx(on[2][0] / 4)
    assert on[1][1] == on[8][1]


def test_the_full_networks_arithmetic_is_what_pytorch_counts():
    with torch.device("meta"):
        net, image = SegmentationNet(NetworkConfig.full()).eval(), torch.zeros(1, 2, 128, 128, 128)
    with FlopCounterMode(display=False) as counter:
        net(image)
    assert gflop(NetworkConfig.full(), 128**3) == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-3)


def test_probabilities_are_the_sigmoid():
    logits = np.float32([-1000, -2, 0, 2, 1000])
    np.testing.assert_allclose(probabilities(logits), [0, 0.1192029, 0.5, 0.8807971, 1], atol=1e-7)
