"use strict";
// A click on a heading of a table.sortable sorts it by that column; the value of a cell stands in data-value.
(() => {
  function sortable(table) {
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => {
      heading.querySelector("button").addEventListener("click", () => {
        const order = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        headings.forEach((other) => other.setAttribute("aria-sort", other === heading ? order : "none"));
        const sign = order === "ascending" ? 1 : -1;
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(a.cells[column].dataset.value, b.cells[column].dataset.value, sign));
        table.tBodies[0].append(...rows);
      });
    });
  }

  // Cells without a value stay at the end in both orders.
  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const [x, y] = [Number(a), Number(b)];
    return sign * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y);
  }

  document.querySelectorAll("table.sortable").forEach(sortable);
})();
