"use strict";
const table = document.getElementById("variants");
if (table) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const heads = Array.from(table.tHead.rows[0].cells);
  const filter = document.getElementById("filter");
  const count = document.getElementById("count");
  const value = (row, column, numeric) => {
    const cell = row.cells[column];
    const text = cell.dataset.sort === undefined ? cell.textContent.trim() : cell.dataset.sort;
    return numeric ? (text === "" ? -Infinity : Number(text)) : text.toLowerCase();
  };
  const show = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = shown === rows.length ? `${rows.length} variants` : `${shown} of ${rows.length} variants`;
  };
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const numeric = head.dataset.kind === "number";
      // Numbers are looked at from the largest down first.
      const now = head.getAttribute("aria-sort");
      const up = now === "none" ? !numeric : now === "descending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const sorted = rows.slice().sort((one, two) => {
        const [a, b] = [value(one, column, numeric), value(two, column, numeric)];
        const order = a < b ? -1 : a > b ? 1 : 0;
        return up ? order : -order;
      });
      body.append(...sorted);
    });
  });
  filter.addEventListener("input", show);
  document.getElementById("download").addEventListener("click", () => {
    const clean = (cell) => cell.textContent.trim().replace(/\s+/g, " ");
    const lines = [heads, ...Array.from(body.rows).filter((row) => !row.hidden).map((row) => Array.from(row.cells))];
    const text = lines.map((cells) => cells.map(clean).join("\t")).join("\n") + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
    link.download = "variants.tsv";
    link.click();
    URL.revokeObjectURL(link.href);
  });
  show();
}
