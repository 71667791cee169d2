// Small helpers for building pages out of text; nothing here parses HTML.

document.documentElement.classList.add("scripted");

export const find = (selector, root = document) => root.querySelector(selector);

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function fromTemplate(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

// A failed reply as a sentence for people; the server's problem documents say what to do.
export async function reasonOf(response) {
  try {
    const problem = await response.json();
    return problem.detail || problem.title;
  } catch {
    return `The server answered ${response.status}.`;
  }
}
