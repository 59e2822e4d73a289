"""Pictures of numbers: the HPV probability with the members' spread and the threshold, and a share as a bar."""

from __future__ import annotations

import qt

from mmpl_slicer.panel_state import ResultsState

HEIGHT, MARGIN, LINE = 44, 18, 16
SPREAD, POSITIVE, NEGATIVE = "#8fbce6", "#1f6fb5", "#d98200"
RAISES, LOWERS = "#d98200", "#3c8dd0"
SHARE_WIDTH, SHARE_HEIGHT = 36, 10
TICKS = ((0.0, "0 %"), (0.25, ""), (0.5, "50 %"), (0.75, ""), (1.0, "100 %"))


def hpv_picture(state: ResultsState, width: int, ink):
    """Draw it ``width`` pixels wide in a theme's text colour ``ink``."""
    picture = qt.QPixmap(width, HEIGHT)
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(picture)
    reach = width - 2 * MARGIN

    def at(value: float) -> int:
        return MARGIN + round(value * reach)

    painter.setPen(_pen(ink, 1, qt.Qt.SolidLine))
    painter.drawLine(at(0), LINE, at(1), LINE)
    for value, text in TICKS:
        painter.drawLine(at(value), LINE - 3, at(value), LINE + 3)
        painter.drawText(at(value) - 24, HEIGHT - 16, 48, 16, qt.Qt.AlignCenter, text)
    low, high = at(state.hpv_low), at(state.hpv_high)
    painter.fillRect(low, LINE - 4, max(2, high - low), 9, qt.QColor(SPREAD))
    is_positive = state.hpv_probability >= state.hpv_threshold
    painter.fillRect(at(state.hpv_probability) - 3, LINE - 8, 6, 17, qt.QColor(POSITIVE if is_positive else NEGATIVE))
    painter.setPen(_pen(ink, 2, qt.Qt.DashLine))
    painter.drawLine(at(state.hpv_threshold), 1, at(state.hpv_threshold), 2 * LINE - 2)
    painter.end()
    return picture


def _pen(color, width: int, style):
    pen = qt.QPen(color)
    pen.setWidth(width)
    pen.setStyle(style)
    return pen


def share_picture(share: float):
    """A bar for a share of -1 to 1: to the right and orange where it raises, to the left and blue where it lowers."""
    picture = qt.QPixmap(SHARE_WIDTH, SHARE_HEIGHT)
    picture.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(picture)
    middle = SHARE_WIDTH // 2
    length = max(1, round(abs(share) * middle)) if share else 0
    start, color = (middle, RAISES) if share > 0 else (middle - length, LOWERS)
    painter.fillRect(start, 1, length, SHARE_HEIGHT - 2, qt.QColor(color))
    painter.end()
    return picture
