"""The training loop: steps, checkpoints, and errors that must not be swallowed."""

from __future__ import annotations

import copy
import errno
import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from mmpl.errors import OutputError, TrainingError
from mmpl.training import curves, loop
from mmpl.training.config import StageConfig
from mmpl.training.loop import Average, Trainer, fit, mixed_precision, prefetched

STAGE = StageConfig(5, 2, (1e-2, 1e-3, 1e-4))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.Dropout(0.5), nn.Conv3d(2, 1, 1))


def _batches(epoch):
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(3):
        x = torch.randn(2, 1, 4, 4, 4, generator=generator)
        yield x, 2 * x


def _loss(output, target):
    return ((output - target) ** 2).mean()


def _log(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_loss_falls_and_the_log_tells_epochs_and_rates(tmp_path):
    told = []
    torch.manual_seed(0)
    fitted = fit(
        nn.Conv3d(1, 1, 1),
        _batches,
        _loss,
        StageConfig(30, 2, (0.1, 0.05, 0.01)),
        tmp_path,
        autocast=False,
        progress=lambda step, fraction: told.append((step, fraction)),
        step="here",
    )
    log = _log(tmp_path)
    assert log[-1]["loss"] < 0.01 * log[0]["loss"]
    assert [r["epoch"] for r in log] == list(range(30))
    assert [r["learning_rate"] for r in log] == [0.1] * 12 + [0.05] * 12 + [0.01] * 6
    assert told[-1] == ("here", 1.0)
    assert not fitted.training


def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path):
    def fresh():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.Dropout(0.5), nn.Conv3d(2, 1, 1))

    def stop_after_two(step, fraction):
        if fraction == 0.4:
            raise KeyboardInterrupt

    whole = fit(fresh(), _batches, _loss, STAGE, tmp_path / "whole", autocast=False)
    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), _batches, _loss, STAGE, tmp_path / "parts", autocast=False, progress=stop_after_two)
    torch.manual_seed(99)  # a new process starts from anything
    rest = fit(fresh(), _batches, _loss, STAGE, tmp_path / "parts", autocast=False)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, rest.state_dict()[name]), name
    assert [r["epoch"] for r in _log(tmp_path / "parts")] == [0, 1, 2, 3, 4]


def test_what_is_dropped_out_hangs_on_the_stages_seed(tmp_path):
    """Else all folds and stages of as many epochs would drop the same units."""

    def trained(seed, name):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv3d(1, 8, 1), nn.Dropout(0.5), nn.Conv3d(8, 1, 1))
        return fit(net, _batches, _loss, STAGE, tmp_path / name, seed=seed)[0].weight

    first = trained(1, "a")
    assert torch.equal(first, trained(1, "b"))
    assert not torch.equal(first, trained(2, "c"))


def test_an_interruption_within_an_epoch_repeats_it(tmp_path, net):
    def breaks_in_epoch_one(epoch):
        for n, batch in enumerate(_batches(epoch)):
            if epoch == 1 and n == 2:
                raise KeyboardInterrupt
            yield batch

    torch.manual_seed(0)
    first = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.Dropout(0.5), nn.Conv3d(2, 1, 1))
    whole = fit(net, _batches, _loss, STAGE, tmp_path / "whole", autocast=False)
    with pytest.raises(KeyboardInterrupt):
        fit(first, breaks_in_epoch_one, _loss, STAGE, tmp_path / "parts", autocast=False)
    rest = fit(first, _batches, _loss, STAGE, tmp_path / "parts", autocast=False)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, rest.state_dict()[name]), name


def test_an_error_in_the_data_stops_training(net, tmp_path):
    def broken(epoch):
        yield next(_batches(epoch))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        fit(net, broken, _loss, STAGE, tmp_path, autocast=False)
    assert not (tmp_path / "checkpoint.pt").exists()


