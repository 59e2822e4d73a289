"""Which backend runs, and what happens when one fails."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from mmpl.errors import InputError
from mmpl.machine import give_back
from mmpl.network.backends.base import BackendChanged, BackendUnavailable, StoredNetwork
from mmpl.network.backends.choose import BackendChoice, backends, worth_converting
from mmpl.network.config import NetworkConfig
from mmpl.network.networks import Networks
from mmpl.notices import BACKEND_FALLBACK, PLAN_SHRUNK

BATCH = np.zeros((1, 2, 16, 16, 16), np.float32)


@dataclass
class Fake:
    """A backend that answers with a number, or fails."""

    name: str
    answer: float = 0.0
    fault: Exception | None = None
    made: list = field(default_factory=list)
    device: str = "cpu"
    precision: str = "fp32"
    released: int = 0
    need: int = 0
    kept: int = 74_000_000

    def pass_bytes(self, config, voxels):
        return self.need

    def kept_bytes(self, config):
        return self.kept

    def runner(self, network):
        self.made.append(network)
        return self

    def __call__(self, batch, tick):
        if self.fault is not None:
            raise self.fault
        return np.full((1, 2), self.answer)

    def release(self):
        self.released += 1


def network(config=None):
    return StoredNetwork(config or NetworkConfig.demo(), None, dict, "0" * 64, "a network")


def test_the_first_backend_runs_and_keeps_its_weights():
    first = Fake("first", 1.0)
    networks, one = Networks([first, Fake("second")], NetworkConfig.demo()), network()
    for _ in range(3):
        assert networks.run(one, BATCH)[0, 0] == 1.0
    assert first.made == [one]
    assert networks.notices == ()


def test_only_the_network_that_ran_last_keeps_working_memory():
    backend = Fake("only")
    networks, one, other = Networks([backend], NetworkConfig.demo()), network(), network()
    for n in (one, one, other):
        networks.run(n, BATCH)
    assert backend.released == 1
    networks.release()
    networks.release()
    assert backend.released == 2


def test_a_backend_that_fails_is_left_for_good_and_that_is_said_once():
    first, second = Fake("first", fault=BackendUnavailable("it is broken.")), Fake("second", 2.0)
    networks, one = Networks([first, second], NetworkConfig.demo()), network()
    assert networks.run(one, BATCH)[0, 0] == 2.0
    assert networks.run(network(), BATCH)[0, 0] == 2.0
    assert len(first.made) == 1
    (notice,) = networks.notices
    assert notice.code == BACKEND_FALLBACK
    assert notice.text == (
        "first, fp32, cpu cannot run the networks here (it is broken): second, fp32, cpu is used instead, "
        "which is slower."
    )


def test_the_last_backends_failure_is_not_hidden():
    networks = Networks([Fake("only", fault=BackendUnavailable("broken"))], NetworkConfig.demo())
    with pytest.raises(BackendUnavailable):
        networks.run(network(), BATCH)


def test_of_full_width_networks_some_stay_loaded_from_case_to_case():
    first = Fake("first", need=2_500_000_000)
    networks = Networks([first], NetworkConfig.full(), memory_gb=3.25)
    many = [network(NetworkConfig.full()) for _ in range(30)]
    for one in many:
        networks.run(one, BATCH)
    assert first.made == many
    for one in many:  # the next case: of 11 places of 74 MB, one is for those that find none
        networks.run(one, BATCH)
    assert first.made[30:] == many[10:29]


def test_networks_whose_boxes_change_from_case_to_case_go_first():
    first = Fake("first", need=2_800_000_000, kept=400_000_000)
    networks = Networks([first], NetworkConfig.full(), memory_gb=3.25)  # two places
    segmentation, hpv, rfs = (
        StoredNetwork(NetworkConfig.full(), outputs, dict, "0" * 64, "a network") for outputs in (None, 1, 10)
    )
    for one in (segmentation, hpv, rfs, hpv, rfs):
        networks.run(one, BATCH)
    assert first.made == [segmentation, hpv, rfs]


def test_the_largest_pass_leaves_place_for_little_besides():
    first = Fake("first", kept=100_000_000)
    networks = Networks([first], NetworkConfig.full(), memory_gb=3.25)
    many = [network() for _ in range(6)]
    for one in many:
        networks.run(one, BATCH)
    first.need = 3_000_000_000
    networks.run(many[0], BATCH)
    first.need = 0
    for one in many:
        networks.run(one, BATCH)
    assert first.made == [*many, *many[3:]]  # 0.25 GB of the limit are left beside such a pass: two others stay


def test_where_memory_is_scarce_no_more_networks_stay(monkeypatch):
    first, free = Fake("first", kept=200_000_000, need=1_000_000_000), 4e9
    monkeypatch.setattr("mmpl.network.networks.free_bytes", lambda device: free)
    networks, many = Networks([first], NetworkConfig.full()), [network() for _ in range(4)]
    networks.run(many[0], BATCH)
    networks.run(many[1], BATCH)
    free = 1.4e9  # less a fifth it holds a pass, and no further network
    networks.run(many[2], BATCH)
    networks.run(many[0], BATCH)
    assert first.made == many[:3]
    networks.run(many[1], BATCH)
    assert first.made == [*many[:3], many[1]]


def test_a_case_is_planned_with_what_networks_kept_where_memory_is_scarce(monkeypatch):
    first, free = Fake("first", kept=100_000_000), 100e9
    monkeypatch.setattr("mmpl.network.networks.free_bytes", lambda device: free)
    networks, many = Networks([first], NetworkConfig.full()), [network() for _ in range(4)]
    for one in many:
        networks.run(one, BATCH)
    networks.give_way()  # 100 GB are free
    networks.run(many[3], BATCH)
    assert len(first.made) == 4
    free = 3e9
    networks.give_way()
    networks.run(many[1], BATCH)
    assert len(first.made) == 4  # 0.25 GB: two of them stay
    networks.run(many[2], BATCH)
    assert len(first.made) == 5


def test_what_memory_was_too_little_for_is_tried_again_at_the_next_case():
    first, second = Fake("first", 1.0), Fake("second", 2.0)
    networks, one = Networks([first, second], NetworkConfig.demo()), network()
    assert networks.fall_back_for_memory()
    assert networks.drop_weights()
    assert networks.run(one, BATCH)[0, 0] == 2.0
    assert "(too little memory): second, fp32, cpu is used instead" in networks.notices[0].text
    networks.begin_case()
    assert networks.run(one, BATCH)[0, 0] == 1.0
    assert networks.notices == ()
    assert networks.drop_weights()  # it keeps several again
    assert networks.fall_back("it is broken")
    assert not networks.fall_back_for_memory()
    networks.begin_case()
    assert networks.run(one, BATCH)[0, 0] == 2.0
    assert [notice.code for notice in networks.notices] == [BACKEND_FALLBACK]


def test_a_backend_that_needs_less_is_preferred_where_the_limit_is_low():
    first, second = Fake("first", need=1_880_000_000), Fake("second", need=710_000_000)
    networks = Networks([first, second], NetworkConfig.full(), memory_gb=1.0)
    assert networks.prefer_what_holds(128**3)
    assert networks.backend is second
    assert "(a pass takes 1.88 GB, of 1 GB that it may take): second" in networks.notices[0].text
    assert not networks.prefer_what_holds(128**3)
    alone = Networks([first], NetworkConfig.full(), memory_gb=1.0)
    assert not alone.prefer_what_holds(128**3)
    assert alone.backend is first


def test_the_pass_of_a_plan_is_not_given_to_the_next_backend():
    """It was made as large as the first one's memory allows."""
    first, second = Fake("first", fault=BackendUnavailable("it is broken")), Fake("second", 2.0)
    networks, one = Networks([first, second], NetworkConfig.demo()), network()
    with pytest.raises(BackendChanged, match="it is broken"):
        networks.run(one, BATCH, planned=True)
    assert second.made == []
    assert networks.run(one, BATCH, planned=True)[0, 0] == 2.0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_answer_that_is_no_number_is_taken_from_the_next_backend(wrong):
    """Half precision on some cards; cut at a threshold it would say that there is no tumour."""
    networks = Networks([Fake("half", wrong), Fake("single", 2.0)], NetworkConfig.demo())
    assert networks.run(network(), BATCH)[0, 0] == 2.0
    assert (
        "half, fp32, cpu cannot run the networks here (a network gives numbers that are not" in networks.notices[0].text
    )
    with pytest.raises(InputError, match="a network: the network gives numbers that are not finite"):
        Networks([Fake("single", wrong)], NetworkConfig.demo()).run(network(), BATCH)


