"""Damaged DICOM: what the reader makes of thousands of mutated PET/CT pairs, as a table.

Small phantoms of known SUV and HU are written as DICOM by ``mmpl.phantom.dicom`` (``dicom_ways.py``), one thing or two
in their files is spoilt (``dicom_mutations.py``), and both are read by ``mmpl.io.case.read_case`` in a process of its
own. A case ends as

- refused: one sentence, without the patient's name, number or UIDs;
- exact: PET within 0.1 % of the true SUV, CT within 0.51 HU, every voxel where it belongs;
- warned: not exact (or the PET in unknown units), and a notice that the sound pair does not have says so;
- unknowable: not exact and nothing said, because the damage left a valid file of other values: a byte of a header
  that became another valid value, a byte of compressed pixels, a last CT slice that is gone without a trace;
- FAILED: anything else: another exception, a dead or hanging process, a wrong value or place without a word.

Values are replaced by what cannot be (empty, text, NaN, 1e30, a thousandfold, ...): another weight of a real person
cannot be noticed by anybody, nor can a changed byte of uncompressed pixels; neither is tried.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pydicom
from dicom_mutations import MUTATIONS, WAYS_OF, Target
from dicom_ways import PERSON, WAYS, a_pair, write_base

from mmpl.case import PET_SUV, Case
from mmpl.errors import MMPLError
from mmpl.io.case import read_case

TOLERANCE, HU_TOLERANCE, PLACE_MM = 0.001, 0.51, 0.01
LIMIT_S = 20.0
OUTCOMES = ("refused", "exact", "warned", "unknowable", "FAILED")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2400, help="mutated pairs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="run this case alone and show what happened")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch) / "base"
        write_base(base)
        if arguments.only is not None:
            print(Judge(base, Path(scratch) / "only").run(arguments.seed, arguments.only))
            return 0
        results = run_all(base, Path(scratch), arguments.seed, arguments.count, arguments.workers)
    failed = report(results)
    slowest = max(results, key=lambda one: one[-1])
    print(f"\n{len(results)} mutated pairs, seed {arguments.seed}, {failed} failed; ", end="")
    print(f"slowest: case {slowest[0]}, {slowest[-1]:.1f} s")
    return int(failed > 0)


# --- the judgement -------------------------------------------------------------------------------------


class Judge:
    """Spoils and reads one case after another, in its own process."""

    def __init__(self, base: Path, scratch: Path):
        self.base, self.scratch = base, scratch
        self.ct, self.pet = a_pair()
        self.usual: dict[str, set[str]] = {}

    def run(self, seed: int, case: int) -> tuple[str, str, str]:
        """Kind of mutation, outcome, what happened."""
        rng = np.random.default_rng([seed, case])
        shares = np.array([share for _, share in MUTATIONS.values()])
        kind = list(MUTATIONS)[int(rng.choice(len(MUTATIONS), p=shares / shares.sum()))]
        ways = WAYS_OF.get(kind, tuple(WAYS))
        way = ways[int(rng.integers(len(ways)))]
        folder = self.scratch / f"case{case}"
        shutil.copytree(self.base / way, folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    what = MUTATIONS[kind][0](Target(folder, way, rng))
                except UNWRITABLE as error:
                    return kind, "not made", f"{way}: {type(error).__name__}: {str(error).splitlines()[0]}"
            outcome, said = self._judge(folder, way, kind, what)
            return kind, outcome, f"{way}: {what}: {said}"
        finally:
            shutil.rmtree(folder)

    def _judge(self, folder: Path, way: str, kind: str, what: str) -> tuple[str, str]:
        try:
            case = read_case("F", folder / "ct", folder / "pt")
        except MMPLError as error:
            return self._message(str(error), folder)
        except Exception as error:  # what must not happen is what is looked for
            return "FAILED", f"{type(error).__name__}: {error}"
        new = {n.text for n in case.notices} - self._usual(way)
        for text in new:
            if self._message(text, folder)[0] == "FAILED":
                return "FAILED", f"notice: {text}"
        difference = self._difference(case)
        if not difference:
            return "exact", " ".join(new)
        if new:
            return "warned", f"{difference}; {' '.join(new)}"
        return ("unknowable" if self._unknowable(folder, way, kind, what) else "FAILED"), difference

    def _message(self, text: str, folder: Path) -> tuple[str, str]:
        if "\n" in text or any(secret in text for secret in secrets(self.base)):
            return "FAILED", f"message: {text!r}"
        return "refused", text.replace(str(folder), "")

    def _usual(self, way: str) -> set[str]:
        if way not in self.usual:
            case = read_case("F", self.base / way / "ct", self.base / way / "pt")
            assert not self._difference(case), (way, self._difference(case))
            self.usual[way] = {n.text for n in case.notices}
        return self.usual[way]

    def _difference(self, case: Case) -> str:
        """What is not as it was written; "" when all is."""
        found = []
        for name, volume, truth in (("CT", case.ct, self.ct), ("PET", case.pet, self.pet)):
            if not volume.geometry.is_close(truth.geometry, PLACE_MM):
                found.append(f"{name} grid {volume.geometry.size}")
        if found:
            return ", ".join(found)
        if np.abs(case.ct.array - self.ct.array).max() > HU_TOLERANCE:
            found.append("HU")
        if case.pet_units != PET_SUV:
            found.append(f"PET in {case.pet_units} units")
        else:
            allowed = TOLERANCE * self.pet.array + self.pet.array.max() / 65534 * 1.01
            off = np.abs(case.pet.array - self.pet.array) > allowed
            if off.any():
                ratio = case.pet.array[self.pet.array > 1] / self.pet.array[self.pet.array > 1]
                found.append(f"SUV times {ratio.min():.4g} to {ratio.max():.4g}")
        return ", ".join(found)

    def _unknowable(self, folder: Path, way: str, kind: str, what: str) -> bool:
        if kind == "bytes of compressed pixels":
            return True
        if kind == "slices removed" and what.startswith("ct"):
            return True  # nothing of a CT says how many slices it has; gaps are refused
        return kind == "bytes of a header" and self._valid(folder / what[:2].lower() / what, way)

    def _valid(self, path: Path, way: str) -> bool:
        """Whether every changed element of a header has a value of its kind."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                now = pydicom.dcmread(path, stop_before_pixels=True)
                str(now)
            except Exception:
                return False
        then = pydicom.dcmread(self.base / way / path.parent.name / path.name, stop_before_pixels=True)
        return [e.tag for e in now] == [e.tag for e in then]


