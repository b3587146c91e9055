// The picture: nodes that are buttons, lines between them, and a light that runs along a line
// when something travels.

import { el, plain, put, set, svg } from './dom.js';
import { rate } from './format.js';
import { place } from './layout.js';
import { badges, label, lines, subtitle } from './words.js';
import { spark } from './spark.js';

const MOST = 300; // nodes; more are a table
const TRAINS = 16; // lights at a time
const SLIM = { source: 215, type: 180, channel: 215, route: 215, handler: 215 }; // px; narrower nodes have no chart
const EVERY = 450; // ms between two lights of a route
const HEADS = { source: 'sources', channel: 'channels', type: 'types', route: 'routes', handler: 'handlers' };

export class Flow {
  constructor(host, open) {
    this.host = host;
    this.open = open;
    this.views = new Map();
    this.trains = 0;
    this.sent = new Map();
    this.still = matchMedia('(prefers-reduced-motion: reduce)');
    new ResizeObserver(() => this.arrange()).observe(host);
    host.addEventListener('keydown', (e) => this.key(e));
  }

  static fits(nodes) {
    return nodes.length <= MOST;
  }

  // build makes the picture of nodes, which are a part of the model's.
  build(nodes, links) {
    const focused = document.activeElement && document.activeElement.dataset && document.activeElement.dataset.node;
    this.nodes = inOrder(nodes);
    this.links = links;
    this.views.clear();
    this.lines = svg('svg', { class: 'lines', 'aria-hidden': 'true' });
    this.paths = new Map();
    this.heads = Object.entries(HEADS).map(([kind, text]) => el('h3', { class: 'head', 'data-kind': kind }, text));
    this.box = el('div', { class: 'sheet' }, this.lines);
    for (const node of this.nodes) this.box.append(this.view(node));
    this.host.replaceChildren(el('div', { class: 'heads' }, this.heads), this.box);
    this.width = 0;
    this.arrange();
    if (focused && this.views.has(focused)) this.views.get(focused).button.focus({ preventScroll: true });
  }

  view(node) {
    const v = {
      lamp: el('i', { class: 'lamp' }),
      rate: el('span', { class: 'num' }),
      badges: el('span', { class: 'badges' }),
      canvas: el('canvas', { class: 'spark' }),
    };
    const name = node.kind === 'type' && node.name === 'other' ? 'other types' : plain(node.name);
    v.button = el('button', { type: 'button', class: 'node', 'data-kind': node.kind, 'data-node': node.key, on: { click: () => this.open(node) } },
      el('span', { class: 'first' }, v.lamp, el('span', { class: 'name mono' }, name), v.canvas, v.rate));
    if (lines(node) === 2) v.button.append(el('span', { class: 'second' }, subtitle(node), v.badges));
    if (lines(node) === 3) v.button.append(subtitle(node), v.badges);
    v.button.addEventListener('focus', () => put(v.button, 'aria-label', label(node)));
    this.views.set(node.key, v);
    return v.button;
  }

  // arrange puts everything where it belongs, when the width is another.
  arrange() {
    const width = this.host.clientWidth;
    if (!this.box || width === 0 || width === this.width) return;
    this.width = width;
    const { places, paths, height, heads, under } = place(this.nodes, this.links, width);
    this.box.style.height = `${height}px`;
    put(this.lines, 'width', width);
    put(this.lines, 'height', height);
    for (const [key, { button }] of this.views) {
      const p = places.get(key);
      if (!p) continue;
      put(button, 'data-slim', p.w < SLIM[button.dataset.kind] ? '' : null);
      Object.assign(button.style, { left: `${p.x}px`, top: `${p.y}px`, width: `${p.w}px`, height: `${p.h}px` });
    }
    this.draw(paths);
    for (const h of this.heads) {
      const kind = h.dataset.kind;
      h.hidden = heads ? !(kind in heads.x) : kind !== 'handler';
      if (heads) Object.assign(h.style, { left: `${heads.x[kind]}px`, top: '' });
      else Object.assign(h.style, { left: '0px', top: `${under + 4}px` });
    }
    this.host.dataset.mode = heads ? 'columns' : 'column';
    this.update();
  }

  draw(paths) {
    this.paths.clear();
    this.lines.replaceChildren();
    for (const l of this.links) {
      const key = paths.has(l.key) ? l.key : l.to.key;
      if (!paths.has(key) || this.paths.has(key)) continue;
      const path = svg('path', { d: paths.get(key) });
      this.paths.set(key, { path, link: l, d: paths.get(key) });
      this.lines.append(path);
    }
  }

