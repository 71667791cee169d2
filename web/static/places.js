// Links to places in documents: citations and passages.

import { isolated, shown } from "./bidi.js";
import { make } from "./dom.js";

export function placeUrl(place) {
  const query = new URLSearchParams({ page: place.page, start: place.start, end: place.end });
  return `/documents/${encodeURIComponent(place.document_id)}?${query}#passage`;
}

export function placeLink(place) {
  const folio = make("span", { class: "folio" }, `p.\u00a0${place.page}`);
  return keep(make("a", { class: "place", href: placeUrl(place) }, isolated(place.title, { class: "name" }), " ", folio), place);
}

// A page of a passage, below its document's name.
export function pageLink(place) {
  const name = `${place.title}, page ${place.page}`;
  return keep(make("a", { href: placeUrl(place), "aria-label": name }, `p.\u00a0${place.page}`), place);
}

// Passages by document, the best one of each page.
export function byPage(passages) {
  const documents = new Map();
  for (const passage of passages) {
    const { document_id: id, title, source, page } = passage;
    if (!documents.has(id)) documents.set(id, { title, source, pages: new Map() });
    const { pages } = documents.get(id);
    if (!pages.has(page)) pages.set(page, passage);
  }
  return [...documents.values()].map(({ title, source, pages }) => ({ title, source, pages: [...pages.values()] }));
}

// What another version says instead of what is cited, after what introduces it.
export function disagreement(other) {
  const { title, dated, older, later, quote } = other;
  const name = [isolated(title), dated && !title.includes(dated) ? ` of ${dated}` : ""];
  const lead = later ? ["Later, ", ...name, " says"]
    : older === null ? ["Two versions differ: ", ...name, " says"]
    : [`${older ? "An older" : "A newer"} version, `, ...name, ", says"];
  return [...lead, ": ", make("q", { dir: "auto" }, ...shown(quote)), " ", placeLink(other)];
}

// Newer documents that nearly say what an answer cites, each once; not those that disagree.
export function newerVersions({ citations, passages, disagreements = [] }) {
  const told = new Set(disagreements.map(({ document_id: id }) => id));
  const cited = new Set(citations.map(({ chunk_id: id }) => id));
  const found = new Map();
  for (const { chunk_id: id, twins = [] } of passages) {
    for (const twin of cited.has(id) ? twins : []) {
      const newer = twin.relation === "similar" && twin.age === "newer";
      if (newer && !told.has(twin.document_id) && !found.has(twin.document_id)) found.set(twin.document_id, twin);
    }
  }
  return [...found.values()];
}

export function citeLink(citation) {
  const name = `${citation.title}, page ${citation.page}`;
  const attributes = { class: "cite", href: placeUrl(citation), title: name, "aria-label": `Source ${citation.n}: ${name}` };
  return keep(make("a", attributes, String(citation.n)), citation);
}

function keep(link, place) {
  link.dataset.title = place.title;
  link.dataset.source = place.source;
  return link;
}
