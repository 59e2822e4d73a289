"""Ten full-width members on a graphics card, end to end, against the plain way on the same card. Resumable.

    python -P bench/inference_card.py --run runs/card [--device cuda] [--json F]
    python -P bench/inference_card.py --run runs/card-tiny --device cpu --tiny      (a trial of the script, no card)

A case begins with a phantom's CT and PET in memory and ends with the masks on the CT's grid. *Ours* is what `mmpl
predict` does in between, with what a pass may take by default and with 16 GB, which hold the region in one pass: the
first case of the process, then repeated ones. The *plain way* has the same steps around MONAI's
sliding_window_inference in fp32 (windows of 128 mm, overlap 0.5, members one after the other), TF32 off and on. Beside
them: a product of two large matrices, as the measure of what the card's matrix units can do, and a case whose passes
are watched, which says where the time goes.

The members' weights are random but for two channels, which carry what the members are shown to the end: what the demo
ensemble's searchers find possible on that phantom. So the later members look where they would, and both ways draw the
same lesions. What is computed does not depend on it.

Made to fit in eight minutes of a card: the plain way is cut off after 100 s and extrapolated. What a run has measured
lies in its folder, by card, and is not measured again.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from inference_card_case import FULL, TINY, Bench, make_bench
from inference_card_parts import PASSES, matrices, ours, plain, profile

from mmpl.errors import InputError, MMPLError
from mmpl.io.output import write_json_atomic
from mmpl.machine import GB, devices
from mmpl.network.backends.pytorch import CPU

TARGETS = {"times": 30.0, "seconds": 1.0}
DEFAULT = "default"


def main() -> int:
    arguments = _arguments()
    try:
        size, device = TINY if arguments.tiny else FULL, _device(arguments.device, arguments.tiny)
        machine = _machine(device)
        print(", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
        bench = make_bench(
            size, device, arguments.run / f"{size.name}_{re.sub(r'[^A-Za-z0-9]+', '-', machine['card'])}"
        )
        table = {"machine": machine, **measure(bench)}
        print(text_of(table))
        write_json_atomic(arguments.json or bench.folder / "card.json", table)
    except MMPLError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N; cpu with --tiny only")
    parser.add_argument("--tiny", action="store_true", help="two channels at 8 mm: does the script work?")
    parser.add_argument("--json", type=Path, help="card.json in the run's folder by default")
    return parser.parse_args()


def _device(asked: str, tiny: bool) -> str:
    if asked == CPU and not tiny:
        raise InputError(
            "ten full-width members in the plain way take an hour on a CPU: give --tiny, or a graphics card"
        )
    device = "cuda:0" if asked == "cuda" else asked
    if device not in [one["id"] for one in devices()]:
        raise InputError(
            f"PyTorch {torch.__version__} finds no graphics card {device!r} here: nothing was measured; "
            "--device cpu --tiny tries the script out without one"
        )
    return device


def _machine(device: str) -> dict:
    card = None if device == CPU else torch.cuda.get_device_properties(device)
    return {
        "device": device,
        "card": next(one["name"] for one in devices() if one["id"] == device),
        "memory_gb": None if card is None else round(card.total_memory / GB, 1),
        "driver": None if card is None else _driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }


def _driver() -> str | None:
    """Linux's driver says so in a file."""
    path = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.\d+(\.\d+)?", path.read_text(encoding="utf-8")) if path.is_file() else None
    return found and found[0]


