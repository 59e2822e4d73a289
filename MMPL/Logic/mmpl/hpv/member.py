"""One member of the HPV ensemble: what was fitted, and how a row of features becomes a probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmpl.columns import model_input
from mmpl.errors import BundleError
from mmpl.hpv.forest import Forest
from mmpl.hpv.treeshap import LeafPaths, base_value, leaf_paths, shap_values


@dataclass(frozen=True, eq=False)
class HpvMember:
    """A fitted HPV classifier.

    Attributes
    ----------
    columns : the kept feature columns, in the forest's order
    medians : float64 array, shape (columns,); training medians that stand in for missing values
    forest : Forest
    deep_column : name of the deep score's column
    deep_mean, deep_sd : figures of this member's own network, by which a raw deep logit is standardised
        before the forest sees it (0 and 1: the logit comes standardised)

    Raises
    ------
    BundleError
        If these do not fit together.
    """

    columns: tuple[str, ...]
    medians: np.ndarray
    forest: Forest
    deep_column: str
    deep_mean: float = 0.0
    deep_sd: float = 1.0

    def __post_init__(self):
        medians = np.array(self.medians, dtype=np.float64)
        medians.setflags(write=False)
        object.__setattr__(self, "medians", medians)
        object.__setattr__(self, "columns", tuple(self.columns))
        if len(set(self.columns)) != len(self.columns) or self.forest.n_features != len(self.columns):
            raise BundleError(
                f"HPV member: {len(self.columns)} columns, {len(set(self.columns))} of them distinct, for a "
                f"forest of {self.forest.n_features} features; the bundle is damaged, get it again"
            )
        if medians.shape != (len(self.columns),) or not np.all(np.isfinite(medians)):
            raise BundleError("HPV member: medians are not one finite number a column; get the bundle again")
        if not (math.isfinite(self.deep_mean) and math.isfinite(self.deep_sd) and self.deep_sd > 0):
            raise BundleError(f"HPV member: deep score figures {self.deep_mean}, {self.deep_sd} cannot standardise")

    @cached_property
    def _paths(self) -> LeafPaths:
        return leaf_paths(self.forest)

    def vector(self, row: Mapping[str, float]) -> np.ndarray:
        """The forest's input: kept columns in order, deep logit standardised, missing values imputed.

        A column that is absent, None, NaN or infinite counts as missing.
        """
        x = model_input(row, self.columns, self.deep_column, self.deep_mean, self.deep_sd)
        return np.where(np.isfinite(x), x, self.medians)

    def predict(self, row: Mapping[str, float]) -> float:
        """Probability of HPV-positive for one row of features (raw deep logit, encoded clinical values)."""
        return float(self.forest.predict(self.vector(row)[None])[0])

    def contributions(self, row: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Exact TreeSHAP: base value and each column's effect, which add up to ``predict(row)``."""
        effects = shap_values(self._paths, self.vector(row), len(self.columns))
        return base_value(self._paths), dict(zip(self.columns, effects.tolist(), strict=True))

    def to_dict(self) -> dict:
        """The part that goes to JSON."""
        return {
            "columns": list(self.columns),
            "deep_column": self.deep_column,
            "deep_mean": self.deep_mean,
            "deep_sd": self.deep_sd,
        }

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The part that goes to an npz file."""
        return {"medians": self.medians, **self.forest.to_arrays()}

    @classmethod
    def from_dict(cls, data: Mapping, arrays: Mapping[str, np.ndarray]) -> HpvMember:
        """Read what ``to_dict`` and ``to_arrays`` wrote; open the npz with ``allow_pickle=False``.

        Raises
        ------
        BundleError
            If something is missing or does not fit together.
        """
        try:
            return cls(
                columns=tuple(str(c) for c in data["columns"]),
                medians=arrays["medians"],
                forest=Forest.from_arrays(arrays),
                deep_column=str(data["deep_column"]),
                deep_mean=float(data["deep_mean"]),
                deep_sd=float(data["deep_sd"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"HPV member: {error!r} while reading it; the bundle is damaged, get it again") from error
