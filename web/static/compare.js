// The page that compares two models: says that it is at work, which may take a while.

import { find } from "./dom.js";

const form = document.querySelector("#both");

form?.addEventListener("submit", () => {
  find("button", form).disabled = true;
  find("#waiting").textContent = "One answers after the other; a model that is not loaded yet takes longer.";
});

// back from the answers, where a browser keeps the page as it was left
window.addEventListener("pageshow", () => {
  if (!form) return;
  find("button", form).disabled = false;
  find("#waiting").textContent = "";
});
