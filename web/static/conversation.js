// What this tab remembers of a conversation: the names of its answers, and what is not sent yet.
// No text of an answer or a document is kept: what is deleted must be gone from here too.

import { reasonOf } from "./dom.js";

const MOST_ANSWERS = 50;
const MOST_MS = 15_000;
const NOTHING = { answers: [], draft: "", choices: {}, scroll: 0 };

export class Conversation {
  // A document that is asked alone has a conversation of its own.
  constructor(documentId = "") {
    this.key = `conversation ${documentId}`;
    this.kept = { ...NOTHING, ...stored(this.key) };
  }

  add(answerId) {
    this.keep({ answers: [...this.kept.answers, answerId].slice(-MOST_ANSWERS) });
  }

  keep(changes) {
    this.kept = { ...this.kept, ...changes };
    // a browser may have no storage for us, or none left
    try { sessionStorage.setItem(this.key, JSON.stringify(this.kept)); } catch { /* it is not kept */ }
  }

  forget() {
    this.kept = NOTHING;
    try { sessionStorage.removeItem(this.key); } catch { /* it was not kept */ }
  }
}

function stored(key) {
  try { return JSON.parse(sessionStorage.getItem(key)); } catch { return null; }
}

// A recorded answer; else that it is gone, or the reason why it cannot be had.
export async function recall(answerId) {
  try {
    const path = `/api/v1/answers/${encodeURIComponent(answerId)}`;
    const response = await fetch(path, { signal: AbortSignal.timeout(MOST_MS) });
    if (response.status === 404) return { gone: true };
    return response.ok ? { answer: await response.json() } : { reason: await reasonOf(response) };
  } catch {
    return { reason: "The server cannot be reached. Is Cloister still running?" };
  }
}
