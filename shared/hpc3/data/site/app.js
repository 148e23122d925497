// The list of images: search and filters over the data in images.js. No request leaves the page.
"use strict";
(() => {
  const STEP = 50;
  const { hosts, columns, rows } = window.HPC3;
  const at = Object.fromEntries(columns.map((name, index) => [name, index]));
  const $ = (id) => document.getElementById(id);
  const filters = ["software", "mpi", "gpu", "target"];
  const haystack = rows.map((row) => [row[at.title], row[at.reference], row[at.mpi], row[at.gpu], row[at.target]]
    .join(" ").toLowerCase());
  let shown = STEP;

  function fillSelect(name) {
    const values = [...new Set(rows.map((row) => row[at[name]]).filter(Boolean))].sort();
    for (const value of values) $(name).add(new Option(value, value));
  }

  function matching() {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = filters.map((name) => [at[name], $(name).value]).filter(([, value]) => value);
    const runs = $("host") ? $("host").value : "";
    return rows.filter((row, index) =>
      words.every((word) => haystack[index].includes(word)) &&
      wanted.every(([column, value]) => row[column] === value) &&
      (!runs || ["ok", "degraded"].includes(row[at.verdicts][hosts.indexOf(runs)])));
  }

  function cell(name, content) {
    const element = document.createElement("td");
    element.dataset.name = name;
    element.append(content);
    return element;
  }

  function line(row) {
    const element = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    const link = document.createElement("a");
    link.href = `images/${row[at.page]}.html`;
    link.textContent = row[at.title];
    const reference = document.createElement("small");
    reference.textContent = row[at.reference];
    head.append(link, " ", reference);
    element.append(head, cell("Target", row[at.target]), cell("MPI", row[at.mpi]), cell("GPU", row[at.gpu]));
    hosts.forEach((host, index) => {
      const verdict = document.createElement("span");
      verdict.className = `verdict ${row[at.verdicts][index]}`;
      verdict.textContent = row[at.verdicts][index];
      element.append(cell(host, verdict));
    });
    return element;
  }

  function show() {
    const found = matching();
    $("rows").replaceChildren(...found.slice(0, shown).map(line));
    $("count").textContent = `${found.length} of ${rows.length} images`;
    $("more").hidden = found.length <= shown;
  }

  function changed() {
    shown = STEP;
    const query = new URLSearchParams();
    for (const id of ["search", ...filters, "host"]) if ($(id) && $(id).value) query.set(id, $(id).value);
    history.replaceState(null, "", query.size ? `#${query}` : location.pathname);
    show();
  }

  filters.forEach(fillSelect);
  const asked = new URLSearchParams(location.hash.slice(1));
  for (const [id, value] of asked) if ($(id)) $(id).value = value;
  $("filters").hidden = false;
  $("filters").addEventListener("input", changed);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { shown += STEP; show(); });
  show();
})();
