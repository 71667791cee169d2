// Right or wrong: the buttons below an answer, which say so without leaving the page.

import { onPage } from "./commands.js";
import { find, fromTemplate, make, reasonOf } from "./dom.js";

// The buttons for an answer that was just made.
export function ratingOf(answerId) {
  const form = fromTemplate("rating-template");
  const name = encodeURIComponent(answerId);
  form.action = `/answers/${name}/rating`;
  form.dataset.answer = answerId;
  find(".asked", form).id = `rating-of-${name}`;
  find(".choices", form).setAttribute("aria-labelledby", `rating-of-${name}`);
  return form;
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".rating") || !event.submitter) return;
  event.preventDefault();
  rate(event.target, event.submitter);
});

// A button that is pressed takes the rating back.
async function rate(form, button) {
  const path = `/api/v1/answers/${encodeURIComponent(form.dataset.answer)}/feedback`;
  const back = button.getAttribute("aria-pressed") === "true";
  const given = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ rating: button.dataset.rating }) };
  let reason = null;
  try {
    const response = await fetch(path, back ? { method: "DELETE" } : given);
    const gone = back && response.status === 404; // taken back elsewhere
    if (!response.ok && !gone) reason = await reasonOf(response);
  } catch {
    reason = "The server cannot be reached. Is Cloister still running?";
  }
  const said = find(".said", form);
  if (reason) {
    said.replaceChildren(...onPage(reason));
    return;
  }
  const rating = back ? null : button.dataset.rating;
  for (const choice of form.querySelectorAll("[data-rating]")) {
    const pressed = choice.dataset.rating === rating;
    choice.setAttribute("aria-pressed", String(pressed));
    choice.value = pressed ? "none" : choice.dataset.rating;
  }
  const record = `/answers/${encodeURIComponent(form.dataset.answer)}#rating`;
  if (rating === "wrong") said.replaceChildren("Noted. ", make("a", { href: record }, "Say what would be right"));
  else said.replaceChildren(rating ? "Noted." : "Taken back.");
}
