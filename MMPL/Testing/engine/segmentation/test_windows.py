"""Window averaging against MONAI's sliding-window inference and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data.utils import dense_patch_slices
from monai.inferers import sliding_window_inference

from mmpl.segmentation.windows import average_windows, padded_to, window_slices, window_starts

WINDOW = 16


def _inside_window(batch):
    """Looks at the whole window and at where in it a voxel lies: any shift of a window shows."""
    ramp = np.linspace(0, 1, WINDOW, dtype=np.float32)
    place = ramp[:, None, None] + 2 * ramp[None, :, None] ** 2 + 3 * ramp[None, None, :] ** 3
    first = batch[:, 0] * place + batch[:, 1].mean(axis=(1, 2, 3), keepdims=True)
    second = batch[:, 1] - batch[:, 0] * place[::-1]
    return np.stack([first, second], axis=1)


def _monai(array, overlap):
    def predict(batch):
        return torch.from_numpy(_inside_window(batch.numpy()))

    out = sliding_window_inference(
        torch.from_numpy(array[None]), (WINDOW,) * 3, 3, predict, overlap=overlap, mode="constant"
    )
    return out[0].numpy()


@pytest.mark.parametrize("overlap", [0.5, 0.25, 0.0])
@pytest.mark.parametrize("shape", [(16, 16, 16), (17, 30, 41), (40, 16, 24)])
def test_average_is_monais(overlap, shape):
    array = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    ours = average_windows(array, _inside_window, window=WINDOW, overlap=overlap, fills=(0, 0))
    np.testing.assert_allclose(ours, _monai(array, overlap), atol=1e-5)


def test_smaller_volumes_are_padded_as_monai_pads():
    array = np.random.default_rng(0).normal(size=(2, 11, 30, 9)).astype(np.float32)
    ours = average_windows(array, _inside_window, window=WINDOW, overlap=0.5, fills=(0, 0))
    assert ours.shape == (2, 11, 30, 9)
    np.testing.assert_allclose(ours, _monai(array, 0.5), atol=1e-5)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.625, 0.9])
def test_windows_lie_where_monais_do(overlap):
    for length in range(16, 70):
        step = max(1, int(WINDOW * (1 - overlap)))
        theirs = [s[0].start for s in dense_patch_slices((length,), (WINDOW,), (step,))]
        assert window_starts(length, WINDOW, overlap) == theirs


def test_window_starts_by_hand():
    assert window_starts(40, 16, 0.5) == [0, 8, 16, 24]
    assert window_starts(41, 16, 0.5) == [0, 8, 16, 24, 25]
    assert window_starts(10, 16, 0.5) == [0]
    assert len(window_slices((40, 16, 17), 16, 0.5)) == 4 * 1 * 2


def test_two_windows_averaged_by_hand():
    array = np.zeros((1, 16, 16, 24), np.float32)
    calls = iter([1.0, 3.0])

    def constant(batch):
        return np.stack([np.full((1, *batch.shape[2:]), next(calls)) for _ in batch])

    out = average_windows(array, constant, window=16, overlap=0.5, fills=(0,))
    np.testing.assert_array_equal(out[0, 0, 0], [1] * 8 + [2] * 8 + [3] * 8)


def test_padding_is_centred_and_each_channel_has_its_fill():
    array = np.ones((2, 3, 16, 20), np.float32)
    padded, where = padded_to(array, 16, (-7, -1))
    assert padded.shape == (2, 16, 16, 20)
    assert where[0] == slice(6, 9)
    assert (padded[0, :6] == -7).all()
    assert (padded[1, 9:] == -1).all()
    assert (padded[:, 6:9] == 1).all()
    same, _ = padded_to(array[:, :, :, :], 3, (0, 0))
    assert same is not None
    assert same.shape == array.shape


def test_the_predictor_sees_the_fill():
    seen = []

    def look(batch):
        seen.append(batch.copy())
        return batch

    average_windows(np.ones((2, 4, 16, 16), np.float32), look, window=16, overlap=0.5, fills=(-5, -1))
    assert (seen[0][0, 0, 0] == -5).all()
    assert (seen[0][0, 1, -1] == -1).all()


def test_progress_rises_to_one():
    told = []
    average_windows(
        np.zeros((2, 32, 32, 40), np.float32),
        _inside_window,
        window=16,
        overlap=0.5,
        fills=(0, 0),
        done=told.append,
    )
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 3
