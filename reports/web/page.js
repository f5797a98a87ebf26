"use strict";
(() => {
  const root = document.documentElement;
  const KEY = "noprop-bench-theme";
  const MISSING = "–";
  const NUMBER = /^[+−-]?\d[\d,]*(\.\d+)?(e[+−-]?\d+)?(?=$|[\s%×])/i;
  const collator = new Intl.Collator("en", { numeric: true });

  // A page opened as a file may have no storage; the choice then lasts as long as the page.
  function stored() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }
  function store(theme) {
    try { localStorage.setItem(KEY, theme); } catch { /* as above */ }
  }
  function isDark() {
    return (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  }
  if (stored()) root.dataset.theme = stored();

  function offerThemes() {
    const button = document.getElementById("theme");
    const name = () => { button.textContent = isDark() ? "Light colours" : "Dark colours"; };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      store(root.dataset.theme);
      name();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", name);
    name();
    button.hidden = false;
  }

  // What a cell is sorted by: null where there is no figure, NaN where it is no number. Of "97.9 ± 0.4", "2 of 3" and
  // "1.07 (0.98 to 1.16)" it is the first number.
  function figure(text) {
    if (text === "" || text === MISSING) return null;
    if (text.startsWith("∞")) return Infinity;
    const found = NUMBER.exec(text);
    return found ? Number(found[0].replaceAll(",", "").replaceAll("−", "-")) : NaN;
  }

  // A row that only names the rows below it makes no sense among rows in another order.
  function isHeading(row) {
    const [, ...others] = row.cells;
    return others.length > 0 && others.every((cell) => !cell.textContent.trim());
  }

  function sort(table, rows, column, direction) {
    const texts = rows.map((row) => row.cells[column].textContent.trim());
    const figures = texts.map(figure);
    const areNumbers = !figures.some(Number.isNaN);
    rows.forEach((row) => { row.hidden = direction !== 0 && isHeading(row); });
    const compared = (a, b) => areNumbers ? Math.sign(figures[a] - figures[b]) || 0 : collator.compare(texts[a], texts[b]);
    const order = [...rows.keys()];
    if (direction) {
      order.sort((a, b) => (figures[a] === null) - (figures[b] === null) || direction * compared(a, b));
    }
    table.tBodies[0].append(...order.map((index) => rows[index]));
  }

  // Pressed once, a header sorts upwards, twice downwards; the third time the rows are as they were written.
  function makeSortable(table) {
    if (!table.tBodies.length || table.tBodies[0].rows.length < 2) return;
    const rows = [...table.tBodies[0].rows];
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      if (!header.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: null }[header.getAttribute("aria-sort")];
        const state = next === undefined ? "ascending" : next;
        headers.forEach((each) => each.removeAttribute("aria-sort"));
        if (state) header.setAttribute("aria-sort", state);
        sort(table, rows, column, { ascending: 1, descending: -1 }[state] || 0);
      });
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    offerThemes();
    document.querySelectorAll("table").forEach(makeSortable);
    if (!matchMedia("(min-width: 80rem)").matches) document.querySelector("nav details").open = false;
  });
})();