UNWRITABLE = (ValueError, TypeError, AttributeError, KeyError, NotImplementedError, OSError, IndexError, OverflowError)
_SECRETS: set[str] = set()


def secrets(base: Path) -> set[str]:
    """Texts that must not be in a message: of the person and every UID."""
    if not _SECRETS:
        _SECRETS.update({PERSON.name, PERSON.patient_id})
        for path in base.rglob("*.dcm"):
            ds = pydicom.dcmread(path, stop_before_pixels=True)
            _SECRETS.update(str(ds[k].value) for k in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"))
    return _SECRETS


# --- the run -------------------------------------------------------------------------------------------


def work(connection, base: Path, scratch: Path) -> None:
    judge = Judge(base, scratch)
    while True:
        try:
            seed, case = connection.recv()
        except EOFError:
            return
        connection.send(judge.run(seed, case))


class Child:
    """A process that judges case after case; a dead or hanging one is a failure, and replaced."""

    def __init__(self, base: Path, scratch: Path):
        self.base, self.scratch = base, scratch
        self.start()

    def start(self) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self.process = context.Process(target=work, args=(theirs, self.base, self.scratch), daemon=True)
        self.process.start()
        theirs.close()
        self.fresh = True

    def run(self, seed: int, case: int) -> tuple[str, str, str]:
        self.connection.send((seed, case))
        try:
            if self.connection.poll(LIMIT_S + (60.0 if self.fresh else 0.0)):
                self.fresh = False
                return self.connection.recv()
            ended = f"no answer within {LIMIT_S:g} s"
        except EOFError:
            ended = "the process died"
        self.process.kill()
        self.process.join()
        self.start()
        return "?", "FAILED", ended


def run_all(base: Path, scratch: Path, seed: int, count: int, workers: int) -> list[tuple[int, str, str, str, float]]:
    cases, results, lock = iter(range(count)), [], threading.Lock()
    begun = time.monotonic()

    def feed(number: int) -> None:
        place = scratch / f"worker{number}"
        place.mkdir()
        child = Child(base, place)
        while True:
            with lock:
                case = next(cases, None)
            if case is None:
                child.connection.close()
                return
            began = time.monotonic()
            found = child.run(seed, case)
            with lock:
                results.append((case, *found, time.monotonic() - began))
                if len(results) % 300 == 0:
                    print(f"{len(results)} of {count}, {time.monotonic() - begun:.0f} s", file=sys.stderr)

    threads = [threading.Thread(target=feed, args=(n,)) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results)


def report(results: list[tuple[int, str, str, str, float]]) -> int:
    """The table; how many failed."""
    table: dict[str, Counter] = defaultdict(Counter)
    for _, kind, outcome, _, _ in results:
        table[kind][outcome] += 1
    columns = [*OUTCOMES, *(["not made"] if any("not made" in c for c in table.values()) else [])]
    print(f"| what was spoilt | count | {' | '.join(columns)} |\n|---|{'---|' * (len(columns) + 1)}")
    for kind in (*MUTATIONS, "?"):
        if kind in table:
            counts = table[kind]
            print(f"| {kind} | {counts.total()} | {' | '.join(str(counts[c]) for c in columns)} |")
    total = sum(table.values(), Counter())
    print(f"| all | {total.total()} | {' | '.join(str(total[c]) for c in columns)} |")
    for case, kind, outcome, said, _ in results:
        if outcome in ("FAILED", "not made"):
            print(f"case {case}, {kind}, {outcome}: {said}", file=sys.stderr)
    return total["FAILED"]


if __name__ == "__main__":
    sys.exit(main())
