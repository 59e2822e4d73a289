"""The HPV and recurrence-free-survival panels of the report, and what drove each prediction."""

from __future__ import annotations

from dataclasses import dataclass

from mmpl.report.charts import BAND_NOTE, effect_bar, probability_bar, survival_chart
from mmpl.report.figures import PAIRING_NOTE
from mmpl.report.labels import is_indicator, label_of
from mmpl.report.text import (
    MISSING,
    NBSP,
    against_threshold,
    at_least,
    escape,
    percent,
    sentence,
    signed,
    significant,
)
from mmpl.results import HPV_SCALE

TOP_FEATURES = 12
TIMES = (("1y", "1 year"), ("2y", "2 years"), ("3y", "3 years"), ("5y", "5 years"))


def hpv_panel(results: dict, before: dict | None) -> str:
    """HPV: sentence, bar, contributions; or the reason why there is none."""
    hpv = results["hpv"]
    if hpv["probability"] is None:
        return _not_given("HPV probability", hpv["reason"]) + _known_status(hpv)
    was = before["hpv"]["probability"] if before else None
    bar = probability_bar(hpv["probability"], threshold=hpv["threshold"], members=hpv["members"], before=was)
    probability, threshold = against_threshold(hpv["probability"], hpv["threshold"])
    sentence = (
        f"<p>Predicted <strong>HPV-{escape(hpv['status'])}</strong>: probability "
        f"<strong>{probability}</strong>, threshold {threshold}"
        f'{_spread(hpv["members"])}.</p><p class="note">{HPV_SCALE}</p>'
    )
    drivers = _drivers(
        results["contributions"]["hpv"],
        before["contributions"]["hpv"] if before else [],
        HPV_EFFECTS,
        _hpv_ends(hpv),
    )
    return f"{sentence}{_known_status(hpv)}<figure>{bar}</figure>{drivers}"


def rfs_panel(results: dict, before: dict | None) -> str:
    """RFS: sentence, curve, table of years, contributions; or the reason why there is none."""
    rfs = results["rfs"]
    if rfs["risk"] is None:
        return _not_given("Recurrence-free survival", rfs["reason"])
    was = before["rfs"] if before and before["rfs"]["risk"] is not None else None
    chart = survival_chart(rfs["curve"], time_zero=rfs["time_zero"], before=was["curve"] if was else None)
    drivers = _drivers(
        results["contributions"]["rfs"],
        before["contributions"]["rfs"] if before else [],
        RFS_EFFECTS,
    )
    beside = f'<div class="beside"><figure>{chart}</figure>{_years_table(rfs, was)}</div>'
    return f"{_rfs_sentence(rfs)}{beside}{drivers}"


def _not_given(what: str, reason: str | None) -> str:
    why = escape(sentence(reason or "no reason is recorded"))
    return f'<p class="why"><strong>{what} is not given.</strong> {why}</p>'


def _known_status(hpv: dict) -> str:
    if hpv["known"] is None:
        return ""
    contradicted = hpv["status"] is not None and hpv["status"] != hpv["known"]
    verdict = ", against the prediction" if contradicted else ""
    return (
        f"<p>The record says <strong>HPV-{escape(hpv['known'])}</strong>{verdict}. It is shown to "
        "compare and does not enter any prediction.</p>"
    )


def _spread(members: list[float]) -> str:
    if not members:
        return ""
    return f"; members range from {percent(min(members))} to {percent(max(members))}"


def _rfs_sentence(rfs: dict) -> str:
    group = f"<strong>{escape(rfs['risk_group'])} risk</strong>, " if rfs["risk_group"] else ""
    text = f"<p>{group}risk score {signed(rfs['risk'])} (higher means earlier relapse)"
    if rfs["members"]:
        text += f"; members range from {signed(min(rfs['members']))} to {signed(max(rfs['members']))}"
    if rfs["deep_restricted_mean_days"] is not None:
        days = rfs["deep_restricted_mean_days"]
        text += (
            f". The networks' own score is {days:.0f}{NBSP}days: the longer, the better the outlook, but no time to "
            "expect, since they are shown relapsed and other patients in equal parts"
        )
    return _capitalised(text) + ".</p>"


def _capitalised(text: str) -> str:
    """First letter after the opening tags in upper case."""
    start = 0
    while text[start] == "<":
        start = text.index(">", start) + 1
    return text[:start] + text[start].upper() + text[start + 1 :]


def _years_table(rfs: dict, was: dict | None) -> str:
    """One row a year: the ensemble, the members' range, and the model's contours where corrected."""
    head = '<th scope="col">After</th><th class="num" scope="col">RFS</th>'
    head += '<th class="num" scope="col">Members</th>'
    head += '<th class="num" scope="col">Was</th>' if was else ""
    rows = "".join(_year_row(rfs, was, key, label) for key, label in TIMES)
    note = ""
    if any(rfs["survival_at"].get(key) is None for key, _ in TIMES):
        note = f'<p class="note">{MISSING} beyond the last training event: no estimate.</p>'
    return f'<div><table class="years"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}</div>'


