"""Rich text for labels: escaped, and readable in a dark and in a light theme."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

GREEN, ORANGE, RED = "#2e9e5b", "#d98200", "#d64545"  # each at least 3:1 on white and on Slicer's dark grey
BLUE, GREY = "#3c8dd0", "#8a8a8a"


def colored(text: str, color: str) -> str:
    """Escaped text in a colour."""
    return f'<span style="color:{color}">{escape(text)}</span>'


def bold(text: str) -> str:
    return f"<b>{escape(text)}</b>"


def paragraphs(lines: Iterable[str]) -> str:
    """Lines of rich text below each other, a little apart."""
    return "".join(f'<p style="margin:2px 0 2px 0">{line}</p>' for line in lines)


def table(rows: Iterable[Iterable[str]]) -> str:
    """Cells of rich text in rows."""
    body = "".join("<tr>" + "".join(f'<td style="padding:0 8px 1px 0">{c}</td>' for c in row) + "</tr>" for row in rows)
    return f'<table cellspacing="0" cellpadding="0">{body}</table>'


def bar(share: float, width: int = 14) -> str:
    """A bar of blocks for a share of -1 to 1: right and orange where it raises, left and blue where it lowers."""
    blocks = max(1, round(abs(share) * width / 2)) if share else 0
    return colored("█" * blocks, ORANGE if share > 0 else BLUE)
