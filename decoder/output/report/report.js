"use strict";
(() => {
  const all = (selector, root) => [...(root || document).querySelectorAll(selector)];
  const make = (name, words) => Object.assign(document.createElement(name), { textContent: words });

  // Rows packed into the page.
  const unpack = async (id) => {
    const packed = document.getElementById(id + "-rest");
    const bytes = Uint8Array.from(atob(packed.textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const rows = JSON.parse(await new Response(stream).text());
    const table = document.getElementById(id);
    const numbers = all("th", table).map((th) => th.className);
    for (const row of rows) {
      const tr = table.tBodies[0].insertRow();
      row.forEach((cell, i) => { const td = make("td", cell); td.className = numbers[i]; tr.append(td); });
    }
    packed.remove();
  };
  for (const note of all("[data-rest]")) {
    const button = make("button", "Show the other rows");
    button.onclick = async () => { await unpack(note.dataset.rest); note.remove(); search(); };
    note.append(" ", button);
  }

  // Sorting.
  const key = (row, i) => {
    const cell = row.cells[i], given = cell.dataset.sort, words = cell.textContent;
    if (given !== undefined) return Number(given);
    const number = Number(words.replaceAll(",", ""));
    return words === "-" ? -1 : words !== "" && !isNaN(number) ? number : words;
  };
  for (const th of all("table.sortable th")) {
    const button = make("button", th.textContent);
    button.title = "Sort by " + th.textContent;
    th.replaceChildren(button);
    button.onclick = () => {
      const table = th.closest("table"), i = th.cellIndex, down = th.getAttribute("aria-sort") !== "descending";
      all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [key(row, i), row]);
      const order = ([a], [b]) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
      rows.sort(order);
      if (down) rows.reverse();
      table.tBodies[0].append(...rows.map(([, row]) => row));
    };
  }

  // Search and filters.
  const find = document.getElementById("find"), found = document.getElementById("found");
  const hiddenKinds = new Set();
  const search = () => {
    const words = find.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of all(".row, tbody tr")) {
      const text = words.length ? row.textContent.toLowerCase() : "";
      const match = words.every((word) => text.includes(word));
      row.hidden = !match || hiddenKinds.has(row.dataset.severity);
      if (words.length && match) {
        count++;
        for (let up = row.parentElement.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
      }
    }
    found.textContent = words.length ? `${count} rows match` : "";
  };
  find.hidden = false;
  find.oninput = search;
  for (const kind of ["error", "warning", "note"]) {
    if (!document.querySelector(`.group.${kind}`)) continue;
    const label = make("label", ` ${kind}s`), box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.onchange = () => { hiddenKinds[box.checked ? "delete" : "add"](kind); search(); };
    label.prepend(box);
    found.before(label);
  }

  // Copying a filter for Wireshark.
  const copy = async (button, words) => {
    try {
      await navigator.clipboard.writeText(words);
    } catch {
      const area = document.createElement("textarea");
      area.value = words;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = "copied";
  };
  for (const code of all("article p code")) {
    const button = make("button", "copy");
    button.title = "Copy this display filter for Wireshark";
    button.onclick = () => copy(button, code.textContent);
    code.after(" ", button);
  }

  // Links to one message open what is folded around it.
  const go = () => {
    const target = /^#[\w-]+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let up = target.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
    all("details", target).forEach((inner) => { inner.open = true; });
    if (target.hidden) { find.value = ""; search(); }
    target.scrollIntoView();
    if (target.tabIndex === -1) target.focus({ preventScroll: true });
  };
  addEventListener("hashchange", go);
  go();
})();
