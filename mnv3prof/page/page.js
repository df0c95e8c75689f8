"use strict";
(() => {
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PRINTED = 670; // an A4 page between its margins, in CSS pixels
  let chosen = "";
  let printing = false;

  const theme = () => (printing ? "light" : chosen || (dark.matches ? "dark" : "light"));

  /* Replace "var:name" by the color of that name in the page's style. */
  function colored(value, style) {
    if (typeof value === "string") return value.startsWith("var:") ? style.getPropertyValue("--" + value.slice(4)).trim() : value;
    if (Array.isArray(value)) return value.map((item) => colored(item, style));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, colored(item, style)]));
    return value;
  }

  function axis(given, style) {
    const quiet = { gridcolor: "var:line", linecolor: "var:line", zerolinecolor: "var:line", fixedrange: true, automargin: true };
    const title = given.title ? { title: { standoff: 8, ...given.title } } : {};
    return colored({ ...quiet, ...given, ...title }, style);
  }

  function draw(chart) {
    const place = document.getElementById(chart.key);
    const room = printing ? PRINTED : place.parentElement.clientWidth;
    const width = printing ? PRINTED : Math.max(room, chart.wide);
    const style = getComputedStyle(root);
    const small = width < 560 || (printing && chart.wide > PRINTED);
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: false, width, height: chart.height,
      margin: { l: 58, r: 16, t: 34, b: 48 }, font: { family: style.fontFamily || "sans-serif", size: small ? 10 : 12, color: colored("var:ink", style) },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemclick: chart.switches ? "toggle" : false, itemdoubleclick: false, ...colored(chart.layout.legend || {}, style) },
      hoverlabel: { bgcolor: colored("var:paper", style), bordercolor: colored("var:line", style), font: { color: colored("var:ink", style) } },
      dragmode: false, uirevision: chart.key, // what the legend switched on stays so
    };
    for (const [name, given] of Object.entries(chart.layout)) {
      if (name !== "legend") layout[name] = /^[xy]axis/.test(name) ? axis(given, style) : colored(given, style);
    }
    for (const name of ["xaxis", "yaxis"]) layout[name] ||= axis({}, style);
    layout.shapes = band(chart, style);
    return Plotly.react(place, chosenPoints(chart, colored(chart.data.map(counted), style)), layout, { displayModeBar: false, responsive: false, scrollZoom: false });
  }

  /* The trace with the logarithms of its counts; a cell without any is empty. */
  function counted(trace) {
    if (!trace.counts) return trace;
    const { counts, ...rest } = trace;
    return { ...rest, customdata: counts, z: counts.map((row) => row.map((count) => (count ? Math.log10(count) : null))) };
  }

  /* Copy what belongs to a point of the last trace, and show it under the chart. */
  function copyPoint(chart, number) {
    const shown = document.getElementById(`${chart.key}-point`);
    const [text, button] = [shown.querySelector("pre"), shown.querySelector("button")];
    text.textContent = chart.copies[number] || chart.data.at(-1).customdata[number][0];
    shown.hidden = false;
    shown.scrollIntoView({ block: "nearest" });
    copy(button, text.textContent, text);
  }

  /* The points of a chart that are shown, in the order of the arrow keys: those of the last trace if they can be copied. */
  function points(chart, place) {
    const last = place.data.length - 1;
    const found = place.data.flatMap((trace, curveNumber) => {
      if (trace.visible === "legendonly" || trace.hoverinfo === "skip" || (chart.axis === "copies" && curveNumber < last)) return [];
      if (trace.type === "heatmap") return trace.z.flatMap((row, n) => row.map((_, m) => ({ curveNumber, pointNumber: [n, m], x: trace.x[m], y: trace.y[n] })));
      return trace.x.map((x, pointNumber) => ({ curveNumber, pointNumber, x, y: trace.y[pointNumber], customdata: trace.customdata?.[pointNumber] }));
    });
    return place.data[0]?.orientation === "h" ? found.reverse() : found; // their axis begins at the bottom
  }

  const HOVER = 80; // plotly draws at most one label in 50 ms

  /* Arrow keys choose a point, and Enter copies it, or opens the layers of its block. */
  function keys(chart, place) {
    const row = chart.data[0]?.type === "heatmap" && chart.axis === "y" ? chart.data[0].x.length : 1;
    const same = (one, other) => one.curveNumber === other?.curveNumber && String(one.pointNumber) === String(other.pointNumber);
    let chosen;
    let telling;
    place.parentElement.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const found = points(chart, place);
      const at = found.findIndex((point) => same(point, chosen));
      const next = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + row, ArrowUp: at - row, Home: 0, End: found.length - 1 }[event.key];
      if (next !== undefined && found.length) {
        chosen = (at < 0 && event.key !== "End" ? found[0] : found[next]) || found[at];
        const { curveNumber, pointNumber } = chosen;
        const { type, xaxis = "x", yaxis = "y" } = place.data[curveNumber];
        const cell = { xval: pointNumber[1], yval: pointNumber[0] }; // plotly finds no cell by its number
        Plotly.Fx.hover(place, type === "heatmap" ? cell : [{ curveNumber, pointNumber }], xaxis + yaxis);
        clearTimeout(telling);
        telling = setTimeout(() => tell(place, chosen), HOVER);
      } else if (event.key === "Enter" && at >= 0) act(chart, found[at]);
      else return;
      event.preventDefault();
    });
  }

  /* Bring the label of a point into view, and tell it. */
  function tell(place, { x, y }) {
    const label = place.querySelector(".hoverlayer .hovertext");
    label?.scrollIntoView({ block: "nearest", inline: "nearest" });
    const texts = [...(label?.querySelectorAll("text") || [])].flatMap((text) => {
      const lines = text.querySelectorAll("tspan.line");
      return lines.length ? [...lines] : [text];
    });
    const lines = label ? texts.map((text) => text.textContent) : [x, y].map((value) => `${value}`.replace(/<[^>]*>/g, " "));
    document.getElementById("told").textContent = lines.filter(Boolean).join(", ");
  }

  /* What a click on a point does. */
  function act(chart, point) {
    if (chart.axis === "copies") {
      if (point.curveNumber === chart.data.length - 1) copyPoint(chart, point.pointNumber);
      return;
    }
    const anchor = anchorAt(chart, point);
    if (anchor) location.hash = anchor;
  }

  /* The anchor of the block that the page's address names. */
  let block = "";

  function band(chart, style) {
    if (!Object.hasOwn(chart.spans, block)) return [];
    const [low, high] = chart.spans[block];
    const place = chart.axis === "y" ? { xref: "paper", x0: 0, x1: 1, y0: low, y1: high } : { yref: "paper", y0: 0, y1: 1, x0: low, x1: high };
    const accent = colored("var:accent", style);
    return chart.axis === "y"
      ? [{ type: "rect", layer: "above", line: { width: 3, color: accent }, ...place }]
      : [{ type: "rect", layer: "below", line: { width: 1.5, color: accent }, fillcolor: accent, opacity: 0.25, ...place }];
  }

  function chosenPoints(chart, data) {
    if (chart.axis !== "points" || !block) return data;
    return data.map((trace) => {
      const found = (trace.customdata || []).flatMap((anchor, n) => (anchor === block ? [n] : []));
      return found.length ? { ...trace, selectedpoints: found, selected: { marker: { size: 14 } }, unselected: { marker: { opacity: 0.3 } } } : trace;
    });
  }

  /* The anchor of the block at a point of a chart, "" for none. */
  function anchorAt(chart, point) {
    if (chart.axis === "points") return point.customdata || "";
    const given = chart.axis === "y" ? point.y : point.x;
    const { categoryarray } = chart.layout[`${chart.axis}axis`];
    const at = categoryarray ? categoryarray.indexOf(given) : given;
    const found = Object.entries(chart.spans).find(([, [low, high]]) => at >= low && at <= high);
    return found ? found[0] : "";
  }

  function choose() {
    const anchor = decodeURIComponent(location.hash.slice(1));
    const known = document.getElementById(anchor)?.classList.contains("inside") ? anchor : "";
    if (known === block) return;
    block = known;
    document.querySelectorAll("[data-block]").forEach((row) => row.classList.toggle("chosen", row.dataset.block === known));
    if (root.dataset.drawn) charts.forEach(draw);
  }

  /* Draw one chart per task, visible ones first, so that the page stays responsive. */
  function drawAll() {
    const middle = innerHeight / 2;
    const distance = (chart) => Math.abs(document.getElementById(chart.key).getBoundingClientRect().top - middle);
    const waiting = [...charts].sort((a, b) => distance(a) - distance(b));
    const next = () => {
      if (!waiting.length) {
        root.dataset.drawn = "yes";
        performance.mark("drawn");
        return;
      }
      const chart = waiting.shift();
      const place = document.getElementById(chart.key);
      const drawn = draw(chart);
      keys(chart, place);
      place.on("plotly_click", ({ points: clicked }) => {
        const copied = clicked.find(({ curveNumber }) => curveNumber === chart.data.length - 1);
        act(chart, (chart.axis === "copies" && copied) || clicked[0]);
      });
      drawn.finally(() => setTimeout(next)); // a legend is placed in a second pass
    };
    next();
  }

  const toggle = document.getElementById("theme");
  function dress() {
    root.dataset.theme = theme();
    toggle.textContent = theme() === "dark" ? "Light theme" : "Dark theme";
  }

  function redraw() {
    dress();
    charts.forEach(draw);
  }

  toggle.addEventListener("click", () => {
    chosen = theme() === "dark" ? "light" : "dark";
    redraw();
  });
  dark.addEventListener("change", () => { if (!chosen) redraw(); });
  addEventListener("beforeprint", () => { printing = true; redraw(); });
  addEventListener("afterprint", () => { printing = false; redraw(); });
  let wide = innerWidth;
  addEventListener("resize", () => {
    if (printing || innerWidth === wide) return;
    wide = innerWidth;
    charts.forEach(draw);
  });

  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  const key = (cell) => (cell.dataset.v === undefined ? cell.textContent : cell.dataset.v === "" ? "" : Number(cell.dataset.v));

  function sort(head) {
    const table = head.closest("table");
    const before = head.getAttribute("aria-sort");
    const largestFirst = head.classList.contains("n");
    const down = (before ? before === "descending" : !largestFirst) ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [x, y] = [key(a.cells[head.cellIndex]), key(b.cells[head.cellIndex])];
      if (x === "" || y === "") return (x === "") - (y === ""); // missing values stay last
      return down * order(x, y);
    });
    table.querySelectorAll("th[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down === 1 ? "ascending" : "descending");
    table.tBodies[0].append(...rows);
  }

  /* The values of a table, tab-separated: numbers in full. */
  function asText(table) {
    const plain = (cell) => {
      if (cell.dataset.v) return cell.dataset.v;
      const text = cell.textContent.trim();
      return /^[=+@-]/.test(text) && !("v" in cell.dataset) ? `'${text}` : text; // a pasted text is no formula
    };
    return [...table.rows].map((row) => [...row.cells].map(plain).join("\t")).join("\n");
  }

  function asMarkdown(table) {
    const cells = (row) => [...row.cells].map((cell) => cell.textContent.trim().replace(/[\\|<]/g, "\\$&").replace(/\s+/g, " "));
    const line = (texts) => `| ${texts.join(" | ")} |`;
    const [head, ...rows] = [...table.rows];
    const rule = [...head.cells].map((cell) => (cell.classList.contains("n") ? "---:" : "---"));
    return [line(cells(head)), line(rule), ...rows.map((row) => line(cells(row)))].join("\n");
  }

  async function copy(button, text, shown) {
    let copied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(shown);
      copied = document.execCommand("copy");
    }
    const before = button.dataset.text || button.textContent;
    button.dataset.text = before;
    button.textContent = copied ? "Copied" : "Selected";
    document.getElementById("told").textContent = copied ? "Copied." : "It is selected: copy it.";
    setTimeout(() => { button.textContent = before; }, 1500);
  }

  function copyTable(button) {
    const table = button.closest(".sheet").querySelector("table");
    copy(button, button.dataset.as === "markdown" ? asMarkdown(table) : asText(table), table);
  }

  function save(button) {
    const place = button.closest("figure").querySelector(".plot");
    const filename = place.getAttribute("aria-label").replace(/[^A-Za-z0-9]+/g, "-").slice(0, 80);
    const layout = { ...place.layout, paper_bgcolor: colored("var:paper", getComputedStyle(root)) };
    Plotly.downloadImage({ data: place.data, layout }, { format: "png", scale: 2, width: layout.width, height: layout.height, filename });
  }

  /* The link of the block whose row or drawing is clicked; a selection of text is no click. */
  function blockLink(target) {
    if (target.closest("a, button, input, label, summary") || String(getSelection())) return target.closest('a[href^="#block-"]');
    return target.closest("tr")?.querySelector(':scope > * > a[href^="#block-"]');
  }

  document.addEventListener("click", (event) => {
    const link = blockLink(event.target);
    if (link) {
      event.preventDefault();
      const opened = location.hash === link.hash && link.closest(".network");
      location.hash = opened ? "network" : link.hash; // a second click closes the layers
      return;
    }
    const button = event.target.closest("button");
    if (!button) return;
    if (button.classList.contains("copy")) copyTable(button);
    else if (button.classList.contains("command")) copy(button, button.previousElementSibling.textContent, button.previousElementSibling);
    else if (button.classList.contains("image")) save(button);
    else if (button.closest("th")) sort(button.closest("th"));
  });

  /* Run the script of plotly, which the page's policy permits by its digest. */
  async function library() {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  addEventListener("hashchange", choose);
  dress();
  choose();
  library().then(() => {
    performance.mark("interactive");
    drawAll();
  });
})();
