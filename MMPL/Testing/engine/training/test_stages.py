"""Three stages of one fold: what decides the weights, and what must not."""

from __future__ import annotations

import json
import shutil
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save

from mmpl.case import CLASS_NAMES
from mmpl.cluster import LOCAL_NUMBER, InlinePool
from mmpl.errors import TrainingError
from mmpl.network.model import OutcomeNet, SegmentationNet
from mmpl.progress import silent
from mmpl.training import batches as training_batches
from mmpl.training import out_of_fold
from mmpl.training import stages as training_stages
from mmpl.training.config import StageConfig
from mmpl.training.folds import PATIENT, Split
from mmpl.training.mask_thresholds import CANDIDATES, PEAKS
from mmpl.training.ranks import ALONE, Ranks
from mmpl.training.split_run import (
    SplitRun,
    outcome_tasks,
    run_outcomes,
    run_segmentation,
    segmentation_tasks,
    split_runs,
)
from mmpl.training.stages import (
    HPV,
    RFS,
    SEGMENTATION,
    STAGES,
    StageRun,
    _balanced,
    _with_backbone,
    check_batch_sizes,
    epochs_done,
    train_hpv,
    train_rfs,
    train_segmentation,
    trained_network,
    trained_runner,
    training_device,
)

CENTRE = np.array((130.0, 100.0, 95.0))


@pytest.fixture(scope="module")
def cache(tmp_path_factory, a_cohort, write_random):
    folder = tmp_path_factory.mktemp("cache")
    for n, case in enumerate(a_cohort):
        write_random(folder / case.patient_id, n)
    return folder


