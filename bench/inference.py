"""Segmentation's cost, its agreement with the paper's plan, and how its cost grows. Resumable. Phantom results.

    python -P bench/inference.py --run runs/inference [--cases 60] [--plot docs/images/inference_growth.png] [--json F]
    python -P bench/inference.py --run runs/inference --parts agreement --bundle BUNDLE

*Cost*: full-width networks over one phantom's ROI at 1 mm. The plain way is PyTorch in fp32 with MONAI's
sliding_window_inference (windows of 128, overlap 0.5), one member, measured; ten members are that times ten,
extrapolated. Ours is measured in full, one member and ten. Each is a process of its own, whose peak memory is read.
*Agreement*: the demo ensemble on phantoms it never saw (seed 7001). Its grid is so coarse that the default halo makes a
box around a finding nearly the whole region; rows with smaller halos have local boxes, as a fine grid has.
*Whole*: a case by the command line, from files to files, with a bundle of ten such members and all radiomics.
*Growth*: time against the ROI's length, members, lesions and the memory that a pass may take.

What a run has measured lies in its folder and is not measured again: take another folder, or remove the file.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

import inference_cost as cost
from inference_agreement import MOVED, OURS, PAPER, PLAIN_PASS, SLABS, is_complete, score, summarise
from inference_plot import plot_growth

from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.console import ConsoleProgress
from mmpl.errors import MMPLError
from mmpl.io.output import write_json_atomic
from mmpl.network.backends import openvino_cpu
from mmpl.training.parallel import each

JOBS = ("convert", "plain", "ours 1", "ours 10", "plain-outcomes", "convert-outcomes", "outcomes")
PARTS = ("agreement", "cost", "whole", "growth")
WHOLE = {"first case, which converts": "whole 1", "every further case": "whole 2"}
TARGETS = {"one": 30.0, "ten": 60.0, "dice": 0.98, "truth": -0.003}


def main() -> int:
    arguments = _arguments()
    folder = arguments.run / "full"
    if arguments.job:
        cost.do_job(arguments.job, folder)
        return 0
    try:
        table = {"machine": _machine()}
        print(table["machine"])
        measure = {
            "agreement": lambda: _agreement(arguments),
            "cost": lambda: _cost(folder),
            "whole": lambda: {name: cost.job(job, folder) for name, job in WHOLE.items()},
            "growth": lambda: _growth(folder),
        }
        texts = {"agreement": _agreement_text, "cost": _cost_text, "whole": _whole_text, "growth": _growth_text}
        for part in arguments.parts:
            table[part] = measure[part]()
            print(texts[part](table[part]))
        if arguments.plot and "growth" in table:
            plot_growth(table["growth"], arguments.plot)
        if arguments.json:
            write_json_atomic(arguments.json, table)
    except MMPLError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--bundle", type=Path, help="of the agreement; the demo bundle by default")
    parser.add_argument("--backend", default="pytorch", help="of the agreement: pytorch or openvino")
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


def _machine() -> str:
    precisions = ", ".join(openvino_cpu.available_precisions()) if openvino_cpu.installed() else "not installed"
    return (
        f"{platform.system()}, {_cpu()}, {os.cpu_count()} cores, PyTorch {torch.__version__} "
        f"({torch.get_num_threads()} threads), OpenVINO: {precisions}"
    )


def _cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _agreement(arguments) -> dict:
    bundle = open_bundle(arguments.bundle or default_bundle_path())
    folder = arguments.run / f"agreement_{bundle.sha256[:12]}_{arguments.backend}"
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [(i, str(bundle.path), arguments.backend, folder / f"{i:04d}.json") for i in range(arguments.cases)]
    todo = [task for task in tasks if not is_complete(task[-1])]
    with ConsoleProgress() as progress:
        each(score, todo, workers=arguments.workers, progress=progress, step="agreement")
    return summarise(task[-1] for task in tasks)


def _agreement_text(table: dict) -> str:
    lines = [f"\nAgreement over {table['cases']} phantoms, voxels pooled (phantom results)"]
    heads = ("plan", "Dice with paper", "Dice with truth", "with one pass", "lesions lost", "voxels seen")
    for name, rows in table["classes"].items():
        lines += [f"{name}, {rows['lesions']} lesions", "  " + " | ".join(f"{head:>22s}" for head in heads)]
        for plan, row in rows["plans"].items():
            cells = (
                plan,
                *(f"{row[key]:.4f}" for key in ("dice_paper", "dice_truth", "dice_one_pass")),
                str(row["lost"]),
                f"{100 * table['voxels_of_paper'][plan]:.0f} %",
            )
            lines.append("  " + " | ".join(f"{cell:>22s}" for cell in cells))
        ours, paper = rows["plans"][OURS], rows["plans"][PAPER]
        lines += [
            _target("Dice with the paper's plan", ours["dice_paper"], TARGETS["dice"]),
            f"  the paper's plan with itself, windows moved: {rows['plans'][MOVED]['dice_paper']:.4f}",
            _target("Dice with the truth, gain", ours["dice_truth"] - paper["dice_truth"], TARGETS["truth"]),
            _target("lesions lost, negative", -ours["lost"], 0),
            f"  halo error: 1 - Dice of {SLABS} with {PLAIN_PASS} = {1 - rows['plans'][SLABS]['dice_one_pass']:.5f}",
        ]
    return "\n".join(lines)


def _cost(folder: Path) -> dict:
    cost.make_case(folder)
    return {name: cost.job(name, folder) for name in JOBS}


def _cost_text(table: dict) -> str:
    plain, plain_pair = table["plain"], table["plain-outcomes"]
    lines = ["\nCost of one full-width case", f"{'':28s}{'wall s':>10s}{'CPU s':>10s}{'peak GB':>9s}"]
    rows = {
        "plain, one member": plain,
        "plain, ten (extrapolated)": {k: 10 * plain[k] for k in ("wall_s", "cpu_s")},
        "ours, one member": table["ours 1"],
        "ours, ten members": table["ours 10"],
        "conversion, once a bundle": table["convert"],
        "plain, one HPV, one RFS": plain_pair,
        "plain, ten of each (extrap.)": {k: 10 * plain_pair[k] for k in ("wall_s", "cpu_s")},
        "ours, ten of each": table["outcomes"],
        "their conversion, once": table["convert-outcomes"],
    }
    for name, row in rows.items():
        peak = f"{row['peak_gb']:.2f}" if "peak_gb" in row else ""
        lines.append(f"{name:28s}{row['wall_s']:10.1f}{row['cpu_s']:10.1f}{peak:>9s}")
    ten = table["ours 10"]
    lines += [
        *(
            f"{name}: predicted {row['predicted_s']:.1f} s, measured {row['wall_s']:.1f} s; a pass predicted "
            f"{row['predicted_gb']:.2f} GB, the process measured {row['peak_gb']:.2f} GB"
            for name, row in rows.items()
            if "predicted_s" in row
        ),
        f"ours: {ten['backend']}; slabs {ten['regions']}; boxes {ten['boxes']}; first preview {ten['preview_s']:.1f} s",
        _target("CPU time, one member", plain["cpu_s"] / table["ours 1"]["cpu_s"], TARGETS["one"]),
        _target("CPU time, ten members", 10 * plain["cpu_s"] / ten["cpu_s"], TARGETS["ten"]),
        f"  wall time: one member {plain['wall_s'] / table['ours 1']['wall_s']:.1f} times, "
        f"ten {10 * plain['wall_s'] / ten['wall_s']:.1f} times",
        f"  CPU time, ten HPV and ten RFS networks: {10 * plain_pair['cpu_s'] / table['outcomes']['cpu_s']:.1f} times",
    ]
    return "\n".join(lines)


def _whole_text(table: dict) -> str:
    lines = ["\nA whole case by the command line, CT of 512 x 512 x 300 voxels, ten full-width members, all features"]
    for name, row in table.items():
        seconds = ", ".join(f"{step} {value:.1f}" for step, value in row["timings_s"].items())
        lines.append(f"{name}: {row['wall_s']:.1f} s, {row['cpu_s']:.1f} CPU s, {row['peak_gb']:.2f} GB ({seconds})")
        lines += [f"  {text}" for text in row["warnings"]]
    return "\n".join(lines)


def _target(what: str, value: float, target: float) -> str:
    return f"  {what}: {value:.4g} (target {target:g}: {'met' if value >= target else 'MISSED'})"


def _growth(folder: Path) -> dict:
    """Axis -> [(value, measured), ...]."""
    cost.make_case(folder)

    def jobs(template: str, values) -> list:
        return [(value, cost.job(template.format(value), folder)) for value in values]

    return {
        "ROI length, mm (one member)": jobs("length {}", cost.LENGTHS_MM),
        "members": jobs("ours {}", cost.MEMBER_COUNTS),
        "lesions (ten members)": jobs("lesions {}", cost.LESION_COUNTS),
        "memory for a pass, GB (one member)": jobs("limit {}", cost.LIMITS_GB),
    }


def _growth_text(growth: dict) -> str:
    lines = ["\nGrowth: wall s, CPU s, peak GB"]
    for axis, rows in growth.items():
        lines.append(axis)
        lines += [f"  {v:>6}{m['wall_s']:10.1f}{m['cpu_s']:10.1f}{m['peak_gb']:8.2f}" for v, m in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
