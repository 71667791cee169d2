// The page of a cited document beside the answer, its passage marked and in view.

import { find, make, reasonOf } from "./dom.js";

const WIDE = matchMedia("(min-width: 64rem)");

export class Source {
  constructor(dialog) {
    this.dialog = dialog;
    this.opener = null;
    this.request = 0;
    find(".close", dialog).addEventListener("click", () => this.close());
    dialog.addEventListener("close", () => this.closed());
    dialog.addEventListener("click", (event) => { if (event.target === dialog && !WIDE.matches) this.close(); });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && dialog.open) this.close();
    });
    WIDE.addEventListener("change", () => this.close());
  }

  async open(link) {
    const url = new URL(link.href);
    const id = url.pathname.split("/").pop();
    const [page, start, end] = ["page", "start", "end"].map((name) => Number(url.searchParams.get(name)));
    const request = ++this.request;
    this.release();
    this.opener = link;
    link.setAttribute("aria-expanded", "true");
    find("h2", this.dialog).textContent = link.dataset.title;
    find(".where", this.dialog).textContent = `${link.dataset.source} · page ${page}`;
    find(".whole", this.dialog).href = link.href;
    const text = find(".text", this.dialog);
    text.replaceChildren(make("p", { class: "progress" }, "Opening"));
    this.show();
    const response = await fetch(`/api/v1/documents/${id}/pages/${page}`).catch(() => null);
    if (request !== this.request) return;
    if (!response?.ok) {
      text.replaceChildren(response ? await reasonOf(response) : "The server cannot be reached.");
      return;
    }
    text.replaceChildren(...blocksOf(await response.json(), start, end));
    find("mark", text)?.scrollIntoView({ block: "center" });
  }

  show() {
    document.body.classList.add("with-source");
    if (!this.dialog.open) {
      if (WIDE.matches) this.dialog.show();
      else this.dialog.showModal();
    }
    find("h2", this.dialog).focus({ preventScroll: true });
  }

  close() {
    if (this.dialog.open) this.dialog.close();
  }

  closed() {
    this.request += 1;
    document.body.classList.remove("with-source");
    const opener = this.opener;
    this.release();
    const { activeElement } = document;
    if (activeElement === document.body || this.dialog.contains(activeElement)) opener?.focus();
  }

  release() {
    this.opener?.removeAttribute("aria-expanded");
    this.opener = null;
  }
}

// Offsets count code points, while strings here count UTF-16 units.
function blocksOf(page, start, end) {
  const points = Array.from(page.text);
  const slice = (from, to) => points.slice(from, to).join("");
  return covering(page.blocks, points).map((block) => {
    const element = make("div", { class: `block is-${block.kind}` });
    const from = Math.max(start, block.start);
    const to = Math.min(end, block.end);
    if (from >= to) element.append(slice(block.start, block.end));
    else element.append(slice(block.start, from), make("mark", {}, slice(from, to)), slice(to, block.end));
    return element;
  });
}

function covering(blocks, points) {
  const all = [];
  const loose = (from, to) => {
    let [start, end] = [from, to];
    while (start < end && !points[start].trim()) start += 1;
    while (end > start && !points[end - 1].trim()) end -= 1;
    if (start < end) all.push({ start, end, kind: "paragraph" });
  };
  let at = 0;
  for (const block of [...blocks].sort((a, b) => a.start - b.start)) {
    loose(at, block.start);
    all.push(block);
    at = Math.max(at, block.end);
  }
  loose(at, points.length);
  return all;
}
