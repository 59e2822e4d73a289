"""The network's size as data."""

from __future__ import annotations

import json

import pytest

from mmpl.errors import BundleError
from mmpl.network.config import NetworkConfig


@pytest.mark.parametrize("config", [NetworkConfig.full(), NetworkConfig.demo()])
def test_round_trip_through_json(config):
    assert NetworkConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"stream_channels": (1, 2, 3, 4)}, "stream_channels = .*expected 5 whole numbers from 1 to"),
        ({"decoder_convs": (1, 2, 3, 0)}, "decoder_convs = .*expected 4 whole"),
        ({"stream_channels": (8.7, 16, 32, 64, 128)}, "stream_channels = .*expected 5 whole"),
        ({"stream_channels": (True, 16, 32, 64, 128)}, "stream_channels = .*expected 5 whole"),
        ({"stream_channels": (10**12,) * 5}, "stream_channels = .*expected 5 whole"),
        ({"hidden_units": 32.5}, "^hidden_units = 32.5, expected a whole number"),
        ({"dropout": 1.0}, "^dropout = 1.0, expected 0 to below 1"),
        ({"spacing_mm": 0.0}, "^spacing_mm = 0.0, expected a length above 0"),
        ({"hidden_units": 0}, "^hidden_units = 0, expected a whole number from 1 to"),
    ],
)
def test_impossible_sizes_are_refused(wrong, said):
    with pytest.raises(BundleError, match=said):
        NetworkConfig(**wrong)
    with pytest.raises(BundleError, match=f"^network config: {said.removeprefix('^')}"):
        NetworkConfig.from_dict({**NetworkConfig.demo().to_dict(), **wrong})


def test_unknown_and_missing_keys_are_named():
    data = NetworkConfig.demo().to_dict()
    with pytest.raises(BundleError, match="'depth'"):
        NetworkConfig.from_dict({**data, "depth": 3})
    del data["dropout"]
    with pytest.raises(BundleError, match="'dropout'"):
        NetworkConfig.from_dict(data)