def on_a_card(half, single):
    """A card's two precisions, of which the second needs twice the memory, and a CPU."""
    return [
        Fake("card", half, device="cuda:0", precision="bf16", need=1),
        Fake("card", single, device="cuda:0", need=2),
        Fake("last", 3.0),
    ]


def test_a_card_that_gets_half_precision_wrong_goes_on_in_single():
    networks = Networks(on_a_card(np.nan, 2.0), NetworkConfig.demo(), memory_gb=1.0)
    assert networks.run(network(), BATCH)[0, 0] == 2.0
    (notice,) = networks.notices
    assert "card, bf16, cuda:0 cannot run" in notice.text
    assert "card, fp32, cuda:0 is used instead" in notice.text
    broken = Networks(on_a_card(np.nan, np.nan), NetworkConfig.demo(), memory_gb=1.0)
    assert broken.run(network(), BATCH)[0, 0] == 3.0
    assert len(broken.notices) == 2


def test_where_a_card_lacks_memory_the_precision_that_needs_more_is_passed_over():
    networks, one = Networks(on_a_card(1.0, 2.0), NetworkConfig.demo(), memory_gb=1.0), network()
    assert networks.fall_back_for_memory()
    assert networks.run(one, BATCH)[0, 0] == 3.0
    assert not networks.fall_back_for_memory()
    networks.begin_case()
    assert networks.run(one, BATCH)[0, 0] == 1.0


