"""What a large cohort costs in batch: measured on a few phantoms, then multiplied.

    python -P bench/batch.py [--cases 12] [--workers 2] [--bundle B] [--seed 41] [--of 100000] [--json FILE]

Phantoms are written to a temporary folder and run by ``mmpl batch``'s own function. Measured are the seconds that a
worker is busy with a case, the bytes that a case leaves, the seconds that the same command takes to see that all is
done, and what handing out a task costs the process that does it, which bounds how many workers it can keep busy.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import platform
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mmpl.batch import run_batch
from mmpl.bundle.reader import default_bundle_path, open_bundle
from mmpl.cluster import open_pool
from mmpl.ensemble import Inference
from mmpl.phantom import write_cohort
from mmpl.progress import silent

HOUR, GB = 3600.0, 1e9
EMPTY_TASKS = 1000


@dataclass(frozen=True)
class Measured:
    """Of a batch on this machine.

    Attributes
    ----------
    cases, workers : of the batch that was run
    wall_s : of the whole batch, workers' start and first use of the models included
    case_s : mean seconds that a worker was busy with a case
    case_bytes : mean size of what a case leaves
    seen_s : seconds a finished case that the same command takes when all is done
    task_s : seconds that handing out one task and taking its result costs
    """

    cases: int
    workers: int
    wall_s: float
    case_s: float
    case_bytes: float
    seen_s: float
    task_s: float

    @property
    def most_workers(self) -> int:
        """That one process can keep busy."""
        return int(self.case_s / self.task_s)

    def worker_hours(self, cases: int) -> float:
        return cases * self.case_s / HOUR


def main() -> int:
    arguments = _arguments()
    bundle = open_bundle(arguments.bundle or default_bundle_path())
    with tempfile.TemporaryDirectory(prefix="mmpl-bench-") as folder:
        home = Path(folder)
        write_cohort(home / "cohort", arguments.cases, arguments.seed, workers=arguments.workers)
        measured = measure(home, bundle.path, arguments.cases, arguments.workers)
    print(report(measured, f"{bundle.info.name} {bundle.info.version}", arguments.of))
    if arguments.json:
        arguments.json.write_text(json.dumps(asdict(measured), indent=1), encoding="utf-8")
    return 0


def measure(home: Path, bundle: Path, cases: int, workers: int) -> Measured:
    def batch() -> tuple[float, list[float]]:
        started = time.perf_counter()
        end = run_batch(
            home / "cohort",
            bundle,
            home / "out",
            inference=Inference(),
            site="oropharynx",
            workers=workers,
        )
        if end.failed:
            raise SystemExit(f"cases failed: {', '.join(end.failed)}")
        return time.perf_counter() - started, [case.seconds for case in end.cases]

    wall_s, seconds = batch()
    size = sum(path.stat().st_size for path in (home / "out").rglob("*") if path.is_file())
    again_s, _ = batch()
    return Measured(
        cases=cases,
        workers=workers,
        wall_s=wall_s,
        case_s=sum(seconds) / cases,
        case_bytes=size / cases,
        seen_s=again_s / cases,
        task_s=seconds_a_task(workers),
    )


def seconds_a_task(workers: int) -> float:
    """Of tasks that do nothing, spread over processes as cases are."""
    with open_pool(workers=max(2, workers)) as pool:
        pool.each(operator.neg, range(50), progress=silent, step="warming up")
        started = time.perf_counter()
        pool.each(operator.neg, range(EMPTY_TASKS), progress=silent, step="tasks")
        return (time.perf_counter() - started) / EMPTY_TASKS


def report(measured: Measured, bundle: str, cases: int) -> str:
    hours = measured.worker_hours(cases)
    machine = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    lines = [
        f"{machine}; {bundle}",
        f"{measured.cases} phantoms, {measured.workers} workers: {measured.wall_s:.1f} s, start included",
        f"a case keeps a worker busy for {measured.case_s:.2f} s and leaves {measured.case_bytes / 1e6:.2f} MB",
        f"seeing that a case is done: {1000 * measured.seen_s:.1f} ms; "
        f"handing out a task: {1000 * measured.task_s:.2f} ms",
        f"{cases:,} cases of this kind, multiplied:",
        f"  {hours:,.0f} hours of one worker",
        *(f"  {hours / n:,.1f} hours on {n} workers" for n in (10, 100, 1000) if n <= measured.most_workers),
        f"  one process keeps {measured.most_workers:,} workers busy",
        f"  {cases * measured.case_bytes / GB:,.0f} GB of results",
        f"  {cases * measured.seen_s / 60:,.1f} minutes to see that all is done",
    ]
    return "\n".join(lines)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bundle", type=Path, help="default: the demo bundle")
    parser.add_argument("--seed", type=int, default=41)
    parser.add_argument("--of", type=int, default=100_000, help="cases to multiply to")
    parser.add_argument("--json", type=Path, help="write what was measured")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
