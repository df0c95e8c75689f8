"""The report as one self-contained page: style, script, charts, tables and runs."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from ..record.embedded import embed
from ..render.html import escape, to_html
from .charts import Chart
from .report import Panel, Section, Tile


class Assets(NamedTuple):
    """Style and script of the page, and plotly's script."""

    css: str
    js: str
    plotly: str


_NO_SCRIPT: Final = (
    "<noscript><style>figure, .tool, th button::after { display: none; }</style>"
    '<p class="note">Without script there are no charts, sorting and copying; all values are in the '
    "tables.</p></noscript>"
)


def page(
    title: str, subtitle: str, sections: Sequence[Section], runs: Sequence[bytes], assets: Assets
) -> str:
    """Return the page. runs: documents that it is made from, which are embedded.

    Its policy permits only its own scripts, by digest, and no requests.
    """
    charts = [chart for section in sections for panel in section.panels for chart in panel.charts]
    scripts = (assets.plotly, assets.js)
    nav = "".join(f'<li><a href="#{s.key}">{escape(s.title)}</a></li>' for s in sections)
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
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
            *(f"<script>{script}</script>" for script in scripts),
            "</body></html>\n",
        )
    )


def _policy(scripts: Sequence[str]) -> str:
    digests = " ".join(f"'sha256-{b64encode(sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {digests}"


def _charts(charts: Sequence[Chart]) -> str:
    """Write the charts as JSON without < and >, so that it cannot end its element."""
    documents = [
        {"key": c.key, "data": c.data, "layout": c.layout, "height": c.height, "wide": c.wide} for c in charts
    ]
    return msgspec.json.encode(documents).decode().replace("<", "\\u003c").replace(">", "\\u003e")


def _section(section: Section) -> str:
    panels = "".join(map(_panel, section.panels))
    several = " several" if len(section.panels) > 1 else ""
    head = f'<h2 id="{section.key}-title">{escape(section.title)}</h2>'
    return (
        f'<section id="{section.key}" aria-labelledby="{section.key}-title">{head}'
        f'<div class="panels{several}">{panels}</div></section>'
    )


def _panel(panel: Panel) -> str:
    head = f"<h3>{escape(panel.label)}</h3>" if panel.label else ""
    sentences = "".join(f'<p class="say">{escape(sentence)}</p>' for sentence in panel.sentences)
    tiles = f'<dl class="tiles">{"".join(map(_tile, panel.tiles))}</dl>' if panel.tiles else ""
    charts = "".join(map(_chart, panel.charts))
    shown = "".join(to_html(sheet, sortable=False) for sheet in panel.open_sheets)
    folded = "".join(
        f"<details><summary>Table: {escape(sheet.title)}</summary>{to_html(sheet)}</details>"
        for sheet in panel.sheets
    )
    body = shown + charts
    if panel.beside and charts:
        body = f'<div class="beside"><div>{charts}</div><div>{shown}</div></div>'
    return f'<div class="panel">{head}{sentences}{tiles}{panel.drawing}{body}{folded}</div>'


def _tile(tile: Tile) -> str:
    detail = f"<small>{escape(tile.detail)}</small>" if tile.detail else ""
    return f"<div><dt>{escape(tile.title)}</dt><dd>{escape(tile.value)}{detail}</dd></div>"


def _chart(chart: Chart) -> str:
    alt = escape(chart.alt)
    return (
        f'<figure><div class="scroll" tabindex="0" role="group" aria-label="{alt}, scrollable">'
        f'<div class="plot" id="{chart.key}" role="img" aria-label="{alt}" style="--tall:{chart.height}px">'
        "</div></div></figure>"
    )
