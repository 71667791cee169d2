// Text as it is shown. A character that turns the direction of what follows it stands in a box of its
// own, with a mark: it turns nothing, and is still there to be copied and counted.

import { make } from "./dom.js";

const TURNING = /([\u202a-\u202e\u2066-\u2069])/;
const NAMES = {
  "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
  "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI",
};

export function shown(text) {
  return text.split(TURNING).filter(Boolean).map((part) =>
    (part in NAMES ? make("span", { class: "steer", "data-name": NAMES[part] }, part) : part));
}

// A name within a sentence, or beside other text, whatever direction it is written in.
export function isolated(text, attributes = {}) {
  return make("bdi", attributes, ...shown(text));
}
