// Where the nodes stand and how the lines run between them.

import { lines } from './words.js';

const HIGH = { 1: 28, 2: 46, 3: 64 }; // px, by lines
const GAP = 8; // between two nodes of a channel
const BLOCK = 22; // between two channels
const SHARE = { source: 0.26, channel: 0.28, type: 0.18, route: 0.3, handler: 0.24 }; // of the width of all nodes
const WIDEST = { source: 290, channel: 290, type: 220, route: 380, handler: 290 };

const high = (node) => HIGH[lines(node)];

const NARROW = 680; // px; below, everything stands in one column
const SOURCE = 140; // more where there are sources

const kinds = (nodes) => Object.keys(SHARE).filter((k) => k !== 'source' || nodes.some((n) => n.kind === k));

// place returns {places: Map of key → {x, y, w, h}, paths: Map of key → d, height, heads}.
export function place(nodes, links, width) {
  return width < NARROW + (kinds(nodes).length > 4 ? SOURCE : 0) ? column(nodes, links, width) : columns(nodes, links, width);
}

// columns puts sources, channels, types, routes and handlers side by side. Each channel has a block of
// its own, so that lines cross only on the way to the handlers.
function columns(nodes, links, width) {
  const gaps = Math.max(30, Math.min(110, width * 0.08 - 30));
  const of = kinds(nodes);
  const between = of.length - 1;
  const free = (width - between * gaps - 2) / of.reduce((sum, k) => sum + SHARE[k], 0);
  const w = {};
  for (const k of of) w[k] = Math.min(WIDEST[k], Math.floor(free * SHARE[k]));
  const rest = (width - 2 - Object.values(w).reduce((a, b) => a + b, 0)) / between;
  const x = {};
  of.reduce((left, k) => (x[k] = left) + w[k] + rest, 1);
  const places = new Map();
  let y = 1;
  for (const c of nodes.filter((n) => n.kind === 'channel')) {
    y = block(nodes, c, y, x, w, places) + BLOCK;
  }
  const height = Math.max(y - BLOCK, handlers(nodes, links, places, x.handler, w.handler));
  return { places, paths: curves(links, places), height: height + 2, heads: { x, w } };
}

// block stands the sources, types and routes of a channel beside it, and returns where it ends.
function block(nodes, channel, top, x, w, places) {
  const types = nodes.filter((n) => n.kind === 'type' && n.channel === channel.name);
  const routes = nodes.filter((n) => n.kind === 'route' && n.channel === channel.name);
  const sources = nodes.filter((n) => n.kind === 'source' && n.channel === channel.name);
  const long = (list) => list.reduce((sum, n) => sum + high(n) + GAP, -GAP);
  const height = Math.max(long([channel]), long(sources), long(types), long(routes));
  const stack = (list, kind) => {
    let y = top + (height - long(list)) / 2;
    for (const n of list) {
      places.set(n.key, { x: x[kind], y, w: w[kind], h: high(n) });
      y += high(n) + GAP;
    }
  };
  stack(sources, 'source');
  stack([channel], 'channel');
  stack(types, 'type');
  stack(routes, 'route');
  return top + height;
}

// handlers stand as near to the middle of their routes as the others let them.
function handlers(nodes, links, places, x, w) {
  const list = nodes.filter((n) => n.kind === 'handler').map((node) => {
    const ys = links.filter((l) => l.to === node && places.has(l.from.key)).map((l) => places.get(l.from.key)).map((p) => p.y + p.h / 2 - HIGH[2] / 2);
    return { node, y: ys.length ? ys.reduce((a, b) => a + b, 0) / ys.length : 0 };
  }).sort((a, b) => a.y - b.y);
  let free = 1;
  for (const h of list) {
    h.y = Math.max(h.y, free);
    free = h.y + HIGH[2] + GAP;
  }
  // What was pushed below the last route moves up again.
  let floor = Math.max(...[...places.values()].map((p) => p.y + p.h), free > 1 ? list.length * (HIGH[2] + GAP) : 0);
  for (const h of [...list].reverse()) {
    h.y = Math.min(h.y, floor - HIGH[2]);
    floor = h.y - GAP;
  }
  for (const h of list) places.set(h.node.key, { x, y: Math.max(1, h.y), w, h: HIGH[2] });
  return list.length ? list.at(-1).y + HIGH[2] : 0;
}

function curves(links, places) {
  const paths = new Map();
  for (const l of links) {
    const a = places.get(l.from.key);
    const b = places.get(l.to.key);
    if (!a || !b) continue;
    const x1 = a.x + a.w;
    const y1 = a.y + a.h / 2;
    const y2 = b.y + b.h / 2;
    const bend = (b.x - x1) / 2;
    paths.set(l.key, `M${x1} ${y1}C${x1 + bend} ${y1} ${b.x - bend} ${y2} ${b.x} ${y2}`);
  }
  return paths;
}

// column is the picture of a phone: the sources of a channel, the channel, its types side by side, its routes below, and
// at last the handlers.
function column(nodes, links, width) {
  const places = new Map();
  const indent = 22;
  let y = 1;
  for (const c of nodes.filter((n) => n.kind === 'channel')) {
    for (const n of [...nodes.filter((s) => s.kind === 'source' && s.channel === c.name), c]) {
      places.set(n.key, { x: 1, y, w: width - 2, h: high(n) });
      y += high(n) + GAP;
    }
    const types = nodes.filter((n) => n.kind === 'type' && n.channel === c.name);
    const half = (width - indent - GAP - 1) / 2;
    types.forEach((t, i) => {
      places.set(t.key, { x: indent + (i % 2) * (half + GAP), y, w: half, h: high(t) });
      if (i % 2 === 1 || i === types.length - 1) y += high(t) + GAP;
    });
    for (const r of nodes.filter((n) => n.kind === 'route' && n.channel === c.name)) {
      places.set(r.key, { x: indent, y, w: width - indent - 1, h: high(r) });
      y += high(r) + GAP;
    }
    y += BLOCK - GAP;
  }
  const under = y;
  for (const h of nodes.filter((n) => n.kind === 'handler')) {
    places.set(h.key, { x: 1, y, w: width - 2, h: high(h) });
    y += high(h) + GAP;
  }
  return { places, paths: rails(nodes, links, places), height: y, heads: null, under };
}

// rails run down from a channel and turn off to its routes.
function rails(nodes, links, places) {
  const paths = new Map();
  for (const l of links) {
    if (l.to.kind !== 'route' || paths.has(l.to.key)) continue;
    const a = places.get(JSON.stringify(['channel', l.to.channel]));
    const b = places.get(l.to.key);
    if (a && b) paths.set(l.to.key, `M10 ${a.y + a.h}V${b.y + b.h / 2 - 8}q0 8 8 8H${b.x}`);
  }
  return paths;
}
