"""The port to the worker: what is opened, in which order things are asked, who is told what went wrong."""

from __future__ import annotations

import errno
import io
from functools import partial
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

import numpy as np
import pytest

from mmpl.errors import InputError
from mmpl.geometry import Geometry
from mmpl_slicer import engine_session
from mmpl_slicer.contours import contours_of_label_map
from mmpl_slicer.engine_session import EngineSession
from mmpl_slicer.handing_over import CaseSource, read_contours_file, write_in_parts
from mmpl_slicer.volumes import node_from_volume
from mmpl_slicer.worker_client import CRASHED, READY, STOPPED, Callbacks, Opened

BUNDLE = ("bundle", "cpu", "ab12")


class Client:
    """Stands for the process at the other end of the lines: keeps what is asked, answers when told to."""

    def __init__(self, folder: Path):
        self.folder, self.state, self.missing, self.log = folder, STOPPED, (), ""
        self.problem_kind = self.problem = ""
        self.opened = Opened()
        self.asked: list[tuple[str, Callbacks, dict]] = []
        self.open: list[Callbacks] = []
        self.cancelled: list[Callbacks] = []

    def start(self):
        self.state = READY

    def stop(self):
        self.state, self.opened = STOPPED, Opened()
        self.open.clear()

    def poll(self):
        pass

    def cancel(self):
        self.cancelled = list(self.open)

    def abort(self):
        waiting, self.open = self.open, []
        self.state, self.opened = STOPPED, Opened()
        for callbacks in waiting:
            callbacks.withdrawn()

    @property
    def is_cancelling(self):
        return any(one is other for one in self.cancelled for other in self.open)

    @property
    def is_busy(self):
        return bool(self.open)

    def ask(self, do, callbacks, **arguments):
        self.asked.append((do, callbacks, arguments))
        self.open.append(callbacks)

    @property
    def order(self) -> list[str]:
        return [do for do, _, _ in self.asked]

    def last(self, do: str) -> tuple[Callbacks, dict]:
        callbacks, arguments = next((c, a) for one, c, a in reversed(self.asked) if one == do)
        return callbacks, arguments

    def end(self, do: str, event: str = "result", *what):
        callbacks, _ = self.last(do)
        self.open.remove(callbacks)
        told = {"sha256": BUNDLE[2]} if do == "open_bundle" else {}
        getattr(callbacks, event)(*(what or (told,) if event == "result" else what))


@pytest.fixture
def client(tmp_path):
    return Client(tmp_path)


@pytest.fixture
def said():
    return []


@pytest.fixture
def session(client, said):
    return EngineSession(lambda: client, on_failure=lambda kind, text: said.append((kind, text)))


@pytest.fixture
def source(scene, tiny_patient):
    ct, pet = (node_from_volume(getattr(tiny_patient, n), scene, n) for n in ("ct", "pet"))
    return CaseSource("A", ct, pet)


class Heard:
    def __init__(self):
        self.told = []

    @property
    def callbacks(self):
        return Callbacks(
            result=lambda told: self.told.append("result"),
            error=lambda kind, text: self.told.append((kind, text)),
            withdrawn=lambda: self.told.append("withdrawn"),
        )


def hand_over(session):
    while session._upload is not None:
        session.turn()


def opened(session, client, source, heard, do="segment", **arguments):
    session.request(do, heard.callbacks, BUNDLE, source, **arguments)
    client.end("open_bundle")
    hand_over(session)
    client.end("open_case")


def test_bundle_and_case_are_opened_before_anything_is_asked(session, client, source):
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source, preview=True)
    assert client.order == ["hello", "open_bundle"]
    client.end("open_bundle")
    hand_over(session)
    assert client.order == ["hello", "open_bundle", "open_case"]
    client.end("open_case")
    assert client.order[-1] == "segment"
    assert client.last("segment")[1] == {"preview": True}
    client.end("segment")
    assert heard.told == ["result"]


def test_what_is_open_is_not_opened_again(session, client, source):
    opened(session, client, source, Heard())
    session.request("measure", Callbacks(), BUNDLE, source)
    assert client.order[-1] == "measure"
    assert client.order.count("open_case") == 1


def test_images_that_have_changed_are_handed_over_again(session, client, source):
    opened(session, client, source, Heard())
    source.pet.GetImageData().Modified()
    session.request("measure", Callbacks(), BUNDLE, source)
    hand_over(session)
    assert client.order.count("open_case") == 2


