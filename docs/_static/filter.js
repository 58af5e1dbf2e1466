/* A box above each long table of known errors: it hides the rows that lack one of the words typed. */

document.addEventListener("DOMContentLoaded", () => {
  if (!location.pathname.includes("known-errors")) return;
  for (const table of document.querySelectorAll("article table")) {
    const rows = [...table.querySelectorAll("tbody tr")];
    if (rows.length < 8) continue;
    const box = document.createElement("input");
    box.type = "search";
    box.className = "row-filter";
    box.placeholder = `Filter ${rows.length} rows: a client, a class, a code, permanent ...`;
    box.setAttribute("aria-label", "Filter the rows of this table");
    box.addEventListener("input", () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
    (table.closest(".table-wrapper") || table).before(box);
  }
});
