// A click on a title sorts by it; one more click, the other way round.
const titles = [...document.querySelectorAll("th")];

function sort(column) {
  const title = titles[column], rows = document.querySelector("tbody");
  const first = title.dataset.first;
  const other = first === "ascending" ? "descending" : "ascending";
  const order = title.ariaSort === first ? other : first;
  for (const each of titles) each.ariaSort = each === title ? order : null;
  const sign = order === "ascending" ? 1 : -1;
  const sorted = [...rows.rows].sort((a, b) => sign * compare(a.cells[column], b.cells[column]));
  rows.append(...sorted);
}

function compare(a, b) {
  return "n" in a.dataset ? a.dataset.n - b.dataset.n : a.textContent.localeCompare(b.textContent);
}

titles.forEach((title, column) => { title.firstChild.onclick = () => sort(column); });
document.documentElement.dataset.ready = "yes";
