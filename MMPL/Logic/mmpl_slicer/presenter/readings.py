"""What a front end may read of the presenter, beside its state: nodes, contours and results as they are."""

from __future__ import annotations

from collections.abc import Callable

from mmpl_slicer.contours import Contours
from mmpl_slicer.live import Watch
from mmpl_slicer.presenter.desk import Desk


class Readings:
    """Views on the desk; the presenter is one."""

    desk: Desk

    @property
    def scene(self):
        return self.desk.scene

    @property
    def watch(self) -> Watch:
        return self.desk.watch

    @property
    def ct(self):
        return self.desk.case.ct

    @property
    def pet(self):
        return self.desk.case.pet

    @property
    def segmentation(self):
        return self.desk.case.segmentation

    @property
    def contours(self) -> Contours | None:
        """What is contoured; None when it cannot be read."""
        return self.desk.case.contours

    @property
    def model(self) -> Contours | None:
        """What the model drew last; None before that."""
        return self.desk.case.model

    @property
    def results(self) -> dict | None:
        """``results.json`` of the contours that were measured last."""
        return self.desk.case.results

    @property
    def model_results(self) -> dict | None:
        return self.desk.case.model_results

    @property
    def record(self):
        return self.desk.case.record

    @property
    def data(self):
        """What is remembered of the case beside its nodes."""
        return self.desk.case.data

    @property
    def case_id(self) -> str:
        return self.desk.case.case_id

    @property
    def report(self):
        return self.desk.case.report

    @property
    def running(self) -> str:
        """ "segment", "save" or ""; measuring is no run: it never keeps the user from anything."""
        return self.desk.case.running

    @property
    def is_current(self) -> bool:
        return self.desk.is_current

    @property
    def auto_update(self) -> bool:
        return self.desk.auto_update

    @property
    def message(self) -> str:
        return self.desk.message

    @property
    def bundle_path(self) -> str:
        return self.desk.bundle_path

    @property
    def device(self) -> str:
        return self.desk.device

    @property
    def save_undo(self) -> Callable[[], None]:
        return self.desk.save_undo

    @save_undo.setter
    def save_undo(self, save_undo: Callable[[], None]) -> None:
        self.desk.save_undo = save_undo
