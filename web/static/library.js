// The library page: uploads with progress, states that follow the server, deletion.

import { isolated, shown } from "./bidi.js";
import { onPage } from "./commands.js";
import { find, reasonOf } from "./dom.js";
import { Uploads } from "./uploads.js";

const LABELS = { pending: "Waiting to be read", parsing: "Reading", embedding: "Indexing" };
const UNFINISHED = Object.keys(LABELS);
const POLL_MS = 1000;
const AT_ONCE = 10;
const GONE = {};
const drop = find("#drop");
const input = find("#files");
const notice = find("#notice");
const followed = new Map();
let polling = false;

const uploads = new Uploads(find("#uploads"), {
  maxBytes: Number(drop.dataset.maxBytes),
  collection: () => drop.elements.collection?.value,
  received: (document, row) => {
    row.follow(document, LABELS[document.state]);
    follow(document.id, row);
  },
});

input.addEventListener("change", () => {
  uploads.add([...input.files]);
  input.value = "";
});
window.addEventListener("beforeunload", (event) => {
  if (uploads.busy) event.preventDefault();
});
drop.addEventListener("submit", (event) => event.preventDefault());

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    drop.classList.add("is-over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) drop.classList.remove("is-over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  drop.classList.remove("is-over");
  uploads.add(filesOf(event.dataTransfer));
});

// What was dropped; a folder's bytes cannot be sent, so it is told apart here.
function filesOf(dropped) {
  return [...dropped.items].filter((item) => item.kind === "file").map((item) => {
    const entry = item.webkitGetAsEntry?.();
    return entry?.isDirectory ? { name: entry.name, isFolder: true } : item.getAsFile();
  });
}

function follow(id, row = null) {
  followed.set(id, row);
  if (!polling) poll();
}

async function poll() {
  polling = true;
  try {
    while (followed.size) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      await lookAtSome();
    }
  } finally {
    polling = false;
  }
}

async function lookAtSome() {
  let finished = 0;
  for (const [id, row] of [...followed].slice(0, AT_ONCE)) {
    finished += (await look(id, row)) ? 1 : 0;
  }
  if (finished) {
    await refresh();
    followListed(); // what was taken out of an archive
  }
}

// True when the document needs no further look; a reply that says nothing is no reason to end.
async function look(id, row) {
  const found = await state(id);
  if (!followed.delete(id)) return false; // deleted meanwhile
  if (found?.state) row?.follow(found, LABELS[found.state]);
  if (found === GONE || (found && !UNFINISHED.includes(found.state))) return true;
  followed.set(id, row); // to the end of the line
  return false;
}

// A document as it is now, GONE, or null where that cannot be told.
async function state(id) {
  try {
    const response = await fetch(`/api/v1/documents/${id}`);
    if (response.status === 404) return GONE;
    return response.ok ? await response.json() : null;
  } catch {
    return null;
  }
}

// Takes the list from the page as the server renders it now; what is the same stays, with its focus.
async function refresh() {
  let text;
  try {
    const response = await fetch(location.href);
    text = response.ok && await response.text();
  } catch { /* the list stays as it was */ }
  if (!text) return;
  const page = new DOMParser().parseFromString(text, "text/html");
  if (!find("#total", page)) return; // not the library's page
  find("#total").textContent = find("#total", page).textContent;
  const focused = document.activeElement;
  const wasListed = find(".documents")?.contains(focused);
  for (const selector of [".documents", ".empty", ".paging"]) {
    const [old, now] = [find(selector), find(selector, page)];
    if (old && now && selector === ".documents") patch(find("#documents"), [...find("#documents", page).rows]);
    else {
      old?.remove();
      if (now) find(".page").append(now);
    }
  }
  if (wasListed && !document.activeElement?.closest(".documents")) find("#total").focus({ preventScroll: true });
}

// Makes the rows of a table's body these ones, touching only those that differ.
function patch(body, rows) {
  const ids = new Set(rows.map((row) => row.dataset.id));
  for (const old of [...body.rows]) if (!ids.has(old.dataset.id)) old.remove();
  let at = body.firstElementChild;
  for (const row of rows) {
    if (at?.dataset.id === row.dataset.id) {
      const next = at.nextElementSibling;
      if (!at.isEqualNode(row)) replace(at, row);
      at = next;
    } else {
      rowOf(row.dataset.id)?.remove();
      body.insertBefore(row, at);
    }
  }
}

function replace(old, row) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(row);
  if (focused) (find(focused.matches(".remove") ? ".remove" : "button", row) ?? find("th a", row)).focus();
}

function rowOf(id) {
  return find(`#documents [data-id="${CSS.escape(id)}"]`);
}

// Stays until the next attempt, whatever becomes of the row it is about.
function say(...parts) {
  notice.replaceChildren(...parts);
  notice.hidden = parts.length === 0;
}

function followListed() {
  for (const row of document.querySelectorAll("[data-id]")) {
    const { id, state } = row.dataset;
    if (UNFINISHED.includes(state) && !followed.has(id)) follow(id);
  }
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest?.(".remove");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const row = link.closest("[data-id]");
  const { id } = row.dataset;
  const title = find("th a", row).textContent;
  const dialog = find("#confirm");
  find(".which", dialog).replaceChildren(...shown(title));
  dialog.returnValue = "keep";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue === "delete") await remove(id, title);
  else find(".remove", rowOf(id) ?? document)?.focus();
});

async function remove(id, title) {
  const failure = await tell(`/api/v1/documents/${id}`, "DELETE");
  if (failure) {
    say("“", isolated(title), "” was not deleted: ", ...onPage(failure));
    find(".remove", rowOf(id) ?? document)?.focus();
    return;
  }
  followed.delete(id);
  const at = rowOf(id)?.sectionRowIndex ?? 0;
  await refresh();
  const rows = find("#documents")?.rows ?? [];
  // what stands in its place now, to go on from there
  const next = rows[Math.min(at, rows.length - 1)];
  (next ? find(".remove", next) : find("#total")).focus({ preventScroll: true });
  find("#done").replaceChildren("Deleted “", isolated(title), "”.");
}

document.addEventListener("submit", async (event) => {
  if (!event.target.matches(".retry")) return;
  event.preventDefault();
  const row = event.target.closest("[data-id]");
  const { id } = row.dataset;
  const title = find("th a", row).textContent;
  const failure = await tell(`/api/v1/documents/${id}/retry`, "POST");
  if (failure) say("“", isolated(title), "” is not read again: ", ...onPage(failure));
  await refresh();
  if (!failure) follow(id);
});

// Why a request about a document failed; "" where it did not, or where the document has gone.
async function tell(url, method) {
  say();
  const response = await fetch(url, { method }).catch(() => null);
  if (!response) return "The server cannot be reached.";
  return response.ok || response.status === 404 ? "" : reasonOf(response);
}

followListed();
