// One question and its answer on the ask page, built up event by event.

import { isolated, shown } from "./bidi.js";
import { onPage } from "./commands.js";
import { find, fromTemplate, make } from "./dom.js";
import { byPage, citeLink, disagreement, newerVersions, pageLink, placeLink } from "./places.js";
import { ratingOf } from "./rating.js";

const LABELS = { supported: "supported", quoted: "quoted", unsupported: "not supported", catalog: "from the catalog" };

export class Turn {
  constructor(question) {
    this.root = fromTemplate("turn-template");
    this.citations = new Map();
    this.passages = [];
    this.draft = find(".draft", this.root);
    this.evidence = find(".evidence", this.root);
    this.sentences = find(".sentences", this.root);
    find(".question", this.root).append(...shown(question));
  }

  // A turn of before, by what could be recalled of its answer.
  static of({ answer, gone, reason }) {
    const turn = new Turn(answer?.question ?? (gone ? "Gone with its document" : "A question asked before"));
    if (answer) turn.finish(answer);
    else if (gone) turn.gone();
    else turn.fail(`${reason} Reload the page to look again.`);
    return turn;
  }

  apply({ name, data }) {
    if (name === "sources") this.showPassages(data.passages);
    else if (name === "evidence") this.showEvidence(data);
    else if (name === "loading") this.showLoading(data.model);
    else if (name === "token") this.addDraft(data.text);
    else if (name === "sentence") this.addSentence(data);
    else if (name === "done") this.finish(data);
  }

  showPassages(passages) {
    this.passages = passages;
    const list = find(".passages", this.root);
    list.replaceChildren(...byPage(passages).map(({ title, source, pages }) =>
      make("li", {}, isolated(title, { class: "name", title: source }),
        ...pages.flatMap((passage) => [" ", pageLink(passage)]))));
    find(".read", this.root).hidden = passages.length === 0;
    this.progress("Writing, and checking each sentence");
  }

  // The best quote is there to read at once; the answer takes its place.
  showEvidence({ text, citation }) {
    const words = make("span", { class: "words", dir: "auto" }, ...shown(text), "\u00a0", citeLink(citation));
    this.evidence.append(words, " ", make("span", { class: "support" }, "best quote so far"));
    this.evidence.hidden = false;
    this.progress("The best quote is below; writing, and checking each sentence");
  }

  // The model that was chosen is not loaded yet, which takes a while.
  showLoading(model) {
    const quote = this.evidence.hidden ? "" : "The best quote is below; ";
    this.progress(quote ? `${quote}loading ${model}` : `Loading ${model}`);
  }

  dropEvidence() {
    this.evidence.replaceChildren();
    this.evidence.hidden = true;
  }

  addDraft(text) {
    this.draft.append(...shown(text));
    this.draft.hidden = false;
    this.progress(null);
  }

  addSentence(sentence) {
    for (const citation of sentence.new_citations ?? []) this.citations.set(citation.n, citation);
    this.draft.replaceChildren();
    this.draft.hidden = true;
    if (!sentence.text) return;
    this.dropEvidence();
    this.sentences.append(this.sentenceLine(sentence));
  }

  sentenceLine(sentence) {
    const words = make("span", { class: "words", dir: "auto" }, ...shown(sentence.text));
    for (const n of sentence.citations) {
      if (this.citations.has(n)) words.append("\u00a0", citeLink(this.citations.get(n)));
    }
    const support = make("span", { class: "support" }, LABELS[sentence.support]);
    return make("p", { class: "sentence", "data-support": sentence.support }, words, " ", support);
  }

  // The record is the truth: what was shown on the way is replaced where it differs.
  finish(answer) {
    this.dropEvidence();
    for (const citation of answer.citations) this.citations.set(citation.n, citation);
    // a newer version may have been read as well
    if (answer.passages.length !== this.passages.length) this.showPassages(answer.passages);
    this.end();
    // what was listed is cited; it was not read to answer
    if (answer.answered_from === "catalog") find(".read", this.root).hidden = true;
    if (answer.abstained) this.abstain(answer);
    else this.settle(answer.sentences.map((sentence) => this.sentenceLine(sentence)));
    this.say(answer);
    this.root.append(metaOf(answer), ratingOf(answer.id));
  }

