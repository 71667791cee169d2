// Uploads, one request a file and two at once, each with its own row.

import { shown } from "./bidi.js";
import { find, fromTemplate, make } from "./dom.js";

const AT_ONCE = 2;

export class Uploads {
  // `received(id, row)` is called for each file that the server took in.
  constructor(list, { maxBytes, collection, received }) {
    Object.assign(this, { list, maxBytes, collection, received, waiting: [], active: 0 });
  }

  add(files) {
    for (const file of files) {
      const row = new UploadRow(file);
      row.again.addEventListener("click", () => this.queue(row));
      row.cancel.addEventListener("click", () => this.drop(row));
      this.list.append(row.root);
      this.queue(row);
    }
  }

  // Whether leaving the page would lose something.
  get busy() {
    return this.active > 0 || this.waiting.length > 0;
  }

  queue(row) {
    if (row.file.isFolder) {
      row.fail("This is a folder. Drop the files in it, or take all of it in with “cloister ingest sync”.", false);
      return;
    }
    if (row.file.size > this.maxBytes) {
      row.fail(`Larger than the limit of ${Math.floor(this.maxBytes / 1e6)} MB. Split it, or have the limit raised.`, false);
      return;
    }
    row.say("Waiting its turn");
    row.mayCancel(true);
    this.waiting.push(row);
    this.next();
  }

  next() {
    while (this.active < AT_ONCE && this.waiting.length) {
      this.active += 1;
      this.send(this.waiting.shift()).finally(() => {
        this.active -= 1;
        this.next();
      });
    }
  }

  drop(row) {
    this.waiting = this.waiting.filter((other) => other !== row);
    row.request?.abort();
    row.fail("Cancelled; it was not added.");
  }

  send(row) {
    const form = new FormData();
    if (this.collection()) form.append("collection", this.collection());
    form.append("files", row.file);
    return new Promise((resolve) => {
      const request = row.request = new XMLHttpRequest();
      request.upload.addEventListener("progress", (event) => row.sent(event.loaded / event.total));
      request.addEventListener("load", () => { this.finished(row, request); resolve(); });
      request.addEventListener("abort", resolve);
      request.addEventListener("error", () => { row.fail("The connection broke before the file was whole."); resolve(); });
      request.open("POST", "/api/v1/documents");
      request.setRequestHeader("Accept", "application/json");
      request.send(form);
    }).finally(() => { row.request = null; });
  }

  finished(row, request) {
    let reply = {};
    try { reply = JSON.parse(request.responseText); } catch { /* said below */ }
    const received = reply.documents?.[0];
    row.mayCancel(false);
    if (received) {
      if (received.source !== received.name) row.known = received.source;
      this.received(received, row);
    } else row.fail(reply.errors?.[0]?.detail || reply.detail || `The server answered ${request.status}.`, request.status !== 415);
  }
}

class UploadRow {
  constructor(file) {
    this.file = file;
    // the name under which its bytes were in the library before
    this.known = "";
    this.root = fromTemplate("upload-template");
    this.bar = find("progress", this.root);
    this.again = find(".again", this.root);
    this.cancel = find(".cancel", this.root);
    this.request = null;
    find(".name", this.root).append(...shown(file.name));
    find(".name", this.root).title = file.name;
    this.bar.setAttribute("aria-label", `Progress of ${file.name}`);
    this.cancel.setAttribute("aria-label", `Cancel ${file.name}`);
  }

  // sending is the first half of the bar, reading and indexing the other
  sent(share) {
    this.bar.value = share / 2;
    if (share === 1) this.mayCancel(false); // the server has all of it
    this.say(share < 1 ? `Sending, ${Math.round(share * 100)} %` : "Sent, being stored");
  }

  follow({ id, state, progress, error }, label) {
    this.bar.value = 0.5 + (progress ?? 0) / 2;
    if (state === "failed") this.fail(error);
    else if (state === "live") {
      this.bar.value = 1;
      this.root.classList.add("is-done");
      this.link(`/documents/${encodeURIComponent(id)}`);
      this.say(this.known ? `Searchable, already in the library as “${this.known}”` : "Searchable");
    } else this.say(label);
  }

  link(address) {
    const name = find(".name", this.root);
    if (!find("a", name)) name.replaceChildren(make("a", { href: address }, ...name.childNodes));
  }

  say(text) {
    const status = find(".status", this.root);
    this.root.classList.remove("is-failed");
    this.again.hidden = true;
    if (status.textContent !== text) status.replaceChildren(...shown(text));
  }

  fail(reason, retry = true) {
    this.say(reason);
    this.root.classList.remove("is-done");
    this.root.classList.add("is-failed");
    this.again.hidden = !retry;
    this.mayCancel(false);
  }

  // The focus is not lost with the button.
  mayCancel(may) {
    const focused = document.activeElement === this.cancel;
    this.cancel.hidden = !may;
    if (focused && !may) (this.again.hidden ? this.root : this.again).focus({ preventScroll: true });
  }
}
