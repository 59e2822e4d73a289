"""The patients' folders and files, beside the tables' rows."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmpl.training.cache_entry import sha256_of
from mmpl.training.layout import TASKS, CohortCase, ct_name, label_name, pt_name, task_folder
from mmpl.training.scan.problems import Problem

NAMED_FILES = 4
GZIP_END = 8  # bytes


@dataclass(frozen=True)
class Files:
    """One patient's images."""

    ct: Path
    pt: Path
    label: Path | None


def patient_folders(folder: Path) -> dict[str, list[Path]]:
    """Folder name -> the folders of that name, in the order of the tasks; names are as on the disk."""
    homes: dict[str, list[Path]] = defaultdict(list)
    for task in TASKS:
        home = task_folder(folder, task)
        if home.is_dir():
            for path in sorted(home.iterdir()):
                if path.is_dir() and not path.name.startswith("."):
                    homes[path.name].append(path)
    return dict(homes)


def name_problems(ids: Iterable[str], homes: Mapping[str, Sequence[Path]], folder: Path) -> list[Problem]:
    """Rows without a folder, folders without a row, and names that differ in case or spaces only."""
    ids = sorted(ids)
    alike = defaultdict(list)
    for name in sorted({*ids, *homes}):
        alike[_key(name)].append(name)
    problems = []
    for patient_id in ids:
        others = [name for name in alike[_key(patient_id)] if name != patient_id]
        if others:
            text = f"the name differs from '{others[0]}' in case or spaces only"
            where = _where(homes.get(others[0]), folder) or "tables"
            problems.append(Problem("ID_DIFFERS", patient_id, where, text, "write it in the same way everywhere"))
        elif patient_id not in homes:
            text = "is in the tables but has no folder in any task folder"
            remedy = "add the images, or remove the row"
            problems.append(Problem("ROW_WITHOUT_FOLDER", patient_id, str(folder), text, remedy))
    rows = {_key(patient_id) for patient_id in ids}
    for name in sorted(homes):
        if _key(name) not in rows:
            where = _where(homes[name], folder)
            text = "has a folder but is in no table, and is left out"
            problems.append(Problem("FOLDER_WITHOUT_ROW", name, where, text, "add a row, or remove the folder"))
    return problems


def _key(name: str) -> str:
    return "".join(name.casefold().split())


def _where(paths: Sequence[Path] | None, folder: Path) -> str:
    return paths[0].relative_to(folder).as_posix() if paths else ""


def find_files(patient_id: str, homes: Sequence[Path], folder: Path) -> tuple[Files | None, list[Problem]]:
    """The images of the first folder that holds both, and the first label map."""
    ct, pt, label = ct_name(patient_id), pt_name(patient_id), label_name(patient_id)
    labels = [home / label for home in homes if (home / label).is_file()]
    home = next((h for h in homes if (h / ct).is_file() and (h / pt).is_file()), None)
    if home is None:
        return None, [_missing_images(patient_id, homes, folder, bool(labels))]
    if labels:
        return Files(home / ct, home / pt, labels[0]), []
    text, remedy = "has no label map", "nothing to do: it takes part in HPV and RFS only"
    note = Problem("LABEL_MISSING", patient_id, home.relative_to(folder).as_posix(), text, remedy)
    return Files(home / ct, home / pt, None), [note]


def _missing_images(patient_id: str, homes: Sequence[Path], folder: Path, has_label: bool) -> Problem:
    wanted = (ct_name(patient_id), pt_name(patient_id))
    best = max(homes, key=lambda home: sum((home / name).is_file() for name in wanted))
    lacking = [name for name in wanted if not (best / name).is_file()]
    there = sorted(p.name for p in best.iterdir() if not p.name.startswith("."))
    holds = ", ".join(there[:NAMED_FILES]) + (" and more" if len(there) > NAMED_FILES else "")
    text = f"no {' and no '.join(lacking)}; the folder holds {holds or 'nothing'}"
    where = best.relative_to(folder).as_posix()
    if has_label and len(lacking) == len(wanted):
        return Problem("LABEL_WITHOUT_IMAGE", patient_id, where, f"has a label map but {text}", "add the images")
    return Problem("IMAGE_MISSING", patient_id, where, text, "add it under that name, or remove the row")


def copies(cases: Sequence[CohortCase], folder: Path) -> list[Problem]:
    """The same images under two names, however they were compressed."""
    cts, pets = (_first_copies(paths) for paths in ([c.ct_path for c in cases], [c.pt_path for c in cases]))
    owner = {path: case for case in cases for path in (case.ct_path, case.pt_path)}
    first: dict[tuple[Path, Path], CohortCase] = {}
    problems = []
    for case in cases:
        ct, pet = cts[case.ct_path], pets[case.pt_path]
        original = first.setdefault((ct, pet), case)
        if original is not case:
            text = f"has the same CT and PET as {original.patient_id}"
            remedy = "keep one: a patient under two names lands on both sides of a fold"
            problems.append(Problem("IMAGES_TWICE", case.patient_id, _home(case, folder), text, remedy))
            continue
        for same, mine, code, kind, other in (
            (ct, case.ct_path, "CT_TWICE", "CT", "PET"),
            (pet, case.pt_path, "PET_TWICE", "PET", "CT"),
        ):
            if same != mine:
                text = f"has the same {kind} as {owner[same].patient_id}, with another {other}"
                remedy = "check whether both are one patient; keep one then"
                problems.append(Problem(code, case.patient_id, _home(case, folder), text, remedy))
    return sorted(problems, key=lambda p: p.patient_id)


def _home(case: CohortCase, folder: Path) -> str:
    return case.ct_path.parent.relative_to(folder).as_posix()


def _first_copies(paths: Sequence[Path]) -> dict[Path, Path]:
    """Each file -> the first of the same content.

    Files are read where their sizes are the same, or what gzip says at their ends: copies that were compressed apart
    differ in all other bytes. A file that ends otherwise (in parts, or with bytes after its end) is found by its size.
    """
    stored = _first_alike(paths, lambda path: path.stat().st_size, sha256_of)
    unpacked = _first_alike(list(dict.fromkeys(stored.values())), _end, _unpacked_sha256)
    return {path: unpacked[first] for path, first in stored.items()}


def _first_alike(
    paths: Sequence[Path], likeness: Callable[[Path], Hashable], content: Callable[[Path], str]
) -> dict[Path, Path]:
    """The same by one kind of content, which is read of files with the same likeness only."""
    groups = defaultdict(list)
    for path in paths:
        groups[likeness(path)].append(path)
    found = {}
    for group in groups.values():
        first: dict[str, Path] = {}
        for path in group:
            found[path] = first.setdefault(content(path), path) if len(group) > 1 else path
    return found


def _end(path: Path) -> bytes:
    """CRC-32 and length of what is compressed in a gzip file (RFC 1952)."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - GZIP_END, 0))
        return file.read()


def _unpacked_sha256(path: Path) -> str:
    try:
        with gzip.open(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, EOFError, zlib.error):  # damaged, which the thorough scan tells
        return sha256_of(path)
