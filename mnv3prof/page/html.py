"""The report as one self-contained page: style, script, charts, tables and runs."""

import gzip
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from ..advice.advice import NOTHING
from ..record.embedded import embed
from ..render.html import escape, to_html
from .charts.chart import Chart
from .report import Panel, Section, Tile


class Assets(NamedTuple):
    """Style and script of the page, and plotly's script, which gzip compressed."""

    css: str
    js: str
    plotly: bytes


_NO_SCRIPT: Final = (
    "<noscript><style>figure, .tool, .switch, th button::after { display: none; }</style>"
    '<p class="note">Without script there are no charts, sorting and copying; values are in the tables.</p>'
    "</noscript>"
)


class Content(NamedTuple):
    """What a page shows. runs: documents that it is made from."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    runs: Sequence[bytes]


def page(content: Content, assets: Assets) -> str:
    """Return the page, with the runs embedded. Its policy permits only its own scripts, by digest, and no
    requests.
    """
    title, subtitle, sections, runs = content
    charts = [chart for section in sections for panel in section.panels for chart in panel.charts]
    nav = "".join(f'<li><a href="#{s.key}">{escape(s.title)}</a></li>' for s in sections)
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(assets)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="generator" content="mnv3prof">',
            f"<title>{escape(title)}</title><style>{assets.css}</style></head><body>",
            '<a class="skip" href="#main">Skip to the content</a>',
            f"<header><h1>{escape(title)}</h1><p>{escape(subtitle)}</p>"
            '<button type="button" class="tool" id="theme">Dark theme</button></header>',
            _NO_SCRIPT,
            f'<nav aria-label="Sections"><ul>{nav}</ul></nav><main id="main">',
            *map(_section, sections),
            '</main><footer><p>Made by mnv3prof.</p></footer><p id="told" class="hidden" role="status"></p>',
            *map(embed, runs),
            f'<script type="application/json" id="charts">{_charts(charts)}</script>',
            f'<script type="application/gzip" id="plotly">{b64encode(assets.plotly).decode()}</script>',
            f"<script>{assets.js}</script>",
            "</body></html>\n",
        )
    )


def _policy(assets: Assets) -> str:
    scripts = (gzip.decompress(assets.plotly), assets.js.encode())
    digests = " ".join(f"'sha256-{b64encode(sha256(script).digest()).decode()}'" for script in scripts)
    return f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {digests}"


_DRAWN: Final = ("key", "data", "layout", "height", "wide", "spans", "axis", "switches", "copies")
"""Fields of a chart that the script reads."""


def _charts(charts: Sequence[Chart]) -> str:
    """Write the charts as JSON."""
    documents = [{name: getattr(chart, name) for name in _DRAWN} for chart in charts]
    return _json(documents)


def _json(value: object) -> str:
    """Write JSON without < and >, so that it cannot end its element."""
    return msgspec.json.encode(value).decode().replace("<", "\\u003c").replace(">", "\\u003e")


def _section(section: Section) -> str:
    panels = "".join(_panel(panel) for panel in section.panels)
    several = " several" if len(section.panels) > 1 else ""
    head = f'<h2 id="{section.key}-title">{escape(section.title)}</h2>'
    return (
        f'<section id="{section.key}" aria-labelledby="{section.key}-title">{head}'
        f'<div class="panels{several}">{panels}</div></section>'
    )


def _panel(panel: Panel) -> str:
    head = f"<h3>{escape(panel.label)}</h3>" if panel.label else ""
    alerts = "".join(f"<li>{escape(alert)}</li>" for alert in panel.alerts)
    alerts = f'<ul class="alerts" aria-label="What went wrong">{alerts}</ul>' if alerts else ""
    sentences = "".join(f'<p class="say">{escape(sentence)}</p>' for sentence in panel.sentences)
    tiles = f'<dl class="tiles">{"".join(map(_tile, panel.tiles))}</dl>' if panel.tiles else ""
    charts = "".join(map(_chart, panel.charts))
    shown = "".join(to_html(one.sheet, sortable=False, anchors=one.anchors) for one in panel.open_sheets)
    folded = "".join(
        f"<details><summary>Table: {escape(one.sheet.title)}</summary>"
        f"{to_html(one.sheet, sortable=one.sortable, anchors=one.anchors)}</details>"
        for one in panel.sheets
    )
    body = shown + charts
    if panel.advice is not None:
        body = f'<div class="beside"><div>{_advice(panel)}</div><div>{charts}</div></div>{shown}'
    return f'<div class="panel">{head}{alerts}{sentences}{tiles}{panel.drawing}{body}{folded}</div>'


def _advice(panel: Panel) -> str:
    """Return the list of what to try."""
    found, head = panel.advice or (), f"<h3>{escape(panel.advised)}</h3>"
    if not found:
        return f'{head}<p class="note">{escape(NOTHING)}</p>'
    items = "".join(
        f'<li><b>{escape(each.what)}</b> <span class="saves">saves {escape(each.saves)}</span>'
        f"<p>{escape(each.why)}</p><p><code>{escape(each.command)}</code>"
        '<button type="button" class="tool command">Copy</button></p></li>'
        for each in found
    )
    return f'{head}<ol class="advice">{items}</ol>'


def _tile(tile: Tile) -> str:
    detail = f"<small>{escape(tile.detail)}</small>" if tile.detail else ""
    return f"<div><dt>{escape(tile.title)}</dt><dd>{escape(tile.value)}{detail}</dd></div>"


def _chart(chart: Chart) -> str:
    alt = escape(chart.alt)
    point = (
        f'<div class="point" id="{chart.key}-point" hidden><pre tabindex="0"></pre>'
        '<button type="button" class="tool command">Copy</button></div>'
        if chart.axis == "copies"
        else ""
    )
    return (
        f'<figure><div class="scroll" tabindex="0" role="group" aria-label="{alt}; arrow keys choose a mark">'
        f'<div class="plot" id="{chart.key}" role="img" aria-label="{alt}" style="--tall:{chart.height}px">'
        f'</div></div><button type="button" class="tool image" aria-label="Save as PNG: {alt}">PNG</button>'
        f"{point}</figure>"
    )
