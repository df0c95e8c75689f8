"use strict";
(() => {
  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const PRINTED = 670; // an A4 page between its margins, in CSS pixels
  let chosen = "";
  let printing = false;

  const theme = () => (printing ? "light" : chosen || (dark.matches ? "dark" : "light"));

  /* Replace "var:name" by the colour of that name in the page's style. */
  function coloured(value, style) {
    if (typeof value === "string") return value.startsWith("var:") ? style.getPropertyValue("--" + value.slice(4)).trim() : value;
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
    return value;
  }

  function axis(given, style) {
    const quiet = { gridcolor: "var:line", linecolor: "var:line", zerolinecolor: "var:line", fixedrange: true, automargin: true };
    const title = given.title ? { title: { standoff: 8, ...given.title } } : {};
    return coloured({ ...quiet, ...given, ...title }, style);
  }

  function draw(chart) {
    const place = document.getElementById(chart.key);
    const room = printing ? PRINTED : place.parentElement.clientWidth;
    const width = printing ? PRINTED : Math.max(room, chart.wide);
    const style = getComputedStyle(root);
    const small = width < 560 || (printing && chart.wide > PRINTED);
    const layout = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: false, width, height: chart.height,
      margin: { l: 58, r: 16, t: 34, b: 48 }, font: { family: style.fontFamily || "sans-serif", size: small ? 10 : 12, color: coloured("var:ink", style) },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemclick: false, itemdoubleclick: false },
      hoverlabel: { bgcolor: coloured("var:paper", style), bordercolor: coloured("var:line", style), font: { color: coloured("var:ink", style) } },
      dragmode: false,
      ...coloured(chart.layout, style),
      xaxis: axis(chart.layout.xaxis || {}, style), yaxis: axis(chart.layout.yaxis || {}, style),
    };
    return Plotly.react(place, coloured(chart.data, style), layout, { displayModeBar: false, responsive: false, scrollZoom: false });
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
      draw(waiting.shift());
      setTimeout(next);
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
    const down = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
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

  async function copy(button) {
    const table = button.closest(".sheet").querySelector("table");
    const plain = (cell) => {  // so that a pasted text is not taken for a formula
      const text = cell.textContent.trim();
      return !("v" in cell.dataset) && /^[=+@-]/.test(text) ? `'${text}` : text;
    };
    const text = [...table.rows].map((row) => [...row.cells].map(plain).join("\t")).join("\n");
    let copied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(table);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Selected";
    document.getElementById("told").textContent = copied ? "Copied." : "The table is selected: copy it.";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.classList.contains("copy")) copy(button);
    else if (button.closest("th")) sort(button.closest("th"));
  });

  dress();
  drawAll();
})();