@pytest.fixture(scope="module")
def folds(a_cohort):
    return {case.patient_id: n // 4 for n, case in enumerate(a_cohort)}


def _runs(config, folder, fold=0):
    return {stage: StageRun(config, folder / f"fold_{fold}" / stage, fold, stage) for stage in STAGES}


def _paths(cases, folds, cache, fold=0):
    return [cache / c.patient_id for c in cases if folds[c.patient_id] != fold]


def _split_run(config, folder, folds) -> SplitRun:
    (run,) = split_runs(config, folder, [Split(PATIENT, folds)])
    return run


def _train(config, folder, cases, folds, cache, centres=None):
    """Stage 1 of all folds and stages 2 and 3 of fold 0, as a run trains them; fold 0's weights by stage."""
    centres = centres or {c.patient_id: CENTRE for c in cases}
    run = _split_run(config, folder, folds)
    _copy(cache, run.cache)

    def measured(task):
        found = {"centre_zyx": centres[task.case.patient_id].tolist(), "features": {}}
        task.path.write_text(json.dumps(found), encoding="utf-8")

    def counted(task):
        nothing = {name: [(0, 0)] * len(CANDIDATES) for name in CLASS_NAMES.values()}
        task.path.write_text(json.dumps({**nothing, PEAKS: []}), encoding="utf-8")

    for task in segmentation_tasks(run, cases):
        run_segmentation(task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(out_of_fold, "measure_out_of_fold", measured)
        patch.setattr(out_of_fold, "count_overlaps", counted)
        found = out_of_fold.measure_all([run], cases, InlinePool(), progress=silent)
    run_outcomes(outcome_tasks(run, cases, found.centres(run))[0])
    return {stage: load_file(run.networks[0][stage].weights_path) for stage in STAGES}


def _copy(cache, folder):
    return shutil.copytree(cache, folder)


def _same(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def reference(tmp_path_factory, tiny_config, a_cohort, folds, cache):
    return _train(tiny_config, tmp_path_factory.mktemp("reference"), a_cohort, folds, cache)


def test_same_seed_same_weights(reference, tmp_path, tiny_config, a_cohort, folds, cache):
    again = _train(tiny_config, tmp_path, a_cohort, folds, cache)
    assert all(_same(reference[s], again[s]) for s in STAGES)


def test_another_seed_gives_others(reference, tmp_path, tiny_config, a_cohort, folds, cache):
    other = _train(replace(tiny_config, seed=4), tmp_path, a_cohort, folds, cache)
    assert not any(_same(reference[s], other[s]) for s in STAGES)


def _made(folder):
    folder.mkdir()
    return folder


def _altered(case):
    return replace(case, hpv=1 - case.hpv, relapse=1 - case.relapse, rfs_days=case.rfs_days + 900)


def _copy_with(cache, folder, patient_ids, write_random):
    _copy(cache, folder)
    for patient_id in patient_ids:
        write_random(folder / patient_id, 1000)
    return folder


def test_validation_patients_change_nothing(reference, tmp_path, tiny_config, a_cohort, folds, cache, write_random):
    """Arrays, labels, targets and patch centres of fold 0's own patients are altered: fold 0 stays bit-identical."""
    own = [c.patient_id for c in a_cohort if folds[c.patient_id] == 0]
    assert len(own) == 4
    other_cache = _copy_with(cache, tmp_path / "altered", own, write_random)
    cases = [_altered(c) if c.patient_id in own else c for c in a_cohort]
    centres = {c.patient_id: CENTRE + 40 * (c.patient_id in own) for c in a_cohort}
    weights = _train(tiny_config, tmp_path, cases, folds, other_cache, centres=centres)
    assert all(_same(reference[s], weights[s]) for s in STAGES)


def test_a_training_patients_arrays_change_every_stage(
    reference, tmp_path, tiny_config, a_cohort, folds, cache, write_random
):
    other_cache = _copy_with(cache, tmp_path / "altered", ["P6"], write_random)
    weights = _train(tiny_config, tmp_path, a_cohort, folds, other_cache)
    assert not any(_same(reference[s], weights[s]) for s in STAGES)


def test_a_training_patients_targets_change_their_stage(reference, tmp_path, tiny_config, a_cohort, folds, cache):
    hpv = [replace(c, hpv=1 - c.hpv) if c.patient_id == "P6" else c for c in a_cohort]
    weights = _train(tiny_config, _made(tmp_path / "hpv"), hpv, folds, cache)
    assert [_same(reference[s], weights[s]) for s in STAGES] == [True, False, False]
    rfs = [replace(c, rfs_days=2500.0) if c.patient_id == "P5" else c for c in a_cohort]
    weights = _train(tiny_config, _made(tmp_path / "rfs"), rfs, folds, cache)
    assert [_same(reference[s], weights[s]) for s in STAGES] == [True, True, False]


class Stopped(Exception):
    """Stands for a power cut."""


def test_resuming_every_stage_gives_the_uninterrupted_weights(reference, tmp_path, tiny_config, a_cohort, folds, cache):
    split = _split_run(
        replace(tiny_config, patch_threads=3), tmp_path, folds
    )  # nor does it matter how many make patches
    runs = split.networks[0]
    task = outcome_tasks(replace(split, cache=cache), a_cohort, {c.patient_id: CENTRE for c in a_cohort})[0]
    calls = {
        SEGMENTATION: partial(train_segmentation, runs[SEGMENTATION], _paths(a_cohort, folds, cache)),
        HPV: partial(train_hpv, runs[HPV], runs[SEGMENTATION].weights_path, *task.hpv),
        RFS: partial(train_rfs, runs[RFS], runs[HPV].weights_path, *task.rfs),
    }

    def stop(step, fraction):
        raise Stopped

    for stage, call in calls.items():
        with pytest.raises(Stopped):
            call(progress=stop)
        assert (runs[stage].folder / "checkpoint.pt").is_file()
        assert not runs[stage].weights_path.exists()
        torch.rand(7)  # another process has another random state
        told = []
        call(progress=lambda step, fraction, told=told: told.append((step, fraction)))
        assert told == [(f"patient fold 0: {stage}", 1.0)]  # the second epoch alone
        assert not (runs[stage].folder / "checkpoint.pt").exists()
        assert _same(reference[stage], load_file(runs[stage].weights_path))


def test_a_share_of_the_steps_sees_wide_fields(tmp_path, tiny_config, a_cohort, folds, cache, monkeypatch):
    """Which steps do depends on the epoch alone, so that a resumed run sees what an uninterrupted one would."""
    made, epochs = {}, 10
    settling = epochs  # the pass after the last one, over which BatchNorm settles

    def keep(net, batches, *_args, **_kwargs):
        made["batches"] = batches
        return net

    monkeypatch.setattr(training_stages, "fit", keep)

    def sides(share: float, seen) -> list[tuple[int, ...]]:
        stage = replace(tiny_config.segmentation, epochs=epochs)
        config = replace(tiny_config, segmentation=stage, wide_share=share, wide_mm=(256.0, 192.0, 100.0))
        run = _runs(config, _made(tmp_path / f"{share}-{len(list(tmp_path.iterdir()))}"))[SEGMENTATION]
        run.folder.mkdir(parents=True)
        train_segmentation(run, _paths(a_cohort, folds, cache))
        return [tuple(image.shape[2:]) for epoch in seen for image, _ in made["batches"](epoch)]

    narrow, wide = (16, 16, 16), (32, 32, 16)  # 24 voxels are padded to 32
    assert set(sides(0.0, range(settling + 1))) == {narrow}
    assert set(sides(1.0, range(3))) == {wide}
    mixed = sides(0.5, range(epochs))
    assert 0.25 < np.mean([size == wide for size in mixed]) < 0.75
    assert sides(0.5, range(5, epochs)) == mixed[len(mixed) // 2 :]
    assert set(sides(0.1, [settling])) == {wide}

    def patients(epoch: int) -> int:
        return sum(len(image) for image, _ in made["batches"](epoch))

    assert patients(0) == patients(settling) == len(_paths(a_cohort, folds, cache))
    monkeypatch.setattr(training_batches, "SETTLING", 2)
    assert patients(settling) == 2
    assert patients(0) > 2


def test_a_finished_stage_is_not_trained_again(tmp_path, tiny_config, a_cohort, folds, cache):
    told = []
    run = _runs(tiny_config, tmp_path)[SEGMENTATION]
    for _ in range(2):
        train_segmentation(run, _paths(a_cohort, folds, cache), progress=lambda s, f: told.append(f))
    assert told == [0.5, 1.0]


def test_networks_load_in_evaluation_mode(tmp_path, tiny_config, a_cohort, folds, cache, reference):
    _train(tiny_config, tmp_path, a_cohort, folds, cache)
    runs = _split_run(tiny_config, tmp_path, folds).networks[0]
    nets = {s: runs[s].load() for s in STAGES}
    assert isinstance(nets[SEGMENTATION], SegmentationNet)
    assert nets[HPV].head[-1].out_features == 1
    assert nets[RFS].head[-1].out_features == tiny_config.intervals == 4
    assert not any(net.training for net in nets.values())


def test_backbone_is_carried_over_exactly(reference, tiny_config):
    for stage, outputs in ((SEGMENTATION, 1), (HPV, 4)):
        torch.manual_seed(8)
        fresh = OutcomeNet(tiny_config.network, outputs)
        head = {n: v.clone() for n, v in fresh.state_dict().items() if n.startswith("head.")}
        state = _with_backbone(fresh, reference[stage]).state_dict()
        names = [n for n in reference[stage] if n.startswith("backbone.")]
        assert len(names) > 50
        assert all(torch.equal(state[n], reference[stage][n].float()) for n in names)
        assert all(torch.equal(state[n], head[n]) for n in head)


def test_training_starts_from_the_earlier_stage(tmp_path, tiny_config, a_cohort, folds, cache, reference):
    """With steps too small to be seen, each stage keeps the kernels of the one before; across seeds they differ."""
    standstill = StageConfig(1, 2, (1e-12, 1e-12, 1e-12))
    config = replace(tiny_config, hpv=standstill, rfs=standstill)
    weights = _train(config, tmp_path, a_cohort, folds, cache)
    assert _same(weights[SEGMENTATION], reference[SEGMENTATION])
    kernels = [n for n, v in weights[HPV].items() if n.startswith("backbone.") and v.ndim > 1]
    for stage in (HPV, RFS):
        assert all(torch.equal(weights[stage][n], weights[SEGMENTATION][n]) for n in kernels)


def test_weights_of_another_width_are_no_start(reference, tiny_config):
    wide = replace(tiny_config.network, encoder_convs=(2, 1, 1, 1, 1))
    with pytest.raises(TrainingError, match="do not fit this network's backbone"):
        _with_backbone(OutcomeNet(wide, 1), reference[SEGMENTATION])


def test_batches_are_balanced_between_events_and_censored():
    events = np.array([1, 0, 0, 0, 0, 0, 0, 1, 0, 0])
    order = _balanced(events)(np.random.default_rng(0))
    assert len(order) == len(events)
    assert events[order].tolist() == [1, 0] * 5
    relapsed, counts = np.unique(order[::2], return_counts=True)
    assert relapsed.tolist() == [0, 7]
    assert sorted(counts) == [2, 3]  # each relapse comes as often as the other, one round apart
    assert len(set(order[1::2])) == 5  # no censored patient twice before all were drawn
    odd = _balanced(np.array([1, 0, 0]))(np.random.default_rng(0))
    assert len(odd) == 3


@pytest.mark.parametrize("processes", [2, 4])
def test_every_processs_part_of_a_batch_holds_events_and_censored(processes):
    """On a CPU each has its own BatchNorm, which takes away the mean of what it sees."""
    events = np.array([1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1])
    order = _balanced(events)(np.random.default_rng(0))
    for first in range(0, len(order), 8):
        parts = [Ranks(rank, processes).share(order[first : first + 8]) for rank in range(processes)]
        assert [set(events[part]) for part in parts] == [{0, 1}] * processes


def test_a_process_never_sees_the_last_patient_alone(tmp_path, tiny_config, monkeypatch):
    """Six patients in batches of four: of the last two each process would have one."""
    made = {}

    class Patches:
        def patch(self, index, seed, *, wide):
            return (torch.tensor([index]),)

    def keep(net, batches, *_args, **_how):
        made["batches"] = batches
        raise KeyboardInterrupt

    monkeypatch.setattr(training_stages, "fit", keep)
    monkeypatch.setattr(training_stages, "current", lambda: Ranks(1, 2))

    def seen(patients: int, batch_size: int) -> list[list[int]]:
        run, stage = StageRun(tiny_config, tmp_path, fold=0, stage=HPV), StageConfig(1, batch_size, (1e-3,) * 3)
        net, order = torch.nn.Linear(1, 1), lambda draw: np.arange(patients)
        with pytest.raises(KeyboardInterrupt):
            training_stages._train(run, stage, net, Patches(), order, None, silent)
        return [batch[0].ravel().tolist() for batch in made["batches"](0)]

    assert seen(6, 4) == [[2, 3]]
    assert seen(6, 2) == [[1], [3], [5]]  # as the settings have it
    assert seen(3, 4) == [[1]]  # better than nothing


def test_batches_that_cannot_be_shared_are_refused(tiny_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    four = replace(tiny_config, hpv=StageConfig(1, 8, (1e-3,) * 3), rfs=StageConfig(1, 8, (1e-3,) * 3))
    with pytest.raises(TrainingError, match=r"segmentation.batch_size = 2 cannot be shared by 4 .*\{batch_size: 4\}"):
        check_batch_sizes(four, Ranks(0, 4))
    four = replace(four, segmentation=StageConfig(1, 4, (1e-3,) * 3))
    check_batch_sizes(four, Ranks(0, 4))
    with pytest.raises(TrainingError, match=r"rfs.batch_size = 4 cannot be shared by 4 .*'rfs: \{batch_size: 8\}'"):
        check_batch_sizes(replace(four, rfs=StageConfig(1, 4, (1e-3,) * 3)), Ranks(0, 4))
    check_batch_sizes(tiny_config, ALONE)


def test_batches_of_one_patch_train(tmp_path, tiny_config, a_cohort, folds, cache, reference):
    """At 4 mm the coarsest level keeps eight voxels, so one patch is enough for BatchNorm."""
    config = replace(
        tiny_config,
        segmentation=StageConfig(1, 1, (1e-2, 1e-2, 1e-2)),
        network=replace(tiny_config.network, spacing_mm=4.0),
    )
    runs = _runs(config, tmp_path)
    train_segmentation(runs[SEGMENTATION], _paths(a_cohort, folds, cache))
    log = (runs[SEGMENTATION].folder / "log.jsonl").read_text(encoding="utf-8")
    assert '"loss": 0.0' not in log
    assert '"loss": ' in log


def test_one_class_or_no_label_is_refused(tmp_path, tiny_config, cache):
    runs = _runs(tiny_config, tmp_path)
    paths, centres = [cache / "P0", cache / "P1"], [CENTRE, CENTRE]
    with pytest.raises(TrainingError, match="patient fold 0: segmentation: no labelled training case"):
        train_segmentation(runs[SEGMENTATION], [])
    with pytest.raises(TrainingError, match="patient fold 0: hpv: the training patients hold only one HPV class"):
        train_hpv(runs[HPV], tmp_path / "none", paths, centres, [1, 1])
    with pytest.raises(TrainingError, match="patient fold 0: rfs: needs both relapsed and censored"):
        train_rfs(runs[RFS], tmp_path / "none", paths, centres, [10, 20], [0, 0])


def test_stages_and_folds_have_seeds_of_their_own(tmp_path, tiny_config):
    seeds = [run.seed for fold in range(10) for run in _runs(tiny_config, tmp_path, fold).values()]
    assert len(set(seeds)) == 30


def test_how_far_a_training_is_can_be_read_from_its_folder(tmp_path, tiny_config):
    hpv, rfs = StageConfig(4, 2, (1e-3,) * 3), StageConfig(6, 2, (1e-3,) * 3)
    config = replace(tiny_config, hpv=hpv, rfs=rfs)
    runs = [StageRun(config, tmp_path / stage, 0, stage) for stage in ("hpv", "rfs")]
    assert epochs_done(runs) == 0
    runs[0].folder.mkdir()
    (runs[0].folder / "log.jsonl").write_text('{"epoch": 0}\n{"epoch": 1}\n{"epo')
    assert epochs_done(runs) == 2 / 10
    runs[0].weights_path.touch()
    assert epochs_done(runs) == 4 / 10
    runs[1].folder.mkdir()
    (runs[1].folder / "log.jsonl").write_text("{}\n" * 9)  # of a run with more epochs, until it is trimmed
    assert epochs_done(runs) == 1


def test_networks_train_where_the_settings_say(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training_device("auto") == training_device("cpu") == torch.device("cpu")
    with pytest.raises(TrainingError, match="device = 'cuda:1', this machine has cpu"):
        training_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert training_device("auto") == torch.device("cuda")
    assert training_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(TrainingError, match="device = 'cuda:2', this machine has cpu, cuda, cuda:0, cuda:1"):
        training_device("cuda:2")


def test_workers_of_a_machine_take_its_cards_in_turn(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def device_of(worker, name):
        LOCAL_NUMBER.set(worker)
        return str(training_device(name))

    for name, expected in (("auto", ["cuda:0", "cuda:1", "cuda:0"]), ("cuda:1", ["cuda:1"] * 3), ("cpu", ["cpu"] * 3)):
        assert [copy_context().run(device_of, worker, name) for worker in range(3)] == expected
    assert training_device("auto") == torch.device("cuda")


def test_unseen_patients_are_judged_where_networks_train(tmp_path, tiny_config, monkeypatch):
    """No card is needed to see that one is asked for."""

    class Network:
        moved_to = None

        def to(self, device):
            self.moved_to = device
            return self

    monkeypatch.setattr(StageRun, "load", lambda run: Network())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cuda:1", "cpu"):
        run = StageRun(replace(tiny_config, device=device), tmp_path / device, 0, SEGMENTATION)
        run.folder.mkdir()
        run.weights_path.write_bytes(b"some")
        assert trained_network(run).moved_to == torch.device(device)


def test_a_network_that_was_trained_anew_is_loaded_anew(tmp_path, tiny_config, monkeypatch):
    """A cluster's worker outlives a run, and another one may take its folder."""
    loaded = []

    def load(run):
        loaded.append(run.weights_path.read_bytes())
        return torch.nn.Identity()

    monkeypatch.setattr(StageRun, "load", load)
    run = StageRun(tiny_config, tmp_path, 0, SEGMENTATION)
    for content in (b"first", b"second"):
        run.weights_path.write_bytes(content)
        assert trained_network(run) is trained_network(run)
    assert loaded == [b"first", b"second"]


def test_damaged_weights_are_one_sentence(tmp_path, tiny_config):
    run = StageRun(tiny_config, tmp_path / "patient/fold_0/hpv", 0, HPV)
    run.folder.mkdir(parents=True)
    whole = save({"head.weight": torch.zeros(2, 3)})
    for damaged in (whole[:-4], b"", b"no weights at all"):
        run.weights_path.write_bytes(damaged)
        said = r"weights.safetensors: the weights are damaged .*; remove fold_0 in .*patient, and overlaps, .*scores"
        with pytest.raises(TrainingError, match=said):
            run.load()
        assert run.weights_path.read_bytes() == damaged


def test_a_stage_that_another_process_trains_is_refused(a_cohort, folds, cache, tmp_path, tiny_config):
    """A worker that has lost its run may still be at it; both would write the same files."""
    run = StageRun(tiny_config, tmp_path / "stage", 0, SEGMENTATION)
    run.folder.mkdir()
    with FileLock(run.folder / "stage.lock"), pytest.raises(TrainingError, match="another process still trains this"):
        train_segmentation(run, _paths(a_cohort, folds, cache))
    assert not run.weights_path.exists()


@pytest.mark.parametrize(
    ("device", "autocast", "precisions"),
    [("cpu", True, ["fp32"]), ("cuda", False, ["fp32"]), ("cuda", True, ["bf16", "fp32"])],
)
def test_unseen_patients_are_judged_as_inference_would(
    tmp_path, tiny_config, monkeypatch, device, autocast, precisions
):
    """In reduced precision on a card, and again in fp32 where that overflows."""

    class Network:
        def parameters(self):
            return iter([SimpleNamespace(device=torch.device(device))])

    class Runner:
        def __init__(self, net, precision="fp32"):
            self.precision = precision

        def __call__(self, batch, tick=None):
            ran.append(self.precision)
            overflows = self.precision != "fp32" and batch.max() > 1
            return batch * (np.nan if overflows else 2)

    ran = []
    monkeypatch.setattr(training_stages, "trained_network", lambda run: Network())
    monkeypatch.setattr(training_stages, "TorchRunner", Runner)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    runner = trained_runner(StageRun(replace(tiny_config, autocast=autocast), tmp_path, 0, SEGMENTATION))
    assert runner(np.ones(2)).tolist() == [2, 2]
    assert ran == precisions[:1]
    ran.clear()
    assert runner(np.full(2, 3.0)).tolist() == [6, 6]
    assert ran == precisions


def test_processes_of_a_run_share_what_one_would_see(tmp_path, tiny_config, monkeypatch):
    """Each patch once, whoever makes it; with one seed for all, those of a batch would be moved and turned alike."""

    class Patches:
        def patch(self, index, seed, *, wide):
            return (torch.tensor([index, hash(seed)]),)

    def first_epochs(net, batches, *_args, **_how):
        seen.append([row for epoch in (0, 1) for (batch,) in batches(epoch) for row in batch.tolist()])
        raise KeyboardInterrupt

    def see(ranks):
        run, stage = StageRun(tiny_config, tmp_path, fold=0, stage=HPV), StageConfig(2, 4, (1e-3,) * 3)
        monkeypatch.setattr(training_stages, "current", lambda: ranks)
        monkeypatch.setattr(training_stages, "fit", first_epochs)
        net, order = torch.nn.Linear(1, 1), lambda draw: np.arange(8)
        with pytest.raises(KeyboardInterrupt):
            training_stages._train(run, stage, net, Patches(), order, None, silent)

    seen = []
    for ranks in (Ranks(0, 1), Ranks(0, 2), Ranks(1, 2)):
        see(ranks)
    alone, first, second = seen
    assert len({seed for _, seed in alone}) == 16
    assert [index for index, _ in first[:4]] == [0, 1, 4, 5]
    assert sorted(first + second) == sorted(alone)
