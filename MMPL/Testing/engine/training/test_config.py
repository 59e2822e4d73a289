"""Settings: overlays, steps of the learning rate, and what is refused."""

from __future__ import annotations

import json

import pytest

from mmpl.errors import TrainingError
from mmpl.training.config import StageConfig, TrainingConfig, config_from_dict, config_to_dict, load_config


def _written(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_yaml_overlays_the_defaults(tmp_path):
    config = load_config(
        _written(
            tmp_path,
            "seed: 7\nnetwork:\n  spacing_mm: 2\nhpv:\n  epochs: 3\n  learning_rates: [1e-3, 5.0e-4, 0.0001]\n",
        )
    )
    full = TrainingConfig()
    assert config.seed == 7
    assert config.network.spacing_mm == 2.0
    assert isinstance(config.network.spacing_mm, float)
    assert config.hpv == StageConfig(3, full.hpv.batch_size, (1e-3, 5e-4, 1e-4))
    assert config.rfs == full.rfs
    assert config.network.stream_channels == full.network.stream_channels


def test_an_empty_file_and_no_file_are_the_defaults(tmp_path):
    assert load_config(None) == load_config(_written(tmp_path, "")) == TrainingConfig()


def test_base_demo(tmp_path):
    assert load_config(_written(tmp_path, "base: demo\n")) == TrainingConfig.demo()
    with pytest.raises(TrainingError, match="base must be 'demo' or 'full'"):
        config_from_dict({"base": "huge"})


def test_a_misspelt_key_is_named_with_the_known_ones(tmp_path):
    with pytest.raises(TrainingError, match=r"unknown key 'sed'; known keys are .*seed"):
        load_config(_written(tmp_path, "sed: 7\n"))
    with pytest.raises(TrainingError, match=r"network: unknown key 'spacing'; known keys are .*spacing_mm"):
        load_config(_written(tmp_path, "network: {spacing: 3}\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("folds: 1", "folds = 1, at least 2"),
        ("folds: many", "folds is 'many', expected a whole number"),
        ("hpv: {epochs: 2.5}", "epochs is 2.5, expected a whole number"),
        ("hpv: {epochs: 0}", "config.yaml: hpv: epochs = 0, batch_size = 8, expected 1 or more"),
        ("workers: 0", "config.yaml: workers = 0, expected 1 or more"),
        ("workers: -2", "config.yaml: workers = -2, expected 1 or more"),
        ("device: tpu", "config.yaml: device = 'tpu', expected auto, cpu, cuda or cuda:N"),
        ("device: 'cuda:'", "config.yaml: device = 'cuda:', expected auto, cpu, cuda or cuda:N"),
        ("network: {dropout: 1.5}", "config.yaml: network: dropout = 1.5, expected 0 to below 1"),
        ("network: {spacing_mm: 0}", "config.yaml: network: spacing_mm = 0.0, expected a length above 0"),
        ("network: {stream_channels: [1, 2]}", "config.yaml: network: stream_channels = .*, expected 5 whole numbers"),
        ("feature_set: {max_bins: 1}", "config.yaml: feature_set: max_bins 1: give a whole number of at least 2"),
        ("augmentation: {scale: 1.5}", "config.yaml: augmentation: scale = 1.5, expected 0 to below 1"),
        ("augmentation: {intensity_scale: 1}", "augmentation: intensity_scale = 1.0, expected 0 to below 1"),
        ("augmentation: {shear: 0.5}", "augmentation: shear = 0.5, expected 0 to below 0.5"),
        ("augmentation: {probability: 1.5}", "augmentation: probability = 1.5, expected a probability from 0 to 1"),
        ("hpv: {learning_rates: [1, 2]}", "expected three positive numbers"),
        ("hpv: {learning_rates: [fast, 1, 2]}", r"hpv: learning_rates\[0\] is 'fast', expected a number"),
        ("hpv: 3", "'hpv' must be a mapping"),
        ("overlap: 1.0", "expected 0 <= overlap < 1"),
        ("wide_share: 1.5", "wide_share = 1.5, expected a share from 0 to 1"),
        ("wide_share: .nan", "wide_share = nan, expected a share from 0 to 1"),
        ("wide_mm: [100, 100]", "expected three lengths in mm"),
        ("wide_mm: [100, 100, 0]", "expected three lengths in mm"),
        ("wide_mm: [100, 100, .inf]", "expected three lengths in mm"),
        ("overlap: half", "overlap is 'half', expected a number"),
        ("breaks_days: [0, 300, 300]", "must rise from 0"),
        ("breaks_days: [100, 300]", "must rise from 0"),
        ("breaks_days: []", "must rise from 0"),
        ("breaks_days: [0, .inf]", "must rise from 0"),
        ("breaks_days: [0, .nan]", "must rise from 0"),
        ("breaks_days: 300", r"breaks_days is 300, expected a list such as \[0.0, 300.0, 600.0"),
        ("rfs: {learning_rates: [1e-4, 5e-5, true]}", r"rfs: learning_rates\[2\] is True, expected a number"),
        ("network: {stream_channels: [8.7, 16, 32, 64, 128]}", r"stream_channels\[0\] is 8.7, expected a whole number"),
        ("breaks_days: [0, true, 300]", r"breaks_days\[1\] is True, expected a number"),
        ("network: {spacing_mm: true}", "spacing_mm is True, expected a number"),
        ("splits: [1]", r"splits\[0\] is 1, expected text"),
        ("splits: patient", r"splits is 'patient', expected a list such as \[patient, centre\]"),
        ("rfs: {learning_rates: 1e-4}", r"rfs: learning_rates is '1e-4', expected a list such as \[5e-05, "),
        ("wide_mm: 256.0", r"wide_mm is 256.0, expected a list such as \[256.0, 192.0, 192.0\]"),
        ("network: {stream_channels: 8}", r"network: stream_channels is 8, expected a list such as \[8, 16, 32, 64"),
        ("feature_set: {families: shape}", r"feature_set: families is 'shape', expected a list such as \[shape, "),
        ("workers: [2]", r"workers is \[2\], expected a whole number"),
        ("{1: 2, zzz: 3}", "unknown key '1'; known keys are"),
        ("name: my model", "name is 'my model', expected letters, digits and . _ - only"),
        ("name:", "name is None"),
        ("version: '1'", r"version is '1', expected two or three numbers in quotes"),
        ("time_zero: ''", "time_zero is '', expected what RFS days count from"),
        ("seed: -1", "seed = -1, expected 0 to 4000000000"),
        ("seed: 5000000000", "seed = 5000000000, expected 0 to"),
        ("patch_threads: -1", r"patch_threads = -1, expected 0 \(auto\) or more"),
        ("base: [x]", "base must be 'demo' or 'full'"),
        ("augmentation: {shift_mm: -3}", "shift_mm = -3.0, expected 0 or more"),
        ("augmentation: {rotation_deg: .inf}", "rotation_deg = inf, expected 0 or more"),
        ("augmentation: {noise_std: .nan}", "noise_std = nan, expected 0 or more"),
        ("hpv: {learning_rates: [1, 2, .nan]}", "expected three positive numbers"),
        ("autocast: 1", "autocast is 1, expected true or false"),
        ("[1, 2]", "expected settings by name"),
        ("seed: [", "not a readable YAML file"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path, text, said):
    with pytest.raises(TrainingError, match=said):
        load_config(_written(tmp_path, text))


def test_a_missing_file_is_a_training_error(tmp_path):
    with pytest.raises(TrainingError, match="not a readable YAML file"):
        load_config(tmp_path / "none.yaml")


def test_dictionary_round_trip():
    for config in (TrainingConfig(), TrainingConfig.demo()):
        assert config_from_dict(json.loads(json.dumps(config_to_dict(config)))) == config


def test_learning_rate_steps_at_40_and_80_percent():
    stage = StageConfig(10, 2, (1e-4, 5e-5, 1e-5))
    assert [stage.learning_rate(e) for e in range(10)] == [1e-4] * 4 + [5e-5] * 4 + [1e-5] * 2


def test_the_methods_learning_rates_and_breaks():
    config = TrainingConfig()
    assert config.segmentation.learning_rates == (1e-4, 5e-5, 1e-5)
    assert config.hpv.learning_rates == config.rfs.learning_rates == (5e-5, 1e-5, 1e-6)
    assert config.breaks_days == (0, 300, 600, 900, 1100, 1300, 1500, 2100, 2700, 3500, 6000)
    assert config.intervals == 10


@pytest.mark.parametrize(("name", "value"), [("mirror", 50), ("probability", -0.1)])
def test_a_probability_lies_between_0_and_1(name, value):
    with pytest.raises(TrainingError, match=f"{name} = {float(value)}"):
        config_from_dict({"augmentation": {name: float(value)}})
