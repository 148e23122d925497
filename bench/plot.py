"""The plot of the benchmarks: each figure as a share of its goal, on a logarithmic axis, as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from measure import Group, Measurement, group_of

_LABELS, _AXIS, _ROW, _TOP = 520, 400, 20, 46  # pixels: width of labels and axis, height of rows and head
_DECADES = (-2, 1)  # of the axis: from a hundredth of the goal to tenfold
_MET, _MISSED, _FAINT = "#1b7f4d", "#b3261e", "#8a8a8a"


def plot_of(groups: Sequence[Group], records: Sequence[dict[str, Any]]) -> str:
    """Return an SVG: a row for each measurement that has a goal, and faint marks for those of earlier records.

    Left of the line at 1 a goal is met. What is beyond the axis stands at its end.
    """
    rows = [row for group in groups for row in _rows(group)]
    earlier = [_shares(record) for record in records]
    height = _TOP + _ROW * (len(rows) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LABELS + _AXIS + 40} {height}" '
        'font-family="sans-serif" font-size="12" role="img" aria-label="Measurements as shares of their goals">',
        f'<rect width="100%" height="{height}" fill="white"/>',
        *_scale(height),
    ]
    for number, (title, measurement) in enumerate(rows):
        y = _TOP + _ROW * (number + 1)
        if measurement is None:
            parts.append(f'<text x="8" y="{y}" font-weight="bold">{escape(title)}</text>')
            continue
        past = [shares[title, measurement.name] for shares in earlier if (title, measurement.name) in shares]
        parts += _marks(measurement, past, y)
    return "\n".join([*parts, "</svg>\n"])


def _rows(group: Group) -> Iterator[tuple[str, Measurement | None]]:
    held = [measurement for measurement in group.measurements if measurement.share is not None]
    if held:
        yield group.title, None
    yield from ((group.title, measurement) for measurement in held)


def _shares(record: dict[str, Any]) -> dict[tuple[str, str], float]:
    groups = [group_of(document) for document in record["groups"]]
    return {(g.title, m.name): m.share for g in groups for m in g.measurements if m.share is not None}


def _scale(height: int) -> Iterator[str]:
    first, last = _DECADES
    for decade in range(first, last + 1):
        x = _place(10.0**decade)
        width, colour = (2, "#444") if decade == 0 else (1, "#ddd")
        yield f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{height}" stroke="{colour}" stroke-width="{width}"/>'
        label = "goal" if decade == 0 else f"{10.0**decade:g}"
        yield f'<text x="{x}" y="{_TOP - 14}" text-anchor="middle">{label}</text>'
    yield f'<text x="{_place(0.1)}" y="14" text-anchor="middle" fill="{_MET}">better ←</text>'
    yield f'<text x="{_place(3.2)}" y="14" text-anchor="middle" fill="{_MISSED}">→ missed</text>'


def _marks(measurement: Measurement, past: Sequence[float], y: int) -> Iterator[str]:
    share = measurement.share or 0.0
    bound = f"{'≥' if measurement.at_least else '≤'} {measurement.goal:g}"
    figure = f"{measurement.value:.3g} {measurement.unit} ({bound})"
    indent = 32 if measurement.name.startswith(" ") else 20
    yield f'<text x="{indent}" y="{y}">{escape(measurement.name.strip())}</text>'
    yield f'<text x="{_LABELS - 10}" y="{y}" text-anchor="end" fill="#444">{escape(figure)}</text>'
    for old in past:
        yield f'<circle cx="{_place(old)}" cy="{y - 4}" r="3" fill="{_FAINT}" fill-opacity="0.4"/>'
    yield f'<circle cx="{_place(share)}" cy="{y - 4}" r="5" fill="{_MET if share <= 1 else _MISSED}"/>'


def _place(share: float) -> int:
    first, last = _DECADES
    power = min(max(math.log10(share), first), last) if share > 0 else first
    return round(_LABELS + 10 + (power - first) / (last - first) * _AXIS)