def test_another_bundle_opens_bundle_and_case_anew(session, client, source):
    opened(session, client, source, Heard())
    session.request("measure", Callbacks(), ("other", "cpu", ""), source)
    assert client.last("open_bundle")[1]["path"] == str(Path("other").absolute())
    client.end("open_bundle")
    hand_over(session)
    assert client.order[-1] == "open_case"


def test_a_bundle_that_was_rewritten_where_it_lies_is_opened_anew(session, client, source):
    opened(session, client, source, Heard())
    session.request("measure", Callbacks(), (*BUNDLE[:2], "cd34"), source)
    assert client.order[-1] == "open_bundle"


def test_a_bundle_that_is_another_than_was_looked_at_is_not_used(session, client, source, said):
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source)
    client.end("open_bundle", "result", {"sha256": "cd34"})
    text = "The model's files have changed since it was looked at: press Segment or Update now."
    assert heard.told == [("input", text)]
    assert said == [("input", text)]
    session.request("segment", heard.callbacks, (*BUNDLE[:2], "cd34"), source)
    client.end("open_bundle", "result", {"sha256": "cd34"})
    hand_over(session)
    assert client.order[-1] == "open_case"


def test_images_are_handed_over_as_they_are_and_removed(session, client, source, tiny_patient):
    session.request("segment", Callbacks(), BUNDLE, source)
    client.end("open_bundle")
    hand_over(session)
    _, told = client.last("open_case")
    file = client.folder / told["ct"]["file"]
    np.testing.assert_array_equal(np.load(file), tiny_patient.ct.array)
    assert Geometry.from_dict(told["ct"]["geometry"]).is_close(tiny_patient.ct.geometry, 1e-6)
    client.end("open_case")
    assert not file.exists()


def test_a_bundle_that_cannot_be_opened_is_told_once_and_in_its_own_words(session, client, source, said):
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source)
    client.end("open_bundle", "error", "input", "it is damaged")
    assert heard.told == [("input", "it is damaged")]
    assert said == [("input", "it is damaged")]
    assert "segment" not in client.order
    session.request("segment", Callbacks(), BUNDLE, source)  # it may be mended meanwhile
    assert client.order.count("open_bundle") == 2


def test_a_case_that_cannot_be_opened_is_told_in_its_own_words(session, client, source):
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source)
    client.end("open_bundle")
    hand_over(session)
    client.end("open_case", "error", "input", "voxels are not finite")
    assert heard.told == [("input", "voxels are not finite")]
    assert "segment" not in client.order


def test_the_failure_of_one_case_is_not_told_to_another(session, client, source, scene, tiny_patient):
    first, second = Heard(), Heard()
    session.request("segment", first.callbacks, BUNDLE, source)
    client.end("open_bundle")
    hand_over(session)
    session.cancel()
    other = CaseSource("B", source.ct, source.pet)
    session.request("segment", second.callbacks, BUNDLE, other)
    client.end("open_case", "error", "input", "of the first")
    assert first.told == ["withdrawn"]
    assert second.told == []
    hand_over(session)
    assert client.last("open_case")[1]["case_id"] == "B"
    client.end("hello", "withdrawn")
    client.end("open_case")
    session.turn()
    client.end("segment")
    assert second.told == ["result"]


def test_of_measurements_that_wait_only_the_last_is_asked_for(session, client, source):
    first, last = Heard(), Heard()
    session.request("measure", first.callbacks, BUNDLE, source)
    session.request("measure", last.callbacks, BUNDLE, source)
    assert first.told == ["withdrawn"]
    client.end("open_bundle")
    hand_over(session)
    client.end("open_case")
    assert client.order.count("measure") == 1
    client.end("measure")
    assert last.told == ["result"]


def test_a_cancel_while_images_are_handed_over(session, client, source):
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source)
    client.end("open_bundle")
    session.cancel()
    assert heard.told == ["withdrawn"]
    assert not session.is_busy or client.open
    again = Heard()
    session.request("segment", again.callbacks, BUNDLE, source)
    hand_over(session)
    client.end("open_case")
    client.end("hello", "withdrawn")
    session.turn()
    client.end("segment")
    assert again.told == ["result"]


@pytest.mark.parametrize("end", ["cancel", "stop"])
def test_images_that_are_half_handed_over_are_removed(session, client, source, monkeypatch, end):
    monkeypatch.setattr(engine_session, "write_in_parts", partial(write_in_parts, part_bytes=4096))
    session.request("segment", Callbacks(), BUNDLE, source)
    client.end("open_bundle")
    while not list(client.folder.glob("pet-*.npy")):
        next(session._upload)
    getattr(session, end)()
    assert list(client.folder.iterdir()) == []


