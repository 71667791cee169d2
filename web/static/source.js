// The page of a cited document beside the answer, its passage marked and in view.

import { isolated, shown } from "./bidi.js";
import { onPage } from "./commands.js";
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
    const page = new URL(link.href).searchParams.get("page");
    const request = ++this.request;
    this.release();
    this.opener = link;
    link.setAttribute("aria-expanded", "true");
    find("h2", this.dialog).replaceChildren(...shown(link.dataset.title));
    find(".where", this.dialog).replaceChildren(isolated(link.dataset.source), ` · page ${page}`);
    find(".whole", this.dialog).href = link.href;
    const text = find(".text", this.dialog);
    text.replaceChildren(make("p", { class: "progress" }, "Opening"));
    speak(text, null);
    this.show();
    const headers = { Accept: "application/problem+json, text/html;q=0.9" };
    const response = await fetch(link.href, { headers }).catch(() => null);
    if (request !== this.request) return;
    if (!response?.ok) {
      text.replaceChildren(...onPage(response ? await reasonOf(response) : "The server cannot be reached."));
      return;
    }
    // the document's own page, as the server renders it
    const whole = new DOMParser().parseFromString(await response.text(), "text/html");
    if (request !== this.request) return;
    const original = find(".document-text", whole);
    text.replaceChildren(...(original ? original.children : ["This document is being read anew."]));
    speak(text, original);
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
    // what was opened from the best quote so far is cited by the answer that took its place
    const opener = this.opener?.isConnected ? this.opener
      : [...document.querySelectorAll(".cite")].find(({ href }) => href === this.opener?.href);
    this.release();
    const { activeElement } = document;
    if (activeElement === document.body || this.dialog.contains(activeElement)) opener?.focus();
  }

  release() {
    this.opener?.removeAttribute("aria-expanded");
    this.opener = null;
  }
}

// Gives text its document's language and direction, or takes those of the one before away.
function speak(text, original) {
  for (const name of ["lang", "dir"]) {
    if (original?.hasAttribute(name)) text.setAttribute(name, original.getAttribute(name));
    else text.removeAttribute(name);
  }
}
