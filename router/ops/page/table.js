// The picture as a table: for screen readers, and where there are too many nodes to draw.

import { el, plain, put, set } from './dom.js';
import { count, rate } from './format.js';
import { policy, standing } from './words.js';

const COLUMNS = ['channel', 'types', 'route', 'handler', 'rate', 'handled', 'failed', 'retried', 'last error'];

export class Table {
  constructor(host, open) {
    this.host = host;
    this.open = open;
    this.rows = [];
    this.sources = [];
  }

  build(model, nodes) {
    this.rows = nodes.filter((n) => n.kind === 'route').map((node) => this.row(model, node));
    this.sources = nodes.filter((n) => n.kind === 'source').map((node) => this.source(model, node));
    this.host.replaceChildren(this.sources.length ? el('table', {},
      el('caption', { class: 'hidden' }, 'Sources, and what they are at'),
      el('thead', {}, el('tr', {}, ['source', 'channel', 'rate', 'state'].map((c) => el('th', { scope: 'col', class: c === 'rate' ? 'num' : null }, c)))),
      el('tbody', {}, this.sources.map((r) => r.tr))) : '', el('table', {},
      el('caption', { class: 'hidden' }, 'Routes, with what flows through them'),
      el('thead', {}, el('tr', {}, COLUMNS.map((c, i) => el('th', { scope: 'col', class: i >= 4 && i < 8 ? 'num' : null }, c)))),
      el('tbody', {}, this.rows.map((r) => r.tr))));
    this.update();
  }

  link(n, text) {
    return el('button', { type: 'button', class: 'plain mono', on: { click: () => this.open(n) } }, text);
  }

  source(model, node) {
    const cells = [el('td', { class: 'num' }), el('td')];
    const channel = model.node('channel', node.channel);
    const tr = el('tr', {}, el('th', { scope: 'row' }, el('i', { class: 'lamp' }), this.link(node, plain(node.name))),
      el('td', {}, channel ? this.link(channel, plain(node.channel)) : plain(node.channel)), cells);
    return { node, tr, cells };
  }

  row(model, node) {
    const link = (n, text) => this.link(n, text);
    const channel = model.node('channel', node.channel);
    const handler = model.node('handler', node.spec.handler);
    const cells = COLUMNS.slice(4).map((c) => el('td', { class: c === 'last error' ? 'why' : 'num' }));
    const tr = el('tr', {},
      el('td', {}, link(channel, plain(node.channel))),
      el('td', { class: 'mono' }, plain(node.spec.types.join(' '))),
      el('th', { scope: 'row' }, el('i', { class: 'lamp' }), link(node, plain(node.name)), el('small', {}, plain(policy(node.spec) === node.spec.types.join(' ') ? '' : policy(node.spec)))),
      el('td', {}, handler ? link(handler, plain(node.spec.handler)) : plain(node.spec.handler)), cells);
    return { node, tr, cells };
  }

  update() {
    for (const { node, tr, cells } of this.sources) {
      put(tr, 'data-state', node.state);
      set(cells[0], rate(node.rate));
      set(cells[1], node.now ? standing(node.now, Date.now()) : '');
    }
    for (const { node, tr, cells } of this.rows) {
      put(tr, 'data-state', node.state);
      const error = node.marked().find((m) => m.text && m.level !== 'note');
      const t = node.totals;
      [rate(node.rate), count(t.handled || 0), count(t.failed || 0), count(t.retried || 0), error ? plain(error.text) : '']
        .forEach((text, i) => set(cells[i], text));
    }
  }
}
