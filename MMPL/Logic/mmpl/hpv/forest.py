"""A random forest as flat arrays: the same numbers as scikit-learn's, without scikit-learn or pickle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from mmpl.errors import BundleError

LEAF = -1


@dataclass(frozen=True, eq=False)
class Forest:
    """All trees' nodes in one row of arrays; node indices count over the whole forest.

    A node sends a sample left when ``float32(x[feature]) <= threshold``, as scikit-learn does.

    Attributes
    ----------
    feature : int32 array, shape (nodes,); -1 at a leaf
    threshold : float64 array, shape (nodes,); unused at a leaf
    left, right : int32 arrays, shape (nodes,); index of the child, always larger than the node's; -1 at a
        leaf
    value : float64 array, shape (nodes,); P(class 1) among the node's training samples
    cover : float64 array, shape (nodes,); weight of the training samples that reached the node
    offsets : int64 array, shape (trees + 1,); tree t has nodes offsets[t] to offsets[t + 1], its root first
    n_features : number of columns of the samples

    Raises
    ------
    BundleError
        If the arrays do not describe a forest.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    cover: np.ndarray
    offsets: np.ndarray
    n_features: int

    def __post_init__(self):
        for name, dtype in _DTYPES.items():
            array = np.array(getattr(self, name), dtype=dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        object.__setattr__(self, "n_features", int(self.n_features))
        _check_arrays(self)
        _check_trees(self)

    @property
    def n_trees(self) -> int:
        return len(self.offsets) - 1

    def predict(self, x: np.ndarray) -> np.ndarray:
        """P(class 1): the mean over trees of the reached leaves' values.

        Parameters
        ----------
        x : array, shape (samples, features), finite

        Returns
        -------
        float64 array, shape (samples,)
        """
        x = np.asarray(x, dtype=np.float64).astype(np.float32)
        rows = np.arange(len(x))[:, None]
        nodes = np.tile(self.offsets[:-1], (len(x), 1))  # (samples, trees), at the roots
        while True:
            feature = self.feature[nodes]
            inner = feature != LEAF
            if not inner.any():
                return self.value[nodes].mean(axis=1)
            goes_left = x[rows, feature] <= self.threshold[nodes]
            nodes = np.where(inner, np.where(goes_left, self.left[nodes], self.right[nodes]), nodes)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Arrays for ``numpy.savez``; ``from_arrays`` reads them back."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Forest:
        """Read what ``to_arrays`` gave; open the file with ``allow_pickle=False``.

        Raises
        ------
        BundleError
            If an array is missing or the arrays do not describe a forest.
        """
        missing = [f.name for f in fields(cls) if f.name not in arrays]
        if missing:
            raise BundleError(f"forest: no array {', '.join(missing)}; the bundle is damaged, get it again")
        try:
            return cls(**{f.name: np.asarray(arrays[f.name]) for f in fields(cls)})
        except (TypeError, ValueError) as error:
            raise BundleError(f"forest: {error}; the bundle is damaged, get it again") from error


_DTYPES = {
    "feature": np.int32,
    "threshold": np.float64,
    "left": np.int32,
    "right": np.int32,
    "value": np.float64,
    "cover": np.float64,
    "offsets": np.int64,
}


def _refuse(fault: str) -> BundleError:
    return BundleError(f"forest: {fault}; the bundle is damaged, get it again")


def _check_arrays(forest: Forest) -> None:
    """Shapes and value ranges."""
    n = len(forest.feature) if forest.feature.ndim == 1 else -1
    if any(getattr(forest, name).shape != (n,) for name in _DTYPES if name != "offsets"):
        raise _refuse("its node arrays differ in shape")
    offsets = forest.offsets
    if offsets.ndim != 1 or len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != n:
        raise _refuse(f"tree offsets do not span its {n} nodes")
    if np.any(np.diff(offsets) < 1):
        raise _refuse("a tree has no node")
    inner = forest.feature != LEAF
    if np.any((forest.feature < LEAF) | (forest.feature >= forest.n_features)):
        raise _refuse(f"a node asks for a feature outside 0-{forest.n_features - 1}")
    if not np.all(np.isfinite(forest.threshold[inner])):
        raise _refuse("a threshold is not finite")
    if not np.all((forest.value >= 0) & (forest.value <= 1)):
        raise _refuse("a node's probability is outside 0-1")
    if not np.all(np.isfinite(forest.cover) & (forest.cover > 0)):
        raise _refuse("a node's cover is not positive")


def _check_trees(forest: Forest) -> None:
    """Every node but the roots is the child of exactly one earlier node of its tree: no cycle is possible."""
    index = np.arange(len(forest.feature))
    inner = forest.feature != LEAF
    ends = np.repeat(forest.offsets[1:], np.diff(forest.offsets))
    for child in (forest.left, forest.right):
        if np.any(child[~inner] != LEAF):
            raise _refuse("a leaf has a child")
        if np.any((child[inner] <= index[inner]) | (child[inner] >= ends[inner])):
            raise _refuse("a child does not come after its parent within the tree")
    children = np.concatenate([forest.left[inner], forest.right[inner]])
    parents = np.bincount(children, minlength=len(index))
    parents[forest.offsets[:-1]] += 1
    if np.any(parents != 1):
        raise _refuse("a node is not the child of exactly one other")
    covers = forest.cover[forest.left[inner]] + forest.cover[forest.right[inner]]
    if not np.allclose(covers, forest.cover[inner], rtol=1e-6):
        raise _refuse("the children's covers do not add up to their parent's")
