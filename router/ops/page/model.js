// What the page knows: the nodes and links of the configuration, their counters, the events.

import { Node, keyOf, said } from './node.js';
import { Store } from './store.js';
import { OTHER, mayTake } from './types.js';

const TOLD = { failed: 'failed', retried: 'retried', rejected: 'rejected', crash_loop: 'rejected', unmatched: 'unmatched', skipped: 'skipped', duplicate: 'duplicates' };

export class Model {
  constructor() {
    this.config = null;
    this.counts = null;
    this.nodes = new Map();
    this.links = [];
    this.store = new Store();
    this.all = new Node('all', 'all', '');
    this.offset = 0; // of the router's clock
    this.order = 0;
    this.seq = 0;
  }

  now() {
    return Date.now() + this.offset;
  }

  node(...parts) {
    return this.nodes.get(keyOf(...parts));
  }

  of(kind) {
    return [...this.nodes.values()].filter((n) => n.kind === kind);
  }

  // configure makes the picture; what goes on keeps its history.
  configure(config) {
    for (const list of ['channels', 'handlers', 'routes', 'sources', 'files']) config[list] ||= []; // Go writes an empty list as null, too
    if (this.config && this.config.started !== config.started) this.restart();
    this.config = config;
    const old = this.nodes;
    this.nodes = new Map();
    this.links = [];
    const add = (kind, parts, name, fields) => {
      const key = keyOf(kind, ...parts);
      const node = old.get(key) || new Node(kind, key, name);
      this.nodes.set(key, Object.assign(node, fields));
      return node;
    };
    // As the routes name them: the router tells channels by name.
    const first = (c) => (config.routes.findIndex((r) => r.channel === c.name) + 1) || Infinity;
    const rank = new Map(config.channels.map((c) => [c, first(c)]));
    config.channels.sort((a, b) => (rank.get(a) === rank.get(b) ? 0 : rank.get(a) - rank.get(b)));
    for (const c of config.channels) this.addChannel(add, c, config.routes);
    for (const s of config.sources) add('source', [s.name], s.name, { channel: s.channel, spec: s });
    for (const r of config.routes) {
      add('route', [r.channel, r.name], r.name, { channel: r.channel, spec: r });
    }
    for (const h of config.handlers) {
      add('handler', [h.name], h.name, { spec: h, routes: config.routes.filter((r) => r.handler === h.name).map((r) => this.node('route', r.channel, r.name)) });
    }
    this.join(config);
  }

  addChannel(add, c, routes) {
    add('channel', [c.name], c.name, { spec: c, routes: routes.filter((r) => r.channel === c.name) });
    const types = [...c.types];
    if (this.others(c)) types.push(OTHER);
    const known = new Set(c.types);
    for (const t of types) {
      const has = t === OTHER && !known.has(OTHER) ? (type) => !known.has(type) : (type) => type === t;
      add('type', [c.name, t], t, { channel: c.name, spec: c, has });
    }
  }

  // others reports whether a channel has a node for the types that nobody declared.
  others(c) {
    const seen = this.counts && this.counts.channels[c.name];
    return !c.types.includes(OTHER) && (c.types.length === 0 || Boolean(seen && seen.types && seen.types[OTHER]));
  }

  join(config) {
    const link = (from, to, route) => from && to && this.links.push({ key: from.key + to.key, from, to, route });
    for (const s of this.of('source')) link(s, this.node('channel', s.channel), null);
    for (const type of this.of('type')) {
      link(this.node('channel', type.channel), type, null);
      for (const r of config.routes) {
        if (r.channel === type.channel && mayTake(r.types, type.name)) link(type, this.node('route', r.channel, r.name), r);
      }
    }
    for (const r of config.routes) link(this.node('route', r.channel, r.name), this.node('handler', r.handler), r);
  }

  // restart: another process answers, whose counters and numbers begin anew.
  restart() {
    this.seq = 0;
    this.counts = null;
    this.all.forget();
    for (const node of this.nodes.values()) node.forget();
  }