  // update writes what has changed: it runs once a second, and when something fails.
  update() {
    for (const node of this.nodes || []) {
      const v = this.views.get(node.key);
      const state = node.state;
      put(v.button, 'data-state', state);
      set(v.rate, rate(node.rate));
      if (node.kind !== 'type') badges(v.badges, node);
      const busy = node.points.some((p) => p > 0);
      v.canvas.hidden = !busy || v.button.dataset.slim === '';
      if (busy && !v.canvas.hidden) spark(v.canvas, node.points, state, node.kind === 'type' ? 34 : 46, 15);
      if (v.state !== state || document.activeElement !== v.button) put(v.button, 'aria-label', label(node));
      v.state = state;
    }
    for (const { path, link } of this.paths ? this.paths.values() : []) {
      const flow = flowOf(link);
      path.style.strokeWidth = `${(1 + 1.25 * Math.log10(1 + flow * 60)).toFixed(1)}px`;
      put(path, 'data-state', stateOf(link, flow));
    }
  }

  // travel sends a light along the way of each event, but only as many as an eye can follow.
  travel(events) {
    if (this.still.matches || !this.box || this.host.dataset.mode !== 'columns') return;
    for (const e of events) {
      const way = `${e.channel}\n${e.route || ''}`;
      const now = performance.now();
      if (this.trains >= TRAINS || now - (this.sent.get(way) || 0) < EVERY) continue;
      this.sent.set(way, now);
      this.train(e);
    }
  }

  train(event) {
    const pick = (test) => [...this.paths.values()].find(({ link }) => test(link));
    const type = pick((l) => l.to.kind === 'type' && l.to.channel === event.channel && l.to.has(event.type));
    if (!type || !event.route) return;
    const route = pick((l) => l.from === type.link.to && l.to.name === event.route);
    const end = route && pick((l) => l.from === route.link.to);
    if (!end) return;
    const d = [type.d, route.d.replace('M', 'L'), end.d.replace('M', 'L')].join('');
    const dot = el('i', { class: 'train', 'data-result': event.result });
    dot.style.offsetPath = `path("${d}")`;
    this.box.append(dot);
    this.trains++;
    const run = dot.animate([{ offsetDistance: '0%' }, { offsetDistance: '100%' }], { duration: 900, easing: 'ease-in-out' });
    run.onfinish = run.oncancel = () => {
      dot.remove();
      this.trains--;
    };
  }

  // key moves the focus with the arrows: along lines, and up and down a column.
  key(e) {
    const from = e.target.dataset && this.views.get(e.target.dataset.node) && e.target;
    const turn = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
    if (!from || !turn) return;
    const a = from.getBoundingClientRect();
    let best = null;
    let least = Infinity;
    for (const { button } of this.views.values()) {
      const b = button.getBoundingClientRect();
      const dx = (b.left + b.width / 2) - (a.left + a.width / 2);
      const dy = (b.top + b.height / 2) - (a.top + a.height / 2);
      const ahead = dx * turn[0] + dy * turn[1];
      const aside = Math.abs(turn[0] ? dy : dx);
      const cost = ahead + aside * (turn[0] ? 1.5 : 20);
      if (ahead > 4 && cost < least) [best, least] = [button, cost];
    }
    if (!best) return;
    e.preventDefault();
    best.focus();
  }
}

// inOrder is the order of the tab key: the sources of a channel, the channel, its types, its routes; at last the handlers.
function inOrder(nodes) {
  const own = (c) => nodes.filter((n) => (n.kind === 'type' || n.kind === 'route') && n.channel === c.name);
  return [...nodes.filter((n) => n.kind === 'channel').flatMap((c) => [...nodes.filter((n) => n.kind === 'source' && n.channel === c.name), c, ...own(c)]), ...nodes.filter((n) => n.kind === 'handler')];
}

// flowOf is how much runs along a line, as far as it is known: a route takes every event of a type.
function flowOf(link) {
  return link.to.kind === 'handler' ? link.from.rate : Math.min(link.from.rate, link.to.rate);
}

function stateOf(link, flow) {
  const route = link.route && (link.to.kind === 'route' ? link.to : link.from);
  if (route && route.state === 'error') return 'error';
  if (flow <= 0) return 'idle';
  const channel = link.from.kind === 'channel' ? link.from : null;
  return channel && channel.state === 'behind' ? 'behind' : 'flowing';
}
