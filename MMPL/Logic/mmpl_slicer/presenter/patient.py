"""The clinical form: values on record, and values that are tried instead."""

from __future__ import annotations

from collections.abc import Callable

from mmpl.errors import MMPLError
from mmpl.io.ehr import read_ehr
from mmpl_slicer.case_record import CaseData
from mmpl_slicer.patient_form import checked_value, normal_values
from mmpl_slicer.presenter.desk import VALUE, Desk
from mmpl_slicer.presenter.measuring import Measuring


class Patient:
    """Changes the record or what is tried, and has the results follow."""

    def __init__(self, desk: Desk, measuring: Measuring):
        self.desk, self.measuring = desk, measuring

    def set(self, name: str, value: object) -> None:
        """Try a value, None for Unknown; the record keeps its own until :meth:`keep`."""
        try:
            value = checked_value(name, value)
        except MMPLError as problem:
            self.desk.say(problem, VALUE)
            return

        def change(data: CaseData) -> None:
            data.what_if = {key: one for key, one in data.what_if.items() if key != name}
            if value != normal_values(data.clinical)[name]:
                data.what_if[name] = value

        self._change(change)

    def reset(self) -> None:
        """Take every tried value back."""

        def change(data: CaseData) -> None:
            data.what_if, data.hpv_as_known = {}, False

        self._change(change)

    def keep(self) -> None:
        """Make the tried values the record."""

        def change(data: CaseData) -> None:
            data.clinical, data.what_if = normal_values(data.clinical_in_force), {}

        self._change(change)

    def load(self, path: str) -> None:
        """Take the record from a JSON file."""
        try:
            values = normal_values(read_ehr(path))
        except MMPLError as problem:
            self.desk.say(problem, VALUE)
            return

        def change(data: CaseData) -> None:
            data.clinical, data.what_if = values, {}

        self._change(change)

    def set_hpv_as_known(self, on: bool) -> None:
        """Show RFS as if HPV were what the record says."""
        self._change(lambda data: setattr(data, "hpv_as_known", on))

    def _change(self, change: Callable[[CaseData], object]) -> None:
        case = self.desk.case
        case.change(change)
        self.desk.answered(VALUE)
        if case.results is not None or case.asked is not None:
            self.measuring.follow()
