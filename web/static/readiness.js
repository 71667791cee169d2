// The line above every page that says why nothing can be asked, or read, yet.

import { find } from "./dom.js";

const LOOK_MS = 1000;

async function watch(line) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const response = await fetch("/readyz").catch(() => null);
    if (!response) continue;
    const { ready, reason } = await response.json();
    if (ready && !reason) {
      line.remove();
      return;
    }
    if (reason && line.textContent !== reason) line.textContent = reason;
  }
}

watch(find("#not-ready"));
