"""Rich text for labels: escaped, and readable in a dark and in a light theme."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

GREEN, ORANGE, RED = "#2e9e5b", "#d98200", "#d64545"  # each at least 3:1 on white and on Slicer's dark grey
GREY = "#8a8a8a"


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