def _year_row(rfs: dict, was: dict | None, key: str, label: str) -> str:
    survival = rfs["survival_at"].get(key)
    band = _band(rfs.get("members_at", {}).get(key))
    cells = f'<td class="num"><strong>{percent(survival)}</strong></td><td class="num">{band}</td>'
    cells += f'<td class="num soft">{percent(was["survival_at"].get(key))}</td>' if was else ""
    return f'<tr><th scope="row">{label}</th>{cells}</tr>'


def _band(members: list[float] | None) -> str:
    """The members' minimum to maximum; a dash where there is none."""
    if members is None:
        return MISSING
    low, high = (percent(member) for member in members)
    plain = all(text[0].isdigit() for text in (low, high))  # else one of them is "< 1 %" or "> 99 %"
    return f"{low.removesuffix(f'{NBSP}%')}–{high}" if plain else low if low == high else f"{low} to {high}"


def _hpv_ends(hpv: dict) -> tuple[tuple[str, str], ...]:
    if hpv["base"] is None:
        return ()
    return (
        ("Starting point, before any feature", percent(hpv["base"])),
        ("Prediction", percent(hpv["probability"])),
    )


@dataclass(frozen=True)
class Effects:
    """How one prediction's contributions are shown.

    Attributes
    ----------
    poles : what negative and positive effects push towards
    colors : style classes of negative and positive bars
    unit, scale, decimals : of the printed effect
    """

    poles: tuple[str, str]
    colors: tuple[str, str]
    unit: str
    scale: float
    decimals: int


HPV_EFFECTS = Effects(("HPV-negative", "HPV-positive"), ("amber", "blue"), "percentage points", 100.0, 1)
RFS_EFFECTS = Effects(("later relapse", "earlier relapse"), ("blue", "amber"), "log hazard", 1.0, 2)


def _drivers(contributions: list[dict], before: list[dict], effects: Effects, ends=()) -> str:
    """Table with a diverging bar per feature, the largest effects first."""
    if not contributions:
        return ""
    ranked = sorted(contributions, key=lambda item: -abs(item["effect"]))
    shown, rest = ranked[:TOP_FEATURES], ranked[TOP_FEATURES:]
    was = {item["feature"]: item["effect"] for item in before}
    compared = [was[item["feature"]] for item in shown if item["feature"] in was]
    largest = max(abs(effect) for effect in [*(item["effect"] for item in shown), *compared])
    rows = [_driver_row(item, was.get(item["feature"]), largest, effects) for item in shown]
    if rest:
        total = _effect(sum(item["effect"] for item in rest), effects)
        rows.append(_plain_row(f"{len(rest)} other features together", total))
    if ends:
        rows = [_plain_row(*ends[0]), *rows, _plain_row(*ends[1], kind="sum")]
    note = '<p class="note">Dashed outline: the same with the model\'s contours.</p>' if was else ""
    return (
        f'<h3>What drove it</h3><table class="drivers">{_drivers_head(effects)}'
        f"<tbody>{''.join(rows)}</tbody></table>{note}"
    )


def _drivers_head(effects: Effects) -> str:
    less, more = effects.poles
    return (
        '<thead><tr><th scope="col">Feature</th><th class="num" scope="col">Value</th>'
        '<th class="bars" scope="col">'
        f'<span class="poles"><span>← {less}</span><span>{more} →</span></span></th>'
        f'<th class="num" scope="col">Effect, {effects.unit}</th></tr></thead>'
    )


def _plain_row(name: str, figure: str, kind: str = "plain") -> str:
    return f'<tr class="{kind}"><th scope="row">{name}</th><td></td><td></td><td class="num">{figure}</td></tr>'


def _driver_row(item: dict, was: float | None, largest: float, effects: Effects) -> str:
    bar = effect_bar(item["effect"], largest=largest, before=was, colors=effects.colors)
    return (
        f'<tr><th scope="row">{escape(label_of(item["feature"]))}</th><td class="num">{_value(item)}</td>'
        f'<td class="bars">{bar}</td><td class="num">{_effect(item["effect"], effects)}</td></tr>'
    )


def _value(item: dict) -> str:
    """A feature's value; a category's indicator in words."""
    if item["value"] is None:
        return "missing"
    if is_indicator(item["feature"]) and item["value"] in (0, 1):
        return "yes" if item["value"] else "no"
    return significant(item["value"])


def _effect(effect: float, effects: Effects) -> str:
    return signed(effect * effects.scale, effects.decimals)


def reading_notes(mtv_rule: str, time_zero: str) -> str:
    """How to read the report, as a list."""
    notes = (
        f"MTV is the volume of {at_least(mtv_rule)}. TLG is MTV times the mean SUV within it.",
        "SUV figures are read from the PET's own voxels, not resampled; volumes from the mask on the CT.",
        f"Survival counts years since {time_zero}. RFS (recurrence-free survival) is the estimated "
        "probability that no recurrence has occurred by then.",
        f"The band around the curve, and the members' column beside it, are the {BAND_NOTE}.",
        "Effects say what moved this prediction within the model. They are not causes.",
        "Where a correction was made, solid contours and the leading figures are the corrected ones, dashed "
        f"contours and grey figures the model's own. {PAIRING_NOTE}",
        "LoG is a Laplacian-of-Gaussian filter of the given width. Slice positions are the scanner's, in mm.",
    )
    return f'<ul class="reading">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>'
