"""Which precision a graphics card computes in; the cards themselves are not here."""

from __future__ import annotations

import pytest
import torch

from mmpl.errors import InputError
from mmpl.network.backends import openvino_cpu
from mmpl.network.backends.choose import BackendChoice, backends, on_this_machine
from mmpl.network.config import NetworkConfig


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp16")])
def test_a_card_that_only_emulates_bf16_computes_in_fp16(monkeypatch, tmp_path, native, precision):
    """PyTorch counts cards that emulate it among those that have it, unless it is asked not to."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    chosen, _ = backends(BackendChoice("cuda:0"), NetworkConfig.demo(), tmp_path)
    assert [(b.device, b.precision) for b in chosen] == [("cuda:0", precision), ("cuda:0", "fp32"), ("cpu", "fp32")]


def test_a_card_is_left_after_fp32_on_it_for_the_cpus_best_backend(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    monkeypatch.setattr(openvino_cpu, "installed", lambda: True)
    monkeypatch.setattr(openvino_cpu, "available_precisions", lambda: ("bf16", "fp32"))
    chosen, why_not = backends(BackendChoice("cuda:0"), NetworkConfig.full(), tmp_path)
    on_card = [("PyTorch", "cuda:0")] * 2
    assert [(b.name, b.device) for b in chosen] == [*on_card, ("OpenVINO", "cpu"), ("PyTorch", "cpu")]
    assert [b.precision for b in chosen] == ["bf16", "fp32", "bf16", "fp32"]
    assert why_not is None
    in_fp32, _ = backends(BackendChoice("cuda:0", precision="fp32"), NetworkConfig.full(), tmp_path)
    assert [b.precision for b in in_fp32] == ["fp32"] * 3
    without, _ = backends(BackendChoice("cuda:0", backend="pytorch"), NetworkConfig.full(), tmp_path)
    assert [b.name for b in without] == ["PyTorch"] * 3


def test_auto_takes_a_card_unless_another_choice_needs_the_cpu(monkeypatch):
    monkeypatch.setattr("mmpl.machine.devices", lambda: [{"id": "cpu"}, {"id": "cuda:0"}])
    assert on_this_machine(BackendChoice("auto", precision="fp16")).device == "cuda:0"
    assert on_this_machine(BackendChoice("auto", backend="openvino")).device == "cpu"
    monkeypatch.setattr("mmpl.machine.devices", lambda: [{"id": "cpu"}])
    assert on_this_machine(BackendChoice("auto")).device == "cpu"
    with pytest.raises(InputError, match="precision fp16 is not offered"):
        on_this_machine(BackendChoice("auto", precision="fp16"))
    with pytest.raises(InputError, match="'cuda:0' is not on this machine"):
        on_this_machine(BackendChoice("cuda:0"))
