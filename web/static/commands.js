// What a message says of commands, for people who read it on a page: a link to the page that shows
// the same, else the command as code.

import { shown } from "./bidi.js";
import { make } from "./dom.js";

const PAGES = {
  "cloister ingest status": ["/library", "the library"],
  "cloister models list": ["/models", "the page Models"],
};

export function onPage(text) {
  const parts = text.split(/`([^`]+)`/);
  return parts.flatMap((part, at) => {
    if (at % 2 === 0) return shown(part);
    if (!Object.hasOwn(PAGES, part)) return [make("code", {}, part)];
    const [address, name] = PAGES[part];
    const first = /(^|[.!?])\s*$/.test(parts[at - 1]);
    return [make("a", { href: address }, first ? name[0].toUpperCase() + name.slice(1) : name)];
  });
}
