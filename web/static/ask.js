// The ask page: streams answers, keeps the conversation, opens sources.

import { countOptions, showOptions } from "./composer.js";
import { Conversation, recall } from "./conversation.js";
import { find, make } from "./dom.js";
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
const conversation = new Conversation(form.elements.document?.value);
let said = []; // what was asked and answered, for questions that follow
let running = null;
let asked = ""; // the question under way
const restored = restore();
// not where a keyboard would come up over the page
if (matchMedia("(pointer: fine)").matches && !location.hash) box.focus({ preventScroll: true });

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const question = box.value.trim();
  if (question && !running && !measure()) answer(question);
});

box.addEventListener("input", () => {
  measure();
  conversation.keep({ draft: box.value });
});

form.addEventListener("change", (event) => {
  const { name, value } = event.target;
  if (event.target.matches("select")) conversation.keep({ choices: { ...conversation.kept.choices, [name]: value } });
});

// A question that is left unanswered is to be asked again.
window.addEventListener("pagehide", () => {
  const draft = box.value || (running ? asked : "");
  if (draft || turns.children.length) conversation.keep({ draft, scroll: window.scrollY });
});

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
  said = [];
  conversation.forget();
  source.close();
  turns.replaceChildren();
  document.body.classList.remove("has-turns");
  if (form.elements.model) form.elements.model.value = "";
  showOptions(false);
  countOptions();
  fresh.hidden = true;
  box.focus();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.(".cite, .passages a, .place");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  source.open(link);
});

// Shows again what this tab's conversation was before the page was left.
async function restore() {
  const { answers, draft, choices, scroll } = conversation.kept;
  if (turns.children.length) return; // answered without JavaScript
  for (const select of form.querySelectorAll("select")) {
    if ([...select.options].some(({ value }) => value === choices[select.name])) select.value = choices[select.name];
  }
  if (!box.value) box.value = draft;
  measure();
  countOptions();
  if (!answers.length) return;
  window.history.scrollRestoration = "manual";
  show(make("li", { class: "progress", role: "status" }, "Opening what was said before"));
  const found = await Promise.all(answers.map(recall));
  if (conversation.kept.answers !== answers) return; // a new one was begun meanwhile
  turns.replaceChildren(...found.map((one) => Turn.of(one).root));
  const kept = found.flatMap(({ answer: record }) => (record ? [record] : []));
  said = kept.map((record) => ({ question: record.question, answer: record.text }));
  window.scrollTo(0, scroll);
}

async function answer(question) {
  const request = new AbortController();
  running = request;
  asked = question;
  await restored; // what was said before comes first
  if (request.signal.aborted) return end(request);
  const turn = new Turn(question);
  begin(turn, question);
  const body = { question, history: said.slice(-MOST_TURNS), parameters: parameters(), ...scope(), ...model() };
  let record = null;
  let ended = false;
  try {
    for await (const event of ask(body, request.signal)) {
      if (event.name === "done") record = event.data;
      if (event.name === "error") failed(turn, question, event.data.detail || event.data.title);
      else turn.apply(event);
      ended = event.name === "done" || event.name === "error";
      if (ended) break;
    }
    if (!ended) failed(turn, question, "The answer broke off before its end.");
    if (record) note(question, record);
  } catch (error) {
    if (request.signal.aborted) turn.stopped();
    else failed(turn, question, error instanceof TypeError ? "The server cannot be reached. Is Cloister still running?" : error.message);
  } finally {
    end(request);
  }
}

// What was asked for nothing need not be typed again.
function failed(turn, question, reason) {
  turn.fail(reason, () => {
    if (running) return;
    turn.root.remove();
    answer(question);
  });
  if (box.value.trim()) return;
  box.value = question;
  conversation.keep({ draft: question });
}

function note(question, record) {
  said.push({ question, answer: record.text });
  conversation.add(record.id);
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

function show(line) {
  document.body.classList.add("has-turns");
  turns.append(line);
  fresh.hidden = false;
}

function begin(turn, question) {
  show(turn.root);
  if (box.value.trim() === question) box.value = "";
  conversation.keep({ draft: box.value });
  // what was pressed to ask again has gone
  if (document.activeElement === document.body) find(".question", turn.root).focus({ preventScroll: true });
  wait(true);
  send.hidden = true;
  stop.hidden = false;
  turn.root.scrollIntoView({ block: "start" });
}

function end(request) {
  if (running !== request) return;
  running = null;
  wait(false);
  send.hidden = false;
  if (document.activeElement === stop) box.focus();
  stop.hidden = true;
}

function wait(busy) {
  for (const button of turns.querySelectorAll(".ask-again")) button.disabled = busy;
}
