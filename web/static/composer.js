// The question's form below a conversation: its options are folded, and nothing that has the
// keyboard's focus stands behind it.

import { find } from "./dom.js";

const form = find("#composer");
const button = find("#options");

export function showOptions(shown) {
  form.classList.toggle("with-options", shown);
  button.setAttribute("aria-expanded", String(shown));
}

// While they are folded it is seen how many are chosen.
export function countOptions() {
  const chosen = [...form.querySelectorAll("select, [data-parameter]")].filter(({ value }) => value.trim());
  button.textContent = chosen.length ? `Options (${chosen.length})` : "Options";
}

function makeRoom() {
  const covers = getComputedStyle(form).position === "sticky";
  document.documentElement.style.setProperty("--covered", covers ? `${form.offsetHeight}px` : "0px");
}

button.addEventListener("click", () => showOptions(!form.classList.contains("with-options")));
form.addEventListener("input", countOptions);
// A field that is wrong must be seen before it can be said so.
form.addEventListener("invalid", (event) => {
  const details = event.target.closest("details");
  if (!details) return;
  showOptions(true);
  details.open = true;
}, true);
new ResizeObserver(makeRoom).observe(form, { box: "border-box" });
window.addEventListener("resize", makeRoom);
