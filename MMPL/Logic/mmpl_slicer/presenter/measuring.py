"""Results of the contours as they are: when they are asked for, and where they go."""

from __future__ import annotations

from collections.abc import Iterator

from mmpl.errors import MMPLError
from mmpl_slicer.presenter.case_session import Asked, Basis, CaseSession
from mmpl_slicer.presenter.desk import MEASURING, Desk
from mmpl_slicer.results_nodes import results_in_parts
from mmpl_slicer.worker_client import Callbacks


class Measuring:
    """Asks for measurements and takes results in."""

    def __init__(self, desk: Desk):
        self.desk = desk

    def if_out_of_date(self, *, only_if_running: bool = False, again: bool = False) -> None:
        """Measure, unless the results are of what there is now or will be.

        Parameters
        ----------
        only_if_running : do not start a worker for it
        again : in any case, where it is possible; a worker that has failed is started anew for it
        """
        desk, case = self.desk, self.desk.case
        if case.contours is None or not case.report.usable or desk.card is None or case.run is not None:
            return
        if not again and (desk.engine.is_down or (only_if_running and not desk.engine.is_running)):
            return
        if case.results is None and case.contours.is_empty:
            return
        basis = desk.basis
        if desk.is_current and case.asked is None and not again:
            self._refresh()
        elif again or case.asked is None or case.asked.basis != basis:
            self._ask(basis)

    def _refresh(self) -> None:
        """Have the networks' scores read anew where the lesions have moved away; the next edit takes its place."""
        if not self.desk.case.data.deep_is_current:
            self._ask(self.desk.basis, deep="refresh")

    def follow(self, *, only_if_running: bool = False) -> None:
        """Measure if it is wanted after every change."""
        if self.desk.auto_update:
            self.if_out_of_date(only_if_running=only_if_running)

    def follow_soon(self, case: CaseSession) -> None:
        """Follow at a tick of its own: whoever else waits for the worker's answer is told before anything is asked."""
        self.desk.chores.append(lambda: self.follow() if case is self.desk.case else None)

    def _ask(self, basis: Basis, deep: str | None = None) -> None:
        desk, case = self.desk, self.desk.case
        case.ensure_record()
        asked = case.asked = Asked(basis)
        callbacks = Callbacks(
            result=lambda told: self._measured(case, asked, told),
            error=lambda _kind, text: self._failed(case, asked, text),
            withdrawn=lambda: self._withdrawn(case, asked),
        )
        try:
            desk.request(
                "measure",
                callbacks,
                label_map=case.contours,
                left_out=case.contours.left_out,
                clinical=case.data.clinical_in_force,
                hpv_as_known=case.data.hpv_as_known,
                deep=deep,
            )
        except MMPLError as problem:
            self._failed(case, asked, problem)

    def _measured(self, case: CaseSession, asked: Asked, told: dict) -> None:
        if case is not self.desk.case:
            return
        self._is_over(case, asked)
        self.take(told, asked.basis)
        if self.desk.is_current and case.run is None:
            self._refresh()

    def _failed(self, case: CaseSession, asked: Asked, text: str | Exception) -> None:
        self._is_over(case, asked)
        if case is self.desk.case:
            self.desk.say(text, MEASURING)

    def _withdrawn(self, case: CaseSession, asked: Asked) -> None:
        """Cancelled with a run; unless a later measurement has taken its place, the numbers still want one."""
        if case.asked is asked:
            case.asked = None
            self.follow_soon(case)

    def _is_over(self, case: CaseSession, asked: Asked) -> None:
        if case.asked is asked:
            case.asked = None

    def take(self, told: dict, basis: Basis) -> None:
        """Results of the chosen case, as the worker told them, go into the panel and the scene."""
        desk, case = self.desk, self.desk.case
        case.results, case.measured, case.kept = told["results"], basis, ""
        desk.answered(MEASURING)
        record = case.ensure_record()
        record.data.measured = basis.fingerprint
        record.data.deep_is_current, record.data.deep_is_new = told["deep_is_current"], not told["deep_is_kept"]
        record.save()
        cohort = desk.card.cohort_survival if desk.card else None
        self._write(results_in_parts(desk.scene, case.results, self._before(basis), cohort))

    def _before(self, basis: Basis) -> dict | None:
        """Results of the model's own contours, where nothing but the correction sets them apart."""
        case = self.desk.case
        alike = case.data.model_basis == basis.but_for_contours
        return case.model_results if alike and case.is_from_model and not case.is_as_drawn else None

    def _write(self, parts: Iterator) -> None:
        """Results into the scene: the document that they come back from at once, the rest at the next ticks."""

        def write_one() -> None:
            with self.desk.watch.paused():
                if next(parts, None) is not None:
                    self.desk.chores.appendleft(write_one)

        with self.desk.watch.paused():
            next(parts)
        self.desk.chores.append(write_one)
