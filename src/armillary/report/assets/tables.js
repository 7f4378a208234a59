// Sorting of tables by a click on the head of a column: first click down for numbers, up for text; empty cells stay last.

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    button.addEventListener("click", () => {
      const numeric = button.dataset.order === "number";
      const before = head.getAttribute("aria-sort");
      const ascending = before ? before === "descending" : !numeric;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortRows(table.tBodies[0], column, numeric, ascending ? 1 : -1);
    });
  });
}

function sortRows(body, column, numeric, sign) {
  const keyed = [...body.rows].map((row) => {
    const cell = row.cells[column];
    const text = numeric ? cell.dataset.value : cell.textContent;
    return { row, key: numeric ? Number(text) : text, empty: text === "" || text === "–" };
  });
  keyed.sort((a, b) => {
    if (a.empty || b.empty) return a.empty - b.empty;
    return sign * (numeric ? a.key - b.key : a.key.localeCompare(b.key, "en", { numeric: true }));
  });
  body.append(...keyed.map((entry) => entry.row));
}

