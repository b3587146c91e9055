// The events that the page remembers: a few of each route and channel, and not too many bytes.

const WELL = 150; // events of a route that went well
const BADLY = 100; // and that did not
const CHARS = 12_000_000; // of messages, of all together

const bad = new Set(['failed', 'rejected', 'crash_loop', 'retried', 'unmatched']);

export const isBad = (event) => bad.has(event.result);

export class Store {
  constructor() {
    this.rings = new Map();
    this.chars = 0;
  }

  add(event) {
    const key = JSON.stringify([event.channel, event.route || '', isBad(event)]);
    let ring = this.rings.get(key);
    if (!ring) this.rings.set(key, ring = { events: [], chars: 0, channel: event.channel, route: event.route || '', handler: event.handler || '' });
    ring.events.push(event);
    this.weigh(ring, size(event));
    if (ring.events.length > (isBad(event) ? BADLY : WELL)) this.drop(ring);
    while (this.chars > CHARS) this.drop(this.largest());
  }

  drop(ring) {
    this.weigh(ring, -size(ring.events.shift()));
  }

  weigh(ring, chars) {
    ring.chars += chars;
    this.chars += chars;
  }

  largest() {
    return [...this.rings.values()].reduce((a, b) => (b.chars > a.chars ? b : a));
  }

  // of lists the events that a node has to do with, the newest first.
  of(node) {
    const found = [];
    for (const ring of this.rings.values()) {
      if (concerns(node, ring)) found.push(...ring.events.filter((e) => concerns(node, e)));
    }
    return found.sort((a, b) => b.order - a.order);
  }
}

const size = (event) => (event.message || '').length + 200;

// concerns reports whether a node has to do with an event, or with a ring of them.
export function concerns(node, it) {
  switch (node.kind) {
    case 'source': return false;
    case 'channel': return it.channel === node.name;
    case 'type': return it.channel === node.channel && (!('type' in it) || node.has(it.type));
    case 'route': return it.channel === node.channel && it.route === node.name;
    default: return it.handler === node.name;
  }
}
