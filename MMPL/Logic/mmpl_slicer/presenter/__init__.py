"""The panel without its widgets: what the user does comes in as calls, what is to be seen goes out as a PanelState.

:class:`Presenter` is what a front end talks to. Each section of the panel is a small class beside it (inputs,
segmenting, contours, patient, measuring, saving, scene); they share one :class:`~mmpl_slicer.presenter.desk.Desk`, on
which the chosen case lies as a :class:`~mmpl_slicer.presenter.case_session.CaseSession`.
"""

from mmpl_slicer.presenter.panel import Presenter

__all__ = ["Presenter"]