def test_a_full_disk_is_called_so(net, tmp_path, monkeypatch):
    """PyTorch's writer reports a full disk as a stream that failed."""

    def fail(state, path):
        path.write_bytes(b"part of it")
        raise RuntimeError("basic_ios::clear: iostream error")

    monkeypatch.setattr(torch, "save", fail)
    monkeypatch.setattr(loop.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 0))
    with pytest.raises(OutputError, match=r"epoch 1 cannot be written \(the disk is full\); make room"):
        fit(net, _batches, _loss, STAGE, tmp_path, autocast=False)
    assert [p.name for p in tmp_path.iterdir() if p.suffix in (".pt", ".partial")] == []


def test_prefetching_keeps_order_and_passes_errors_on():
    assert list(prefetched(range(7))) == list(range(7))
    assert list(prefetched([])) == []

    def bad():
        yield 1
        yield 2
        raise ValueError("third")

    values = prefetched(bad())
    assert [next(values), next(values)] == [1, 2]
    with pytest.raises(ValueError, match="third"):
        next(values)


def test_batch_norm_ends_with_plain_averages_over_an_epoch(tmp_path):
    """Means 1, 2, 3 of three batches average to 2; a running average would hang on the last."""

    def batches(epoch):
        for mean in (1.0, 2.0, 3.0):
            x = torch.full((2, 1, 2, 2, 2), mean)
            x[1] += torch.tensor([-1.0, 1.0]).repeat(4).reshape(1, 2, 2, 2)
            yield x, torch.zeros(2, 1, 2, 2, 2)

    fitted = fit(nn.Sequential(nn.BatchNorm3d(1)), batches, _loss, STAGE, tmp_path)
    assert fitted[0].running_mean.item() == pytest.approx(2.0)
    assert fitted[0].running_var.item() == pytest.approx(8 / 15)  # unbiased, 16 voxels of which 8 lie 1 off
    assert fitted[0].momentum == pytest.approx(0.1)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path, net):
    with pytest.raises(TrainingError, match="here, epoch 0: the loss became nan"):
        fit(net, _batches, lambda output, target: output.mean() * float("nan"), STAGE, tmp_path, step="here")


# --- average of the weights ---------------------------------------------------------------------------


def test_the_average_is_the_hand_worked_one():
    """Decay 0.5: steps 1, 2, 3 take in with decays 0.1, 2/11, 0.25 as the average warms up."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 0.0)
    average = Average(net, 0.5)
    expected = 0.0
    for value, decay in ((1.0, 1 / 10), (2.0, 2 / 11), (4.0, 3 / 12)):
        nn.init.constant_(net.weight, value)
        average.update(net)
        expected = decay * expected + (1 - decay) * value
    average.take_over(net)
    assert net.weight.item() == pytest.approx(expected, rel=1e-6)


def test_without_a_decay_the_last_weights_stay():
    net = nn.Linear(1, 1)
    before = net.weight.item()
    average = Average(net, 0.0)
    average.update(net)
    average.take_over(net)
    assert net.weight.item() == before


def test_an_interrupted_run_with_an_average_ends_as_an_uninterrupted_one(tmp_path, net):
    def stop_after_two(step, fraction):
        if fraction == 0.4:
            raise KeyboardInterrupt

    other = copy.deepcopy(net)
    plain = fit(copy.deepcopy(net), _batches, _loss, STAGE, tmp_path / "plain")
    whole = fit(copy.deepcopy(net), _batches, _loss, STAGE, tmp_path / "whole", ema_decay=0.9)
    with pytest.raises(KeyboardInterrupt):
        fit(net, _batches, _loss, STAGE, tmp_path / "parts", ema_decay=0.9, progress=stop_after_two)
    rest = fit(other, _batches, _loss, STAGE, tmp_path / "parts", ema_decay=0.9)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, rest.state_dict()[name]), name
    assert not torch.equal(plain[0].weight, whole[0].weight)


# --- a disk that fills, and a log ahead of its checkpoint ---------------------------------------------


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, net, monkeypatch):
    folder, save, saved = tmp_path / "stage", torch.save, []

    def full_at_the_third(state, path):
        if len(saved) == 2:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        saved.append(path)
        save(state, path)

    whole = fit(copy.deepcopy(net), _batches, _loss, STAGE, tmp_path / "whole")
    monkeypatch.setattr(torch, "save", full_at_the_third)
    with pytest.raises(OutputError, match=r"the checkpoint of epoch 3 cannot be written \(No space left on device\)"):
        fit(copy.deepcopy(net), _batches, _loss, STAGE, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoint.pt", "log.jsonl"]
    monkeypatch.setattr(torch, "save", save)
    rest = fit(net, _batches, _loss, STAGE, folder)
    assert torch.equal(whole[0].weight, rest[0].weight)
    assert [r["epoch"] for r in _log(folder)] == [0, 1, 2, 3, 4]


def test_a_quota_is_told_apart_from_a_fault(tmp_path, net, monkeypatch):
    """PyTorch's writer speaks of positions in a file, and the disk itself has room."""

    def fail(state, path):
        path.write_bytes(b"part of it")
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OutputError, match=r"written \(the disk is full or a quota is reached\); make room"):
        fit(net, _batches, _loss, STAGE, tmp_path)


