// The panel at the side, or at the bottom of a phone: all about one node.

import { byId, el, plain, put, set } from './dom.js';
import { Chart } from './spark.js';
import { ago, count, moment, rate, span } from './format.js';
import { Dead } from './dead.js';
import { Events } from './events.js';
import { policy, since, standing, TOTALS } from './words.js';

export class Panel {
  constructor(model, acknowledged) {
    this.model = model;
    this.acknowledged = acknowledged;
    this.host = byId('panel');
    this.host.addEventListener('keydown', (e) => {
      if (e.key === 'Escape') this.close();
    });
    this.paused = false;
  }

  get node() {
    return this.key && this.model.nodes.get(this.key);
  }

  open(node, back) {
    this.key = node.key;
    this.back = back;
    this.events = new Events(this.model, node);
    this.events.pause(this.paused);
    this.totals = el('dl', { class: 'facts' });
    this.rate = el('span', { class: 'num' });
    this.lamp = el('i', { class: 'lamp' });
    this.marks = el('ul', { class: 'marks' });
    this.plot = el('div', { class: 'plot', role: 'img', 'aria-label': 'events per second, of the last two minutes' });
    if (this.chart) this.chart.clear();
    this.chart = new Chart(this.plot);
    this.calm = el('button', { type: 'button', class: 'calm', on: { click: () => this.acknowledge() } }, 'Acknowledge');
    this.about = el('p', { class: 'note' });
    const close = el('button', { type: 'button', class: 'close', 'aria-label': 'Close', on: { click: () => this.close() } }, '×');
    this.host.replaceChildren(
      el('div', { class: 'panel-top' },
        el('h2', { id: 'panel-title', tabindex: '-1' }, this.lamp, el('small', {}, node.kind), ' ', el('span', { class: 'mono' }, plain(node.name))), this.rate, close),
      el('div', { class: 'panel-body' }, this.about, el('div', { class: 'marked' }, this.marks, this.calm), this.plot, ...this.tabs(node)));
    this.host.hidden = false;
    document.body.dataset.panel = 'open';
    this.update();
    byId('panel-title').focus({ preventScroll: true });
  }

  tabs(node) {
    const panes = node.kind === 'source' ? [] : [['Events', this.events.host]]; // the channel has them
    const channel = node.kind === 'channel' ? node : this.model.node('channel', node.channel);
    if (['channel', 'route'].includes(node.kind) && channel && (channel.spec.dead || []).length) {
      this.dead = new Dead(this.model, node);
      panes.push(['Dead letters', this.dead.host, () => this.dead.load()]);
    }
    panes.push(['Since the start', this.totals]);
    const list = el('div', { class: 'tabs', role: 'tablist', 'aria-label': 'About this node' });
    const tabs = panes.map(([name, pane], i) => {
      Object.assign(pane, { id: `pane-${i}` });
      put(pane, 'role', 'tabpanel');
      put(pane, 'aria-labelledby', `tab-${i}`);
      return el('button', { type: 'button', role: 'tab', id: `tab-${i}`, 'aria-controls': `pane-${i}`, on: { click: () => show(i) } }, name);
    });
    const show = (chosen) => {
      tabs.forEach((t, i) => {
        put(t, 'aria-selected', String(i === chosen));
        put(t, 'tabindex', i === chosen ? '0' : '-1');
        panes[i][1].hidden = i !== chosen;
      });
      if (panes[chosen][2]) panes[chosen][2]();
    };
    list.append(...tabs);
    list.addEventListener('keydown', (e) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key];
      if (!step) return;
      const next = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
      show(next);
      tabs[next].focus();
    });
    show(0);
    return [list, ...panes.map(([, pane]) => pane)];
  }

  close() {
    if (this.host.hidden) return;
    this.host.hidden = true;
    delete document.body.dataset.panel;
    this.key = null;
    this.chart.clear();
    if (this.back && this.back.isConnected) this.back.focus();
  }

  acknowledge() {
    const node = this.node;
    if (!node) return;
    this.acknowledged(node);
    byId('panel-title').focus({ preventScroll: true });
  }

  see(events) {
    if (this.key) this.events.add(events);
  }

  pause(paused) {
    this.paused = paused;
    if (this.key) this.events.pause(paused);
  }

  update() {
    if (!this.key) return;
    const node = this.node;
    if (!node) { // a reload removed it
      this.close();
      return;
    }
    put(this.host, 'data-state', node.state);
    set(this.rate, rate(node.rate));
    set(this.about, about(node, this.model.now()));
    const marked = node.marked();
    while (this.marks.children.length > marked.length) this.marks.lastChild.remove();
    while (this.marks.children.length < marked.length) this.marks.append(el('li'));
    marked.forEach((m, i) => {
      put(this.marks.children[i], 'data-level', m.level);
      set(this.marks.children[i], since(m, this.model.now()));
    });
    this.calm.hidden = !marked.length;
    this.chart.draw(node);
    this.events.say();
    if (!this.totals.hidden) this.total(node);
  }

  total(node) {
    const t = { ...node.totals, ...(['source', 'type', 'channel'].includes(node.kind) ? { received: node.done } : {}) };
    const lines = Object.entries(TOTALS).filter(([k]) => t[k] !== undefined && t[k] !== null).map(([k, text]) => [text, count(t[k])]);
    if (t.calls) lines.push(['calls of the handler', count(t.calls)], ['a call took, on average', span(t.micros / t.calls / 1000)]);
    if (t.blind) lines.push(['blind, all gaps together', span(t.blind)]);
    lines.push(['the router runs since', moment(this.model.config.started)]);
    this.totals.replaceChildren(...lines.map(([k, v]) => el('div', {}, el('dt', {}, k), el('dd', { class: 'num' }, v))));
  }
}

// about says what a node is, and what a source is at.
function about(node, now) {
  const spec = node.spec;
  switch (node.kind) {
    case 'source': return [`kind ${plain(spec.kind)} → ${plain(spec.channel)}`, ...(node.now ? [`${standing(node.now, now)}, since ${moment(node.now.since)}`,
      node.now.epoch && `epoch ${node.now.epoch}`, node.now.data && `last event ${ago(now - node.now.data)}`] : [])].filter(Boolean).join(' · ');
    case 'channel': return [spec.description, spec.transport, `${spec.pattern ? 'pattern' : 'in Redis'} ${spec.topic}`].filter(Boolean).map(plain).join(' · ');
    case 'type': return `of channel ${plain(node.channel)}`;
    case 'route': return plain(`${spec.channel} · ${spec.types.join(' ')} → ${spec.handler}${policy(spec) === spec.types.join(' ') ? '' : ` · ${policy(spec)}`}`);
    default: return plain([`kind ${spec.kind}`, spec.publishes && spec.publishes.length && `publishes to ${spec.publishes.join(', ')}`].filter(Boolean).join(' · '));
  }
}
