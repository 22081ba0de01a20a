"use strict";
(() => {
  const search = document.getElementById("search");
  const standings = [...document.querySelectorAll(".standing")];
  const count = document.getElementById("count");
  const scenarios = [...document.querySelectorAll(".scenario")].map(element => ({
    element,
    open: element.open,
    rows: [...element.querySelectorAll("tbody tr")].map(row => ({
      row, text: row.dataset.text, standings: row.dataset.standing.split(" "),
    })),
  }));
  const all = scenarios.reduce((sum, scenario) => sum + scenario.rows.length, 0);
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(standings.filter(box => box.checked).map(box => box.value));
    const every = wanted.size === standings.length && words.length === 0;
    let shown = 0;
    for (const scenario of scenarios) {
      let here = 0;
      for (const { row, text, standings } of scenario.rows) {
        const fits = words.every(word => text.includes(word)) && standings.some(one => wanted.has(one));
        if (row.hidden === fits) row.hidden = !fits;
        here += fits;
      }
      scenario.element.hidden = here === 0;
      scenario.element.open = every ? scenario.open : here > 0;
      shown += here;
    }
    count.textContent = every ? "" : `${shown} of ${all} rows`;
  }
  search.addEventListener("input", filter);
  standings.forEach(box => box.addEventListener("change", filter));

  const dialog = document.getElementById("cell");
  const body = document.getElementById("cell-body");
  const templates = new Map([...document.querySelectorAll("template[data-id]")].map(one => [one.dataset.id, one]));
  function show(template) {
    body.replaceChildren(template.content.cloneNode(true));
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }
  function follow() {
    const template = templates.get(decodeURIComponent(location.hash.slice(1)));
    if (template) show(template); else if (dialog.open) dialog.close();
  }
  document.addEventListener("click", event => {
    const cell = event.target.closest("button[data-cell]");
    if (cell) location.hash = encodeURIComponent(document.getElementById("c" + cell.dataset.cell).dataset.id);
    const copy = event.target.closest("button.copy");
    if (copy) {
      const text = copy.previousElementSibling.textContent;
      const done = () => { copy.textContent = "Copied"; };
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => getSelection().selectAllChildren(copy.previousElementSibling));
      else getSelection().selectAllChildren(copy.previousElementSibling);
    }
  });
  dialog.addEventListener("close", () => { if (location.hash) history.replaceState(null, "", location.pathname + location.search); });
  addEventListener("hashchange", follow);
  follow();
})();