  // What the reader must know to judge the answer.
  say(answer) {
    const quoted = answer.sentences.length > 0 && answer.sentences.every(({ support }) => support === "quoted");
    find(".judge", this.root).hidden = !quoted;
    const differing = (answer.disagreements ?? []).map((other) =>
      make("p", { class: "newer" }, ...disagreement(other)));
    find(".judge", this.root).after(...differing, ...newerVersions(answer).map((twin) =>
      make("p", { class: "newer" }, "A newer document has a version of what is cited here: ", placeLink(twin))));
    const { question, standalone_question: standalone } = answer;
    if (!standalone || standalone === question) return;
    const line = find(".looked-up", this.root);
    line.replaceChildren("Together with what was asked before, looked up as ", make("q", { dir: "auto" }, ...shown(standalone)));
    line.hidden = false;
  }

  settle(lines) {
    const same = lines.length === this.sentences.children.length
      && lines.every((line, i) => line.isEqualNode(this.sentences.children[i]));
    if (!same) this.sentences.replaceChildren(...lines);
  }

  abstain(answer) {
    find(".read", this.root).hidden = true;
    const box = make("div", { class: "callout is-abstained" },
      make("h3", {}, "The documents do not say"), make("p", { dir: "auto" }, ...shown(answer.text)));
    const closest = answer.passages.slice(0, 3).map((passage) =>
      make("li", {}, placeLink(passage), make("q", { dir: "auto" }, ...shown(shortened(passage.text)))));
    if (closest.length) {
      box.append(make("h4", {}, "The closest passages"), make("ul", { class: "closest" }, ...closest));
    }
    this.sentences.replaceChildren(box);
  }

  // `again` is called to ask once more, where that can be done.
  fail(reason, again = null) {
    this.dropEvidence();
    this.end();
    const callout = make("div", { class: "callout is-problem", role: "alert" },
      make("h3", {}, "No answer this time"), make("p", {}, ...onPage(reason)));
    this.sentences.append(callout);
    if (!again) return;
    const button = make("button", { type: "button", class: "plain ask-again" }, "Ask again");
    button.addEventListener("click", again);
    callout.append(button);
  }

  gone() {
    this.end();
    this.sentences.append(make("p", { class: "stopped" },
      "What was asked and answered here held text of a document that was removed or changed since, and is not kept."));
  }

  stopped() {
    this.end();
    if (!this.evidence.hidden) find(".support", this.evidence).textContent = LABELS.quoted;
    const checked = this.sentences.children.length > 0 || !this.evidence.hidden;
    const kept = checked ? "What was checked until then is kept." : "Nothing was checked yet.";
    this.sentences.append(make("p", { class: "stopped" }, `Stopped. ${kept}`));
  }

  end() {
    this.draft.replaceChildren();
    this.draft.hidden = true;
    this.progress(null);
  }

  progress(text) {
    const line = find(".progress", this.root);
    line.hidden = text === null;
    if (text !== null) line.textContent = text;
  }
}

function shortened(text) {
  const points = Array.from(text.trim());
  return points.length > 220 ? `${points.slice(0, 219).join("")}…` : points.join("");
}

function metaOf(answer) {
  const meta = fromTemplate("meta-template");
  const seconds = (ms) => `${(ms / 1000).toFixed(1)}\u00a0s`;
  const set = (name, value) => {
    const cell = find(`[data-is="${name}"]`, meta);
    if (value === null) cell.parentElement.remove();
    else cell.append(value);
  };
  const { evidence, first_token: token, total } = answer.timings_ms;
  const first = evidence ?? token;
  set("first", first === undefined ? null : seconds(first));
  set("total", total === undefined ? null : seconds(total));
  const { id, adapter } = answer.model;
  const model = adapter ? `${id}, adapter ${adapter}` : id;
  set("model", answer.answered_from === "catalog" ? null : model);
  set("record", make("a", { href: `/answers/${encodeURIComponent(answer.id)}` }, answer.id));
  return meta;
}
