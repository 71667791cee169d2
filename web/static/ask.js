// The ask page: streams answers, keeps the conversation, opens sources.

import { find } from "./dom.js";
import { ask } from "./events.js";
import "./rating.js";
import { Source } from "./source.js";
import { Turn } from "./turn.js";

const MOST_TURNS = 20;
const form = find("#composer");
const box = find("#question");
const send = find("#send");
const stop = find("#stop");
const fresh = find("#fresh");
const turns = find("#turns");
const tooLong = find("#too-long");
const source = new Source(find("#source"));
let history = [];
let running = null;

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = box.value.trim();
  if (question && !running && !measure()) answer(question);
});

box.addEventListener("input", measure);

box.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

// Says that a question is too long, and by how much, before it is sent and lost from the box.
function measure() {
  const length = Array.from(box.value.trim()).length;
  const most = Number(box.dataset.most);
  tooLong.textContent = length > most
    ? `${length.toLocaleString("en")} characters; at most ${most.toLocaleString("en")} are taken. Shorten it.`
    : "";
  send.disabled = length > most;
  return length > most;
}

stop.addEventListener("click", () => running?.abort());

fresh.addEventListener("click", () => {
  running?.abort();
  history = [];
  source.close();
  turns.replaceChildren();
  document.body.classList.remove("has-turns");
  if (form.elements.model) form.elements.model.value = "";
  fresh.hidden = true;
  box.focus();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".cite, .passages a, .place");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  source.open(link);
});

async function answer(question) {
  const turn = new Turn(question);
  const request = new AbortController();
  begin(turn, request);
  const body = { question, history, parameters: parameters(), ...scope(), ...model() };
  let record = null;
  let ended = false;
  try {
    for await (const event of ask(body, request.signal)) {
      if (event.name === "done") record = event.data;
      turn.apply(event);
      ended = event.name === "done" || event.name === "error";
      if (ended) break;
    }
    if (!ended) turn.fail("The answer broke off before its end. Ask again.");
    if (record) history = [...history, { question, answer: record.text }].slice(-MOST_TURNS);
  } catch (error) {
    if (request.signal.aborted) turn.stopped();
    else turn.fail(error instanceof TypeError ? "The server cannot be reached. Is Cloister still running?" : error.message);
  } finally {
    end(request);
  }
}

// Which documents are asked: one, those of a collection, or all.
function scope() {
  const { document: only, collection } = form.elements;
  if (only) return { filters: { documents: [only.value] } };
  return collection?.value ? { collections: [collection.value] } : {};
}

// Which model is to write the answer, where one is chosen; it stays for the conversation.
function model() {
  const value = form.elements.model?.value;
  return value ? { model: value } : {};
}

// How the answer is to be generated, where something is said of it.
function parameters() {
  const given = Array.from(form.querySelectorAll("[data-parameter]")).filter(({ value }) => value.trim());
  return Object.fromEntries(given.map(({ name, value, dataset }) =>
    [name, dataset.parameter === "number" ? Number(value) : value]));
}

// A field that is wrong must be seen before it can be said so.
form.addEventListener("invalid", (event) => {
  const details = event.target.closest("details");
  if (details) details.open = true;
}, true);

function begin(turn, request) {
  running = request;
  document.body.classList.add("has-turns");
  turns.append(turn.root);
  box.value = "";
  send.hidden = true;
  stop.hidden = false;
  fresh.hidden = false;
  turn.root.scrollIntoView({ block: "start" });
}

function end(request) {
  if (running !== request) return;
  running = null;
  send.hidden = false;
  if (document.activeElement === stop) box.focus();
  stop.hidden = true;
}
