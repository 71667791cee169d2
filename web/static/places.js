// Links to places in documents: citations and passages.

import { make } from "./dom.js";

export function placeUrl(place) {
  const query = new URLSearchParams({ page: place.page, start: place.start, end: place.end });
  return `/documents/${encodeURIComponent(place.document_id)}?${query}#passage`;
}

export function placeLink(place) {
  const folio = make("span", { class: "folio" }, `p.\u00a0${place.page}`);
  return keep(make("a", { href: placeUrl(place) }, make("span", { class: "name" }, place.title), " ", folio), place);
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
