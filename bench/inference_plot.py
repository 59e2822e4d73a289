"""The growth of segmentation's cost as a picture."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

WALL, CPU = "#0072b2", "#d55e00"


def plot_growth(growth: dict, path: Path) -> None:
    """One panel an axis: wall and CPU seconds against what grows."""
    figure, panels = plt.subplots(1, len(growth), figsize=(12, 3.2), layout="constrained")
    for panel, (axis, rows) in zip(panels, growth.items(), strict=True):
        values = [value for value, _ in rows]
        panel.plot(values, [m["cpu_s"] for _, m in rows], "o-", color=CPU, label="CPU seconds")
        panel.plot(values, [m["wall_s"] for _, m in rows], "s-", color=WALL, label="wall seconds")
        panel.set_xlabel(axis)
        panel.set_ylim(bottom=0)
        panel.set_xlim(left=0)
        panel.grid(alpha=0.3)
        for side in ("top", "right"):
            panel.spines[side].set_visible(False)
    panels[0].set_ylabel("seconds, full width")
    panels[0].legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