def test_images_that_do_not_fit_on_the_disk_are_removed(session, client, source, monkeypatch):
    def filled(path, array):
        yield from write_in_parts(path, array[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(engine_session, "write_in_parts", filled)
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source)
    client.end("open_bundle")
    hand_over(session)
    assert heard.told == [("input", "The images cannot be handed to the worker: No space left on device")]
    assert list(client.folder.iterdir()) == []


def test_a_hello_that_was_cancelled_is_said_again(session, client, source):
    session.request("segment", Callbacks(), BUNDLE, source)
    client.end("hello", "withdrawn")
    assert client.order.count("hello") == 2
    client.end("hello", "result", {"devices": [{"id": "cpu", "name": "CPU"}]})
    assert session.devices[0]["id"] == "cpu"


def test_a_worker_that_dies_is_told_once_and_to_all_who_wait(session, client, source, said):
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source)
    client.state, client.problem_kind, client.problem = CRASHED, "crash", "It has stopped."
    session.turn()
    session.turn()
    assert said == [("crash", "It has stopped.")]
    assert heard.told == [("crash", "It has stopped.")]
    assert session.is_down
    client.open.clear()
    session.turn()
    assert not session.is_busy


def test_contours_become_files_of_which_only_the_last_are_kept(session, client, source):
    opened(session, client, source, Heard())
    labels = np.zeros((5, 6, 7), np.uint8)
    labels[1:3, 2:4, 3:5] = 1
    for _ in range(12):
        session.request("measure", Callbacks(), BUNDLE, source, label_map=contours_of_label_map(labels))
    _, told = client.last("measure")
    assert told["label_map"]["start_zyx"] == [1, 2, 3]
    np.testing.assert_array_equal(np.load(client.folder / told["label_map"]["file"]), labels[1:3, 2:4, 3:5])
    assert len(list(client.folder.glob("contours-*.npy"))) == 8


def test_stopping_tells_nobody(session, client, source, said):
    heard = Heard()
    session.request("segment", heard.callbacks, BUNDLE, source)
    session.stop()
    session.turn()
    assert (heard.told, said, session.is_busy) == ([], [], False)


def test_an_array_is_written_in_parts_as_numpy_would(tmp_path):
    for array in (
        np.arange(60, dtype=np.int16).reshape(3, 4, 5),
        np.arange(60, dtype=np.float32).reshape(3, 4, 5)[:, :, ::-1],
        np.zeros((0, 2, 2), np.uint8),
    ):
        parts = sum(1 for _ in write_in_parts(tmp_path / "a.npy", array, part_bytes=30))
        assert parts == len(array)
        expected = io.BytesIO()
        np.save(expected, np.ascontiguousarray(array))
        assert (tmp_path / "a.npy").read_bytes() == expected.getvalue()


def test_contours_of_another_grid_or_no_file_are_refused(tmp_path):
    grid = Geometry((4, 5, 6), (1, 1, 1), (0, 0, 0))
    np.save(tmp_path / "a.npy", np.ones((2, 2, 2), np.uint8))
    assert read_contours_file(tmp_path, {"file": "a.npy", "start_zyx": [4, 3, 2]}, grid).start_zyx == (4, 3, 2)
    with pytest.raises(InputError, match="another grid"):
        read_contours_file(tmp_path, {"file": "a.npy", "start_zyx": [5, 3, 2]}, grid)
    with pytest.raises(InputError, match="cannot be read"):
        read_contours_file(tmp_path, {"file": "absent.npy", "start_zyx": [0, 0, 0]}, grid)


def test_a_worker_that_goes_on_with_what_was_cancelled_is_killed(session, client, source, monkeypatch):
    heard = Heard()
    opened(session, client, source, heard)
    session.cancel()
    session.turn()
    assert heard.told == []  # it may still stop by itself
    monkeypatch.setattr("mmpl_slicer.engine_session.CANCEL_S", 0.0)
    session.turn()
    assert heard.told == ["withdrawn"]
    assert not session.is_running
    assert not session.is_busy
    session.request("segment", heard.callbacks, BUNDLE, source)  # the next one starts it anew
    assert session.is_running


