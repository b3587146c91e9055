// The list of the last events of a node, with its filter.

import { el, plain, put, set } from './dom.js';
import { clock, moment, plural, span } from './format.js';
import { command, copyButton } from './command.js';
import { concerns } from './store.js';
import { filter } from './filter.js';
import { pretty } from './pretty.js';
import { RESULTS } from './words.js';

const ROWS = 200;
const PACE = 200; // ms between two changes of the list

export class Events {
  constructor(model, node) {
    this.model = model;
    this.node = node;
    this.waiting = [];
    this.missed = 0;
    this.paused = false;
    this.timer = 0;
    this.count = 0;
    this.make();
    this.fill();
  }

  make() {
    const changed = { on: { change: () => this.fill() } };
    this.text = el('input', {
      type: 'search', class: 'where', placeholder: 'text, or data.symbol = BTCUSDT', autocomplete: 'off', spellcheck: 'false',
      'aria-label': 'Filter events by text, or by a field as in data.symbol = BTCUSDT', on: { input: () => this.fill() },
    });
    this.type = el('select', { 'aria-label': 'Only events of this type', ...changed }, el('option', { value: '' }, 'all types'));
    this.result = el('select', { 'aria-label': 'Only events with this result', ...changed },
      el('option', { value: '' }, 'all results'),
      Object.entries(RESULTS).map(([value, [word]]) => el('option', { value }, word)));
    this.note = el('p', { class: 'note' });
    this.list = el('ol', { class: 'events', 'aria-label': 'Last events, the newest first' });
    this.host = el('div', { class: 'pane' }, el('div', { class: 'filters' }, this.text, this.type, this.result), this.note, this.list);
  }

  // fill makes the list anew.
  fill() {
    this.waiting = [];
    this.missed = 0;
    this.passes = filter(this.text.value);
    const events = this.model.store.of(this.node);
    events.forEach((e) => this.offer(e.type));
    const shown = events.filter((e) => this.wanted(e)).slice(0, ROWS);
    this.list.replaceChildren(...shown.map((e) => this.row(e)));
    this.say(events.length);
  }

  wanted(event) {
    return (!this.type.value || event.type === this.type.value)
      && (!this.result.value || event.result === this.result.value) && this.passes(event);
  }

  // offer adds a type to the choice.
  offer(type) {
    const options = [...this.type.options];
    if (!type || options.length > 100 || options.some((o) => o.value === type)) return;
    this.type.append(el('option', { value: type }, plain(type)));
  }

  // add takes new events; they are shown a few times a second, however many they are.
  add(events) {
    const mine = events.filter((e) => concerns(this.node, e));
    if (!mine.length) return;
    mine.forEach((e) => this.offer(e.type));
    const wanted = mine.filter((e) => this.wanted(e));
    this.missed += wanted.length;
    this.waiting = this.waiting.concat(wanted).slice(-ROWS);
    if (!this.paused && !this.timer) this.timer = setTimeout(() => requestAnimationFrame(() => this.flush()), PACE);
    if (this.paused) this.say();
  }

  flush() {
    this.timer = 0;
    if (this.paused) return;
    const fresh = this.waiting.reverse().map((e) => this.row(e));
    this.waiting = [];
    this.missed = 0;
    // The row that somebody reads stays where it is.
    const top = this.host.parentNode && this.host.parentNode.scrollTop;
    const before = this.list.scrollHeight;
    this.list.prepend(...fresh);
    if (top > 40) this.host.parentNode.scrollTop = top + this.list.scrollHeight - before;
    while (this.list.children.length > ROWS) this.list.lastChild.remove();
    this.say(1);
  }

  pause(paused) {
    this.paused = paused;
    if (!paused) this.flush();
    this.say();
  }

  say(known) {
    if (known !== undefined) this.count = known;
    const { unshown = 0, missed = 0 } = this.model.counts || {};
    const lines = [];
    if (this.paused) lines.push(`Paused: ${plural(this.missed, 'event')} came meanwhile.`);
    else if (!this.list.children.length) lines.push(this.count ? 'No event passes the filter.' : 'No event has been seen here yet.');
    if (unshown && !this.paused) lines.push(`A sample: ${plural(unshown, 'event')} of all routes were too many to show.`);
    if (missed) lines.push(`This browser was too slow for ${plural(missed, 'event')}.`);
    set(this.note, lines.join(' '));
  }

  row(e) {
    const [word, state] = RESULTS[e.result] || [e.result, 'note'];
    const body = el('div', { class: 'body', hidden: true });
    const where = this.node.kind === 'route' || !e.route ? '' : e.route;
    const head = el('button', { type: 'button', class: 'row', 'aria-expanded': 'false' },
      el('span', { class: 'time num' }, clock(e.at)),
      el('span', { class: 'verdict', 'data-state': state }, el('i', { class: 'lamp' }), word),
      el('span', { class: 'kind mono' }, e.type ? plain(e.type) : '–', where && el('small', {}, ` → ${plain(where)}`)),
      el('span', { class: 'id mono' }, plain(e.id || e.key || '')),
      el('span', { class: 'took num' }, e.micros ? span(e.micros / 1000) : ''),
      e.error ? el('span', { class: 'error', 'data-state': state }, plain(e.error)) : null);
    head.addEventListener('click', () => {
      if (!body.firstChild) body.append(...this.details(e));
      body.hidden = !body.hidden;
      put(head, 'aria-expanded', String(!body.hidden));
    });
    return el('li', {}, head, body);
  }

  details(e) {
    const facts = [
      ['result', e.result + (e.reason ? `: ${e.reason}` : '') + (e.kept ? ' · kept as a dead letter' : '')],
      [(RESULTS[e.result] || [])[1] === 'note' ? 'why' : 'error', e.error], ['route', e.route], ['handler', e.handler], ['id', e.id], ['key', e.key], ['Redis name', e.name], ['trace', e.trace],
      ['time', e.time && `${moment(e.time)} · ${span(Math.max(0, e.at - e.time))} old`],
      ['attempt', e.attempt && `${e.attempt}${e.pause ? ` · again in ${span(e.pause)}` : ''}`],
      ['handler took', e.micros && span(e.micros / 1000)],
    ];
    const cmd = command(e);
    return [
      el('dl', { class: 'facts' }, facts.filter(([, v]) => v).map(([k, v]) => el('div', {}, el('dt', {}, k), el('dd', { class: 'mono' }, plain(v))))),
      pretty(e.message || '', (condition) => this.pick(condition)),
      el('p', { class: 'note' }, e.cut ? 'Only the beginning of the message is shown.' : ''),
      cmd ? copyButton('Copy as router publish command', () => cmd) : el('p', { class: 'note' }, 'It cannot be written as a command: not all of the message is known.'),
    ];
  }

  // pick adds a condition to the filter.
  pick(condition) {
    const text = this.text.value.trim();
    if (!text.includes(condition)) this.text.value = `${text} ${condition}`.trim();
    this.fill();
    this.text.focus();
  }
}
