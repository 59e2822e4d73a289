"""Which precision a graphics card computes in; the cards themselves are not here."""

from __future__ import annotations

import pytest
import torch

from mmpl.network.backends.choose import BackendChoice, backends
from mmpl.network.config import NetworkConfig


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp16")])
def test_a_card_that_only_emulates_bf16_computes_in_fp16(monkeypatch, tmp_path, native, precision):
    """PyTorch counts cards that emulate it among those that have it, unless it is asked not to."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    first, last = backends(BackendChoice("cuda:0"), NetworkConfig.demo(), tmp_path)[0]
    assert (first.device, first.precision) == ("cuda:0", precision)
    assert (last.device, last.precision) == ("cpu", "fp32")