def test_what_was_cancelled_ends_within_two_seconds(session, client, source, monkeypatch):
    now = [100.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], perf_counter=perf_counter)
    monkeypatch.setattr("mmpl_slicer.engine_session.time", clock)
    heard = Heard()
    opened(session, client, source, heard)
    session.cancel()
    for now[0] in (100.0, 101.0):
        session.turn()
        assert heard.told == []
    now[0] = 102.0
    session.turn()
    assert heard.told == ["withdrawn"]


@pytest.mark.parametrize("end", ["stopped", "dead", "killed for a cancel"])
def test_a_worker_that_is_ended_while_it_saves_leaves_nothing_half_written(
    session, client, source, monkeypatch, tmp_path, end
):
    out = tmp_path / "out"
    anothers, its = out / ".out.partial-00000000", out / ".out.partial-12345678"
    anothers.mkdir(parents=True)
    opened(session, client, source, Heard(), "save", out=str(out))
    its.mkdir()
    (its / "mask.nii.gz").touch()
    aside = out / ".out.partial-12345678-old"  # what it was to replace, when it ended at that moment
    aside.mkdir()
    if end == "stopped":
        session.stop()
    elif end == "dead":
        client.end("save", "error", "crash", "it has stopped")
    else:
        session.cancel()
        monkeypatch.setattr("mmpl_slicer.engine_session.CANCEL_S", 0.0)
        session.turn()
    assert sorted(out.iterdir()) == [anothers, aside]


def test_a_worker_that_stops_in_time_is_kept(session, client, source, monkeypatch):
    heard = Heard()
    opened(session, client, source, heard)
    session.cancel()
    client.end("segment", "withdrawn")
    client.end("hello", "withdrawn")
    session.turn()
    monkeypatch.setattr("mmpl_slicer.engine_session.CANCEL_S", 0.0)
    session.turn()
    assert session.is_running


def test_a_request_is_not_sent_to_a_worker_that_may_be_killed(session, client, source, monkeypatch):
    first, again = Heard(), Heard()
    opened(session, client, source, first)
    session.cancel()
    session.request("segment", again.callbacks, BUNDLE, source)
    assert client.order.count("segment") == 1
    monkeypatch.setattr("mmpl_slicer.engine_session.CANCEL_S", 0.0)
    session.turn()
    assert (first.told, again.told) == (["withdrawn"], [])
    client.end("open_bundle")
    hand_over(session)
    client.end("open_case")
    client.end("segment")
    assert again.told == ["result"]


@pytest.fixture
def stuck(session, client, source, monkeypatch):
    """A function that has a request cancelled while its bundle, or its case, is being opened, and says how it ended."""

    def make(at: str) -> Heard:
        heard = Heard()
        session.request("segment", heard.callbacks, BUNDLE, source)
        if at == "open_case":
            client.end("open_bundle")
            hand_over(session)
        assert client.order[-1] == at
        session.cancel()
        session.turn()
        monkeypatch.setattr("mmpl_slicer.engine_session.CANCEL_S", 0.0)
        return heard

    return make


@pytest.mark.parametrize("at", ["open_bundle", "open_case"])
def test_what_is_asked_after_a_cancel_is_asked_of_the_next_worker(session, client, source, stuck, at):
    first, again, measure = stuck(at), Heard(), Heard()
    session.request("segment", again.callbacks, BUNDLE, source)
    session.request("measure", measure.callbacks, BUNDLE, source)
    session.turn()  # kills the worker that goes on with what was cancelled
    assert first.told == ["withdrawn"]
    assert (again.told, measure.told) == ([], [])
    assert session.is_running
    client.end("open_bundle")
    hand_over(session)
    client.end("open_case")
    assert client.order[-2:] == ["segment", "measure"]
    client.end("segment")
    client.end("measure")
    assert (again.told, measure.told) == (["result"], ["result"])
    client.open.clear()  # the greeting
    assert not session.is_busy


def test_what_is_asked_after_a_cancel_is_told_that_no_worker_starts(session, client, source, said, stuck):
    stuck("open_bundle")
    again = Heard()
    session.request("segment", again.callbacks, BUNDLE, source)

    def start():
        client.state, client.problem_kind, client.problem = CRASHED, "crash", "It cannot be started."
        raise InputError(client.problem)

    client.start = start
    session.turn()
    assert again.told == [("crash", "It cannot be started.")]
    assert said == [("crash", "It cannot be started.")]
    assert not session.is_busy


def test_nothing_is_started_for_nobody_after_a_cancel(session, client, source, stuck):
    stuck("open_bundle")
    session.turn()
    assert not session.is_running
    assert not session.is_busy
