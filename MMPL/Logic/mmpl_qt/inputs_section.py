"""PET, CT, what the check says of them, model and device."""

from __future__ import annotations

from html import escape
from pathlib import Path

from mmpl_qt.text import GREEN, ORANGE, RED, bold, colored, paragraphs
from mmpl_qt.widgets import on_path, set_path, show_text, silent
from mmpl_slicer.input_report import BAD, GOOD, NOTE
from mmpl_slicer.panel_state import InputsState

MARKS = {GOOD: ("✓", GREEN), NOTE: ("!", ORANGE), BAD: ("✗", RED)}
NEEDED = {"weight_kg": 0.0, "injected_mbq": 0.0, "decay_min": -1.0}  # a box at its lowest value says "needed"


class InputsSection:
    """The selectors are the parameter node's; everything else is here.

    Parameters
    ----------
    ui : the widgets of MMPL.ui by name
    presenter : Presenter
    """

    def __init__(self, ui, presenter):
        self.ui, self.presenter = ui, presenter
        self.spins = {"weight_kg": ui.weightSpin, "injected_mbq": ui.activitySpin, "decay_min": ui.decaySpin}
        ui.swapButton.clicked.connect(lambda *_: presenter.swap_inputs())
        ui.fusedButton.clicked.connect(lambda *_: presenter.show_fused())
        ui.useAnywayButton.clicked.connect(lambda *_: presenter.use_anyway())
        on_path(ui.bundlePath, Path.exists, self._bundle_chosen)
        ui.deviceSelector.currentIndexChanged.connect(lambda *_: self._device_chosen())
        for name, spin in self.spins.items():
            spin.valueChanged.connect(lambda *_, name=name: self._suv_typed(name))

    def render(self, state: InputsState) -> None:
        ui = self.ui
        show_text(ui.checkLabel, paragraphs(_marked(line) for line in state.lines))
        ui.swapButton.setVisible(state.can_swap)
        ui.useAnywayButton.setVisible(state.can_use_anyway)
        ui.fusedButton.setVisible(state.usable)
        ui.checkButtons.setVisible(state.can_swap or state.can_use_anyway or state.usable)
        ui.suvFrame.setVisible(bool(state.suv_fields))
        for field in state.suv_fields:
            with silent(self.spins[field.name]):
                self.spins[field.name].setValue(NEEDED[field.name] if field.value is None else field.value)
        set_path(ui.bundlePath, state.bundle_path)
        ui.cardBox.setTitle(f"Model card: {state.bundle_title}" if state.bundle_title else "Model card")
        card = paragraphs(f"{bold(label)}: {escape(text)}" for label, text in state.bundle_card)
        ui.cardLabel.setText(card or colored(state.bundle_problem, RED))
        self._render_devices(state)

    def _render_devices(self, state: InputsState) -> None:
        selector = self.ui.deviceSelector
        with silent(selector):
            selector.clear()
            for choice in state.devices:
                selector.addItem(choice.label, choice.id)
            selector.setCurrentIndex(max(0, selector.findData(state.device)))

    def _bundle_chosen(self, text: str) -> None:
        """A folder is chosen by the bundle.json in it: a file dialog shows no folders to choose."""
        path = Path(text)
        if text:
            text = str(path.parent if path.name == "bundle.json" else path)
        self.presenter.choose_bundle(text)

    def _device_chosen(self) -> None:
        selector = self.ui.deviceSelector
        self.presenter.choose_device(selector.itemData(selector.property("currentIndex")))

    def _suv_typed(self, name: str) -> None:
        value = self.spins[name].property("value")
        self.presenter.set_suv_field(name, None if value == NEEDED[name] else value)


def _marked(line) -> str:
    mark, color = MARKS[line.level]
    return f"{colored(mark, color)} {escape(line.text)}"