  // count takes counters, and says whether the picture has to be made again.
  count(counts) {
    if (!this.config) return false;
    const seconds = this.counts ? Math.max(0.2, (counts.at - this.counts.at) / 1000) : 1;
    this.offset = counts.at - Date.now();
    this.counts = counts;
    const stale = this.config.channels.some((c) => this.others(c) && !this.node('type', c.name, OTHER));
    if (stale) this.configure(this.config);
    let received = 0;
    for (const c of this.config.channels) received += this.countChannel(c, counts.channels[c.name] || {}, seconds, counts.at);
    for (const s of this.of('source')) this.countSource(s, (counts.sources || {})[s.name], seconds, counts.at);
    this.countRoutes(counts, seconds);
    for (const h of this.of('handler')) this.gather(h, seconds, counts.at);
    const sum = { handled: 0, failed: 0, rejected: 0 };
    for (const n of this.nodes.values()) {
      if (n.kind === 'route') { sum.handled += n.totals.handled || 0; sum.failed += n.totals.failed || 0; }
      if (n.kind === 'channel') sum.rejected += n.totals.rejected || 0;
    }
    this.all.advance(received, sum, seconds, counts.at);
    this.all.marks = {};
    return stale;
  }

  countChannel(c, n, seconds, at) {
    const node = this.node('channel', c.name);
    node.advance(n.received || 0, { ...n, types: undefined }, seconds, at);
    node.behind = (n.queued || 0) + (n.lag || 0);
    node.now = n;
    for (const type of this.of('type')) {
      if (type.channel === c.name) type.advance((n.types && n.types[type.name]) || 0, {}, seconds, at);
    }
    return n.received || 0;
  }

  countSource(node, n, seconds, at) {
    if (!n) return; // of another configuration; the next will fit
    node.advance(n.received, n, seconds, at);
    node.now = n;
    node.level = n.state === 'given_up' ? 'error' : n.trouble || n.state === 'waiting' || n.state === 'stood_down' ? 'warn' : '';
  }

  countRoutes(counts, seconds) {
    if ((counts.routes || []).length < this.config.routes.length) return; // of another configuration; the next will fit
    this.config.routes.forEach((r, i) => {
      const n = counts.routes[i];
      this.node('route', r.channel, r.name).advance(finished(n), n, seconds, counts.at);
    });
  }

  // gather adds up the routes of a handler.
  gather(handler, seconds, at) {
    const sum = {};
    for (const route of handler.routes) {
      for (const [k, v] of Object.entries(route.totals)) sum[k] = (sum[k] || 0) + v;
    }
    handler.advance(finished(sum), sum, seconds, at);
    handlerMarks(handler);
  }

  // see takes events, and returns those that are new.
  see(events) {
    const fresh = [];
    for (const event of events || []) {
      if (event.seq <= this.seq) continue;
      this.seq = event.seq;
      event.order = ++this.order;
      this.store.add(event);
      fresh.push(event);
      const kind = TOLD[event.result];
      const node = event.route ? this.node('route', event.channel, event.route) : this.node('channel', event.channel);
      if (kind && node) node.see(kind, event.at, reason(event), this.now());
    }
    if (fresh.length) this.of('handler').forEach(handlerMarks);
    return fresh;
  }
}

// reason is why an event failed, in short.
function reason(event) {
  if (event.result === 'unmatched') return `no route takes type "${event.type || ''}"`;
  if (event.result === 'retried') return `${event.error || 'failed'} (attempt ${event.attempt || 1})`;
  return event.error || event.reason || '';
}

function handlerMarks(handler) {
  handler.marks = {};
  for (const route of handler.routes) merge(handler.marks, route.marks);
}

// merge adds marks to marks; the text is that of the newest.
function merge(into, marks) {
  for (const [kind, m] of Object.entries(marks)) {
    const sum = into[kind] ||= { settled: 0, ahead: 0, last: 0, text: '' };
    sum.settled += said(m);
    if (m.last >= sum.last) Object.assign(sum, { last: m.last, text: m.text });
  }
}

// finished is how many events a route is done with, whatever became of them.
function finished(n) {
  return ['handled', 'failed', 'skipped', 'filtered', 'duplicates', 'withdrawn', 'unfinished'].reduce((sum, k) => sum + (n[k] || 0), 0);
}
