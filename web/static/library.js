// The library page: uploads with progress, states that follow the server, deletion.

import { find, reasonOf } from "./dom.js";
import { Uploads } from "./uploads.js";

const LABELS = { pending: "Waiting to be read", parsing: "Reading", embedding: "Indexing" };
const UNFINISHED = Object.keys(LABELS);
const POLL_MS = 1000;
const AT_ONCE = 10;
const drop = find("#drop");
const input = find("#files");
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
  uploads.add([...event.dataTransfer.files]);
});

function follow(id, row = null) {
  followed.set(id, row);
  if (!polling) poll();
}

async function poll() {
  polling = true;
  while (followed.size) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    let finished = 0;
    for (const [id, row] of [...followed].slice(0, AT_ONCE)) {
      finished += (await look(id, row)) ? 1 : 0;
    }
    if (finished) await refresh();
  }
  polling = false;
}

// True when the document needs no further look.
async function look(id, row) {
  const response = await fetch(`/api/v1/documents/${id}`).catch(() => null);
  if (!response) return false;
  followed.delete(id);
  if (!response.ok) return true;
  const document = await response.json();
  row?.follow(document, LABELS[document.state]);
  if (!UNFINISHED.includes(document.state)) return true;
  followed.set(id, row); // to the end of the line
  return false;
}

// Takes the list from the page as the server renders it now.
async function refresh() {
  const response = await fetch(location.href).catch(() => null);
  if (!response?.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const selector of [".documents", ".empty", ".paging"]) {
    find(selector)?.remove();
    const now = find(selector, page);
    if (now) find(".page").append(now);
  }
  find("#total").textContent = find("#total", page).textContent;
}

function followListed() {
  for (const row of document.querySelectorAll("[data-id]")) {
    if (UNFINISHED.includes(row.dataset.state)) follow(row.dataset.id);
  }
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest?.(".remove");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const row = link.closest("[data-id]");
  const dialog = find("#confirm");
  find(".which", dialog).textContent = find("th a", row).textContent;
  dialog.returnValue = "keep";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  if (dialog.returnValue === "delete") await remove(row);
});

async function remove(row) {
  const response = await fetch(`/api/v1/documents/${row.dataset.id}`, { method: "DELETE" }).catch(() => null);
  if (response && (response.ok || response.status === 404)) {
    followed.delete(row.dataset.id);
    await refresh();
    find("#total").focus();
    return;
  }
  const reason = response ? await reasonOf(response) : "The server cannot be reached.";
  find("[data-label='State']", row).textContent = `Not deleted: ${reason}`;
}

document.addEventListener("submit", async (event) => {
  if (!event.target.matches(".retry")) return;
  event.preventDefault();
  const { id } = event.target.closest("[data-id]").dataset;
  await fetch(`/api/v1/documents/${id}/retry`, { method: "POST" }).catch(() => null);
  await refresh();
  follow(id);
});

followListed();