def measure(bench: Bench) -> dict:
    """All figures; those of an earlier run in the same folder are read."""

    def part(name: str, work: Callable[[], dict]) -> dict:
        path = bench.folder / f"{name.replace(' ', '_')}.json"
        if not path.is_file():
            print(f"  {name} ...", file=sys.stderr, flush=True)
            write_json_atomic(path, work())
        return json.loads(path.read_text(encoding="utf-8"))

    limits = {DEFAULT if gb is None else f"{gb:g} GB": gb for gb in bench.size.memory_gb}
    found = {
        "size": bench.size.name,
        "members": bench.size.members,
        "ours": {name: part(f"ours {name}", partial(ours, bench, gb)) for name, gb in limits.items()},
        "matrices": part("matrices", partial(matrices, bench)),
        "profile": {name: part(f"profile {name}", partial(profile, bench, gb)) for name, gb in limits.items()},
        "plain": {
            name: part(f"plain {name}", partial(plain, bench, allow_tf32=allow))
            for name, allow in (("TF32 off", False), ("TF32 on", True))
        },
    }
    return {**found, "derived": {name: _derived(found, name) for name in limits}}


def _derived(found: dict, limit: str) -> dict:
    """What the figures say together."""
    wall, watched, peak = found["ours"][limit]["repeated_s"], found["profile"][limit], found["matrices"]["tflops"]
    tflops = watched["gflop"] / 1e3 / watched["seconds"][PASSES]
    return {
        "times_faster": {name: plain["wall_s"] / wall for name, plain in found["plain"].items()},
        "pass_tflops": tflops,
        "share_of_matrix_peak": tflops / peak,
        "case_share_of_matrix_peak": watched["gflop"] / 1e3 / wall / peak,
        "voxels_drawn_of_plain": found["ours"][limit]["drawn"] / max(1, found["plain"]["TF32 off"]["drawn"]),
    }


def text_of(table: dict) -> str:
    lines = [f"\nFrom CT and PET in memory to masks, {table['members']} members ({table['size']})"]
    lines.append(f"{'':32s}{'wall s':>9s}{'first s':>9s}{'preview s':>11s}{'peak GB':>9s}{'predicted s, GB':>18s}")
    for name, row in table["ours"].items():
        predicted = f"{row['predicted_s']:.2f}, {row['predicted_gb']:.2f}"
        lines.append(
            f"{'ours, ' + name:32s}{row['repeated_s']:9.2f}{row['first_s']:9.2f}{row['preview_s']:11.2f}"
            f"{row['peak_gb']:9.2f}{predicted:>18s}"
        )
    for name, row in table["plain"].items():
        measured = row["members_measured"]
        cut = "" if measured == table["members"] else f"  extrapolated from {measured} members"
        lines.append(f"{'plain fp32, ' + name:32s}{row['wall_s']:9.2f}{'':20s}{row['peak_gb']:9.2f}{cut}")
    lines.append(f"matrices: {table['matrices']['tflops']:.4g} TFLOP/s in {table['matrices']['precision']}")
    for name, row in table["derived"].items():
        lines += ["", *_text_of_one(name, table["ours"][name], table["profile"][name], row)]
    return "\n".join(lines)


def _text_of_one(name: str, row: dict, watched: dict, derived: dict) -> list[str]:
    return [
        f"ours, {name}: {row['backend']}; slabs {row['regions']}; boxes {row['boxes']}; {row['passes']} passes",
        *(f"  notice: {text}" for text in row["notices"]),
        *(
            f"  {times:.3g} times faster than plain, {tf32} (target {TARGETS['times']:g}: "
            f"{'met' if times >= TARGETS['times'] else 'MISSED'})"
            for tf32, times in derived["times_faster"].items()
        ),
        f"  {row['repeated_s']:.3g} s (target {TARGETS['seconds']:g} at most: "
        f"{'met' if row['repeated_s'] <= TARGETS['seconds'] else 'MISSED'})",
        f"  within passes {derived['pass_tflops']:.4g} TFLOP/s, {derived['share_of_matrix_peak']:.2%} of what the "
        f"matrices reach; over the whole case {derived['case_share_of_matrix_peak']:.2%}",
        f"  mask voxels, of the plain way's: {derived['voxels_drawn_of_plain']:.4f}",
        f"  where {watched['wall_s']:.3g} s go:",
        *(f"    {part:32s}{s:9.3f} s{s / watched['wall_s']:7.1%}" for part, s in watched["seconds"].items()),
    ]


if __name__ == "__main__":
    sys.exit(main())
