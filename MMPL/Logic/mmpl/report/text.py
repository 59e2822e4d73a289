"""Words and numbers for a page: escaped, with units, and never more digits than mean something."""

from __future__ import annotations

import html
import math
import unicodedata

MISSING = "–"
MINUS = "\u2212"
NBSP = "\u00a0"


def escape(value: object) -> str:
    """Text safe in HTML and SVG, in content and in quoted attributes; control characters are dropped."""
    text = "".join(c for c in str(value) if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return html.escape(text, quote=True)


def percent(probability: float | None) -> str:
    """0.834 -> "83 %"; never rounds to certainty: 0.998 -> "> 99 %"."""
    if probability is None:
        return MISSING
    if 0 < probability <= 0.005:
        return f"<{NBSP}1{NBSP}%"
    if 0.995 <= probability < 1:
        return f">{NBSP}99{NBSP}%"
    return f"{100 * probability:.0f}{NBSP}%"


def against_threshold(probability: float, threshold: float) -> tuple[str, str]:
    """Both as :func:`percent`, with decimals where they would read the same and are not: "58.6 %" and "58.7 %"."""
    texts = percent(probability), percent(threshold)
    for decimals in (1, 2):
        if texts[0] == texts[1] and probability != threshold:
            texts = tuple(f"{100 * value:.{decimals}f}{NBSP}%" for value in (probability, threshold))
    return texts


def fixed(value: float | None, decimals: int = 1) -> str:
    """A number with a fixed count of decimals and a true minus sign."""
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float | None, decimals: int = 2) -> str:
    """A number that always carries its sign: "+0.42"."""
    text = fixed(value, decimals)
    if text == MISSING or text.startswith(MINUS) or float(text) == 0:
        return text
    return "+" + text


def significant(value: float | None, digits: int = 3) -> str:
    """A number to three significant digits, without an exponent where it reads well."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}".replace("-", MINUS)
    decimals = 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{decimals}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", MINUS)


def years(days: float) -> str:
    """Days as years to one decimal."""
    return f"{days / 365.25:.1f}{NBSP}years"


def at_least(rule: str) -> str:
    """A rule as people write it: ">=" becomes one sign."""
    return rule.replace(">=", "\u2265")


def sentence(text: object) -> str:
    """A reason, a notice or an error as a sentence on one line: a capital first, a full stop last."""
    words = " ".join(str(text).split())
    if not words:
        return ""
    return words[0].upper() + words[1:] + ("" if words.endswith((".", "!", "?")) else ".")