def test_weights_are_dropped_once():
    first = Fake("first")
    networks, one, other = Networks([first], NetworkConfig.demo()), network(), network()
    networks.run(one, BATCH)
    assert networks.drop_weights()
    assert not networks.drop_weights()
    assert first.released == 1
    assert [(n.code, n.text.partition(":")[0]) for n in networks.notices] == [(PLAN_SHRUNK, "Memory ran short")]
    for n in (one, other, one):
        networks.run(n, BATCH)
    assert first.made == [one, one, other, one]


def test_what_a_card_keeps_is_given_back_after_the_networks_are_gone(monkeypatch):
    given = []
    first, second = Fake("first", device="cuda:0"), Fake("second")
    networks, one = Networks([first, second], NetworkConfig.demo(), memory_gb=1.0), network()

    def noted(device):
        given.append((device, len(networks._runners)))

    monkeypatch.setattr("mmpl.network.networks.give_back", noted)
    networks.run(one, BATCH)
    assert networks.drop_weights()
    networks.run(one, BATCH)
    assert networks.fall_back_for_memory()
    assert given == [("cuda:0", 0), ("cuda:0", 0)]
    assert networks.backend is second


def test_what_a_dropped_network_held_is_given_back(monkeypatch):
    """Before the next one is made ready; where none is dropped there is nothing to give."""
    given, backend = [], Fake("only", kept=1_000_000_000)
    networks = Networks([backend], NetworkConfig.demo(), memory_gb=1.5)  # two places
    monkeypatch.setattr("mmpl.network.networks.give_back", lambda device: given.append(len(backend.made)))
    for one in (network(), network(), network()):
        networks.run(one, BATCH)
    assert given == [2]
    give_back("cpu")  # the C library's, where it has a way


def test_pytorch_is_always_the_last_resort(tmp_path):
    for config in (NetworkConfig.demo(), NetworkConfig.full()):
        chosen, _ = backends(BackendChoice(), config, tmp_path / "bundle")
        assert (chosen[-1].name, chosen[-1].device, chosen[-1].precision) == ("PyTorch", "cpu", "fp32")


def test_small_networks_are_not_worth_converting(tmp_path):
    assert worth_converting(NetworkConfig.full())
    assert not worth_converting(NetworkConfig.demo())
    chosen, _ = backends(BackendChoice(), NetworkConfig.demo(), tmp_path / "bundle")
    assert [b.name for b in chosen] == ["PyTorch"]


def test_what_was_asked_for_by_name_and_is_missing_is_said(monkeypatch, tmp_path):
    from mmpl.network.backends import openvino_cpu

    monkeypatch.setattr(openvino_cpu, "installed", lambda: False)
    chosen, why_not = backends(BackendChoice(backend="openvino"), NetworkConfig.demo(), tmp_path / "bundle")
    assert [b.name for b in chosen] == ["PyTorch"]
    (notice,) = Networks(chosen, NetworkConfig.demo(), why_not).notices
    assert notice.text.startswith("OpenVINO is not installed: pip install openvino: PyTorch, fp32, cpu is used")
    assert backends(BackendChoice(), NetworkConfig.full(), tmp_path / "bundle")[1] is None  # nobody asked for it
    in_bf16 = BackendChoice(precision="bf16")  # which PyTorch does not offer on a CPU
    assert "OpenVINO is not installed" in backends(in_bf16, NetworkConfig.demo(), tmp_path / "bundle")[1]


def test_a_library_that_is_there_and_broken_is_said(monkeypatch, tmp_path):
    from mmpl.network.backends import openvino_cpu

    def broken():
        raise BackendUnavailable("OpenVINO cannot be loaded (libtbb.so.12 is missing)")

    monkeypatch.setattr(openvino_cpu, "installed", lambda: True)
    monkeypatch.setattr(openvino_cpu, "available_precisions", broken)
    chosen, why_not = backends(BackendChoice(), NetworkConfig.full(), tmp_path / "bundle")
    assert [b.name for b in chosen] == ["PyTorch"]
    assert why_not == "OpenVINO cannot be loaded (libtbb.so.12 is missing)"


@pytest.mark.parametrize(
    "wrong",
    [
        {"backend": "onnx"},
        {"precision": "int8"},
        {"precision": "fp16"},
        {"backend": "pytorch", "precision": "bf16"},
        {"backend": "openvino", "device": "cuda:0"},
    ],
)
def test_impossible_choices_are_refused(wrong):
    with pytest.raises(InputError):
        BackendChoice(**wrong)