@pytest.mark.parametrize("content", [b"", b"garbage" * 100, bytes(3000), b"{}", "half", "another"])
def test_a_damaged_checkpoint_is_none(tmp_path, net, caplog, content):
    """As a power cut leaves it. The stage begins anew and ends as one that was never stopped."""

    def stop_after_two(step, fraction):
        if fraction == 0.4:
            raise KeyboardInterrupt

    begun = copy.deepcopy(net)
    whole = fit(copy.deepcopy(net), _batches, _loss, STAGE, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(net, _batches, _loss, STAGE, tmp_path, progress=stop_after_two)
    checkpoint = tmp_path / "checkpoint.pt"
    if content == "half":
        content = checkpoint.read_bytes()[: checkpoint.stat().st_size // 2]
    if content == "another":
        torch.save({"net": begun.state_dict()}, checkpoint)
    else:
        checkpoint.write_bytes(content)
    rest = fit(begun, _batches, _loss, STAGE, tmp_path)
    assert f"{checkpoint} is damaged and left out: this stage is trained from its beginning" in caplog.text
    assert torch.equal(whole[0].weight, rest[0].weight)
    assert [r["epoch"] for r in _log(tmp_path)] == [0, 1, 2, 3, 4]


def test_damaged_lines_of_the_log_are_left_out(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(b'{"epoch": 0}\n\x00\xff\x00\n[]\n{"epoch": 1}\n{"epoch": 2}\n')
    curves.LearningCurve(tmp_path, 2)
    assert [r["epoch"] for r in _log(tmp_path)] == [0, 1]


def test_a_disk_that_is_full_at_the_log_ends_in_a_sentence(tmp_path, net, monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **how: Full() if mode == "a" else opened(path, mode, **how)
    )
    with pytest.raises(OutputError, match=r"log.jsonl cannot be written: the disk is full"):
        fit(net, _batches, _loss, STAGE, tmp_path / "stage")


def test_a_torn_last_line_of_the_log_is_taken_back(tmp_path, net):
    def stop_after_two(step, fraction):
        if fraction == 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(copy.deepcopy(net), _batches, _loss, STAGE, tmp_path, progress=stop_after_two)
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"epoch": 2, "lear')
    fit(net, _batches, _loss, STAGE, tmp_path)
    assert [r["epoch"] for r in _log(tmp_path)] == [0, 1, 2, 3, 4]


# --- reduced precision --------------------------------------------------------------------------------


def _with_a_bad_gradient(every, times=1):
    """A loss that is finite, with an infinite gradient in the last step, or the last few, of every so-many."""
    steps = iter(range(10_000))

    def loss(output, target):
        bad = next(steps) % every >= every - times
        steep = (output * 0).sum().sqrt() if bad else 0  # the root's slope at 0 is infinite
        return _loss(output, target) + steep

    return loss


def test_a_step_without_a_finite_gradient_is_left_out(tmp_path):
    def many(epoch):
        return [(torch.ones(1, 1, 1, 1, 1), torch.zeros(1, 1, 1, 1, 1))] * 40

    fitted = fit(nn.Conv3d(1, 1, 1), many, _with_a_bad_gradient(40), StageConfig(1, 1, (1e-3,) * 3), tmp_path)
    assert [r["skipped"] for r in _log(tmp_path)] == [1]
    assert all(torch.isfinite(p).all() for p in fitted.parameters())


@pytest.mark.parametrize(("steepness", "norm"), [(1e4, 10.0), (1e-3, None)])
def test_a_steep_gradient_is_brought_down_to_a_norm_of_10(steepness, norm):
    """Adam alone would hardly notice: it divides each gradient by what it has been."""
    torch.manual_seed(0)
    net = nn.Conv3d(1, 1, 1)
    image, target = next(_batches(0))
    found = torch.autograd.grad(steepness * _loss(net(image), target), list(net.parameters()))
    trainer = Trainer(
        net, net, torch.optim.Adam(net.parameters()), Average(net, 0), lambda o, t: steepness * _loss(o, t), False
    )
    trainer.step(image, target)
    taken = nn.utils.get_total_norm([p.grad for p in net.parameters()])
    assert float(taken) == pytest.approx(norm or float(nn.utils.get_total_norm(found)))


def test_one_an_epoch_is_no_reason_to_end_a_run(tmp_path, net):
    """A small cohort has a few steps an epoch, and the same command takes the same ones again."""
    fit(net, _batches, _with_a_bad_gradient(3), STAGE, tmp_path)
    assert [r["skipped"] for r in _log(tmp_path)] == [1] * 5


def test_too_many_of_them_end_the_run(tmp_path, net):
    with pytest.raises(TrainingError, match="here, epoch 0: 2 of 3 steps had no finite gradient; lower the learning"):
        fit(net, _batches, _with_a_bad_gradient(3, 2), STAGE, tmp_path, step="here")


def test_what_helps_is_what_was_on(tmp_path, net, monkeypatch):
    monkeypatch.setattr(loop, "mixed_precision", lambda device, size: True)
    for autocast, remedy in ((True, "set 'autocast: false' and go on in this run folder, or"), (False, "lower the")):
        with pytest.raises(TrainingError, match=f"3 of 3 steps had no finite gradient; {remedy}"):
            fit(net, _batches, _with_a_bad_gradient(1), STAGE, tmp_path, autocast=autocast)


@pytest.mark.parametrize(
    ("device", "size", "supported", "mixed"),
    [
        ("cpu", (48, 48, 48), True, True),
        ("cpu", (64, 48, 32), True, False),
        ("cpu", (64, 64, 64), False, False),
        ("cuda", (32, 32, 32), False, True),
        ("mps", (64, 64, 64), True, False),
    ],
)
def test_where_training_is_mixed(monkeypatch, device, size, supported, mixed):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    assert mixed_precision(torch.device(device), size) is mixed


# --- TensorBoard --------------------------------------------------------------------------------------


def test_the_curve_goes_to_tensorboard_when_asked(tmp_path, net, monkeypatch):
    told = []

    class Writer:
        def __init__(self, folder, purge_step):
            told.append((folder, purge_step))

        def add_scalar(self, name, value, epoch):
            told.append((name, value, epoch))

        def flush(self):
            pass

    monkeypatch.setattr(curves, "_tensorboard_writer", lambda folder, first: Writer(str(folder), first))
    fit(net, _batches, _loss, STAGE, tmp_path, tensorboard=True)
    assert told[0] == (str(tmp_path), 0)
    losses = [(r["loss"], r["epoch"]) for r in _log(tmp_path)]
    assert [(value, epoch) for name, value, epoch in told[1:] if name == "loss"] == losses


def test_tensorboard_that_is_missing_is_said_before_training(monkeypatch):
    monkeypatch.setattr(curves.importlib.util, "find_spec", lambda name: None)
    curves.check_tensorboard(False)
    with pytest.raises(TrainingError, match="tensorboard is not installed: pip install tensorboard"):
        curves.check_tensorboard(True)
