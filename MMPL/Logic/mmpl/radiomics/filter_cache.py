"""A case's filtered images where lesions are, kept in memory within a budget.

All responses over the whole ROI are 1.4 GB; a working box around the masks is a tenth of that. Values in the
box are those of filters over the whole ROI, whatever the box.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from mmpl.boxes import Box
from mmpl.geometry import Geometry
from mmpl.radiomics import gpu_filters
from mmpl.radiomics.feature_set import ORIGINAL, FeatureSet, log_image_name
from mmpl.radiomics.laplacian import is_large_enough, laplacian_of_gaussian
from mmpl.radiomics.mask_geometry import MaskGeometry
from mmpl.radiomics.wavelet import wavelet_bands

Key = tuple[str, str]  # modality, image


@dataclass(frozen=True)
class FilterJob:
    """One filter of one modality, and the images it gives."""

    keys: tuple[Key, ...]
    run: Callable[[Box], dict[Key, np.ndarray]]


class FilterCache:
    """A case's images on the ROI, filtered when and where they are needed.

    Parameters
    ----------
    geometry : Geometry of the ROI
    sources : modality -> float32 array, shape (z, y, x)
    feature_set : FeatureSet
    pet_is_suv : bool
    budget_bytes : int, filtered voxels are kept up to this, and made anew for each mask beyond
    margin_mm : float, room for edits around the masks
    device : where filters run: "cuda", or None for the CPU

    Attributes
    ----------
    box : slices (z, y, x) that are kept, or None
    """

    def __init__(
        self,
        geometry: Geometry,
        sources: Mapping[str, np.ndarray],
        feature_set: FeatureSet,
        *,
        pet_is_suv: bool,
        budget_bytes: int,
        margin_mm: float,
        device: str | None = None,
    ):
        self.geometry = geometry
        self.pet_is_suv = pet_is_suv
        self.budget_bytes = budget_bytes
        self.margin = [int(np.ceil(margin_mm / s)) for s in geometry.spacing_mm[::-1]]
        self.device = device
        self.sources = {m: np.ascontiguousarray(a) for m, a in sources.items()}
        self.jobs = [job for m in self.sources for job in self._jobs(m, feature_set, device)]
        self.box: Box | None = None
        self._arrays: dict[Key, np.ndarray] = {}
        self._lock = threading.Lock()

    def _jobs(self, modality: str, feature_set: FeatureSet, device: str | None) -> Iterator[FilterJob]:
        source, spacing = self.sources[modality], self.geometry.spacing_mm
        sigmas = [s for s in feature_set.log_sigmas_mm if is_large_enough(self.geometry.size, spacing, s)]
        # on a GPU all widths at once
        groups = [[s] for s in sigmas] if device is None else [sigmas]
        for group in filter(None, groups):
            keys = tuple((modality, log_image_name(s)) for s in group)
            yield FilterJob(
                keys,
                lambda box, k=keys, g=group: dict(zip(k, _laplacians(source, spacing, g, box, device), strict=True)),
            )
        if feature_set.wavelet:
            keys = tuple((modality, name) for name in feature_set.wavelet_images())
            yield FilterJob(
                keys, lambda box: {(modality, f"wavelet-{b}"): a for b, a in _wavelets(source, box, device).items()}
            )

    @property
    def keys(self) -> set[Key]:
        """All images that there are, the originals included."""
        filtered = {key for job in self.jobs for key in job.keys}
        return filtered | {(modality, ORIGINAL) for modality in self.sources}

    @property
    def nbytes(self) -> int:
        """Memory of the filtered voxels kept now."""
        return sum(a.nbytes for a in self._arrays.values())

    def cover(self, wanted: Box, pool: Executor | None = None, done: Callable[[float], None] | None = None) -> bool:
        """Keep what a box needs, and room around it; False if not even the box itself fits the budget.

        ``done`` is told the fraction of the filters that have run.
        """
        with self._lock:
            if self.box is not None and _holds(self.box, wanted):
                return True
            for box in self._choices(wanted):
                if self._bytes(box) <= self.budget_bytes:
                    self._fill(box, pool, done)
                    return True
            return False

    def _choices(self, wanted: Box) -> Iterator[Box]:
        if self.box is not None:
            yield union_of(self.box, self._grown(wanted))
        yield self._grown(wanted)
        yield wanted

    def _fill(self, box: Box, pool: Executor | None, done: Callable[[float], None] | None) -> None:
        self.box, self._arrays = None, {}  # the old voxels first: both would not fit
        each = pool.map if pool and self.device is None else map  # a GPU's memory serves one filter at a time
        arrays = {}
        for n, found in enumerate(each(lambda job: job.run(box), self.jobs), start=1):
            arrays.update(found)
            if done is not None:
                done(n / len(self.jobs))
        self.box, self._arrays = box, arrays
        if self.device is not None:
            gpu_filters.give_memory_back()

    def _bytes(self, box: Box) -> int:
        return _voxels(box) * 4 * sum(len(job.keys) for job in self.jobs)

    def _grown(self, box: Box) -> Box:
        return tuple(
            slice(max(s.start - m, 0), min(s.stop + m, n))
            for s, m, n in zip(box, self.margin, self.geometry.shape, strict=True)
        )

    def readers(self, mask: MaskGeometry, pool: Executor | None = None) -> list[Callable[[], dict[Key, np.ndarray]]]:
        """Calls that each give some images' voxels inside a mask, shape (n,); every image comes once."""
        shape = self.geometry.shape
        whole = mask.flat_index((0, 0, 0), shape)
        calls = [lambda m=m, s=source: {(m, ORIGINAL): s.reshape(-1).take(whole)} for m, source in self.sources.items()]
        if self.cover(mask.box, pool):
            with self._lock:
                box, arrays = self.box, self._arrays
            index = mask.flat_index(*_frame(box))
            return calls + [lambda k=k, a=a: {k: a.reshape(-1).take(index)} for k, a in arrays.items()]
        index = mask.flat_index(*_frame(mask.box))
        return calls + [
            lambda j=job: {k: a.reshape(-1).take(index) for k, a in j.run(mask.box).items()} for job in self.jobs
        ]


def _laplacians(source: np.ndarray, spacing_mm, sigmas_mm, box: Box, device: str | None) -> list[np.ndarray]:
    return on_device_or_cpu(
        device,
        lambda: gpu_filters.laplacians_of_gaussian(source, spacing_mm, sigmas_mm, box, device),
        lambda: [laplacian_of_gaussian(source, spacing_mm, sigma, box) for sigma in sigmas_mm],
    )


def _wavelets(source: np.ndarray, box: Box, device: str | None) -> dict[str, np.ndarray]:
    return on_device_or_cpu(
        device, lambda: gpu_filters.wavelet_bands(source, box, device), lambda: wavelet_bands(source, box)
    )


def on_device_or_cpu(device: str | None, there: Callable, here: Callable):
    """The result of ``there``, or of ``here``, the same, where there is no device or not memory enough on it."""
    if device is None:
        return here()
    import torch

    try:
        return there()
    except torch.OutOfMemoryError:
        pass
    torch.cuda.empty_cache()  # out here, where nothing holds on to the arrays of the attempt
    return here()


def _frame(box: Box) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(s.start for s in box), tuple(s.stop - s.start for s in box)


def _voxels(box: Box) -> int:
    return int(np.prod(_frame(box)[1]))


def _holds(outer: Box, inner: Box) -> bool:
    return all(o.start <= i.start and i.stop <= o.stop for o, i in zip(outer, inner, strict=True))


def union_of(*boxes: Box) -> Box:
    """Smallest box that holds all the boxes."""
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))
