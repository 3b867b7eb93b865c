"use strict";
/* Tables that sort by a click or a key on a column's head, and filters of rows and of examples. */
(() => {
  const number = cell => cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  const order = (a, b, down) => {
    const [x, y] = [number(a), number(b)];
    if (x !== null && y !== null) return down ? y - x : x - y;
    if (x !== null || y !== null) return x !== null ? -1 : 1; /* what has no number comes last, either way */
    const words = a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
    return down ? -words : words;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending" ||
        (!head.hasAttribute("aria-sort") && head.textContent.includes("\u2191")); /* more is better: the most first */
      const sorted = head.getAttribute("aria-sort") === "descending" ? false : down;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sorted ? "descending" : "ascending");
      body.append(...[...body.rows].sort((a, b) => order(a.cells[column], b.cells[column], sorted)));
    }));
  }
  const filter = (items, words, says, also = () => true) => {
    const asked = words.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      item.hidden = !(asked.every(word => text.includes(word)) && also(item));
      shown += !item.hidden;
    }
    says.textContent = shown === items.length ? "" : `${shown} of ${items.length} shown`;
  };
  for (const field of document.querySelectorAll("input[data-rows]")) {
    const rows = [...document.getElementById(field.dataset.rows).tBodies[0].rows];
    const says = document.getElementById(field.id.replace("filter", "count"));
    field.addEventListener("input", () => filter(rows, field.value, says));
  }
  const words = document.getElementById("examples-filter");
  if (words) {
    const best = document.getElementById("examples-best"), says = document.getElementById("examples-count");
    const items = [...document.getElementById("examples-list").children];
    const more = document.createElement("button"), FIRST = 12;
    let all = items.length <= FIRST;
    const update = () => {
      filter(items, words.value, says, item => best.value === "" || item.dataset.best === best.value);
      const matching = items.filter(item => !item.hidden);
      if (!all) matching.slice(FIRST).forEach(item => { item.hidden = true; });
      more.hidden = all || matching.length <= FIRST;
      more.textContent = `Show all ${matching.length}`;
    };
    more.type = "button";
    more.className = "more";
    more.addEventListener("click", () => { all = true; update(); items[FIRST].scrollIntoView({ block: "nearest" }); });
    document.getElementById("examples-list").after(more);
    update();
    words.addEventListener("input", update);
    best.addEventListener("change", update);
  }
  for (const form of document.querySelectorAll("form"))
    form.addEventListener("submit", event => event.preventDefault());
})();
