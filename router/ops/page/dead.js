// The dead letters of a channel: why they were given up, and how to send them again.

import { ask, send } from './stream.js';
import { byId, el, plain, set } from './dom.js';
import { moment, plural } from './format.js';
import { pretty } from './pretty.js';

const MOST = 50;

export class Dead {
  // node is the channel, or a route whose letters alone are shown.
  constructor(model, node) {
    this.model = model;
    this.node = node;
    this.channel = node.kind === 'channel' ? node.name : node.channel;
    this.chosen = new Set();
    this.note = el('p', { class: 'note', role: 'status' });
    this.list = el('ol', { class: 'letters' });
    this.refresh = el('button', { type: 'button', on: { click: () => this.load() } }, 'Refresh');
    this.again = el('button', { type: 'button', hidden: true, on: { click: () => this.confirm([...this.chosen]) } }, 'Replay selected');
    this.host = el('div', { class: 'pane' },
      el('div', { class: 'filters' }, this.refresh, this.again),
      this.note, this.list);
    if (!model.config.write) this.list.before(el('p', { class: 'note' }, 'Replaying from here is off: ', el('code', {}, '[http] write = true'), ' permits it; ', el('code', {}, `router dead replay ${plain(this.channel)}`), ' does the same.'));
  }

  async load(said) {
    set(this.note, 'Asking Redis…');
    try {
      const answer = await ask(`/api/dead?channel=${encodeURIComponent(this.channel)}&n=${MOST}`);
      this.show(answer, said);
    } catch (e) {
      set(this.note, `Dead letters are not known: ${plain(e.message)}`);
    }
  }

  show({ letters, total }, said) {
    this.chosen.clear();
    const mine = (letters || []).filter((l) => this.node.kind === 'channel' || l.route === this.node.name);
    const focused = this.host.contains(document.activeElement);
    this.list.replaceChildren(...mine.map((l) => this.letter(l)));
    set(this.note, `${said ? `${said} ` : ''}${total ? plural(total, 'dead letter') : 'No dead letters'} of ${plain(this.channel)}.${this.shown(mine.length, (letters || []).length, total)}`);
    this.choose();
    if (focused && !this.host.contains(document.activeElement)) this.refresh.focus(); // its button went with the letter
  }

  // shown says what the list leaves out.
  shown(mine, asked, total) {
    if (mine === total) return '';
    if (this.node.kind === 'channel') return ` The newest ${mine} are shown.`;
    return ` Of this route: ${mine}${asked < total ? ` of the newest ${asked}` : ''}.`;
  }

  choose() {
    this.again.hidden = !this.chosen.size;
    set(this.again, `Replay selected (${this.chosen.size})`);
  }

  letter(l) {
    const body = el('details', {}, el('summary', {}, 'message'), pretty(l.message || '', () => {}), l.cut ? el('p', { class: 'note' }, 'Only the beginning is shown.') : null);
    const write = this.model.config.write;
    const name = plain(l.event || l.id);
    const check = write && el('input', { type: 'checkbox', 'aria-label': `select dead letter ${name}`, on: { change: () => {
      if (check.checked) this.chosen.add(l.id);
      else this.chosen.delete(l.id);
      this.choose();
    } } });
    return el('li', {},
      el('div', { class: 'first' }, check || null, el('strong', { class: 'mono' }, plain(l.type || '–')), el('span', { class: 'mono id' }, name), el('span', { class: 'num muted' }, moment(Date.parse(l.at)))),
      el('p', { class: 'error' }, plain(l.error || l.reason)),
      el('p', { class: 'note' }, [plain(l.reason), l.route && `route ${plain(l.route)}`, l.handler && `handler ${plain(l.handler)}`, plural(l.attempts || 0, 'attempt'), l.replays ? plural(l.replays, 'replay') : ''].filter(Boolean).join(' · ')),
      body,
      write ? el('button', { type: 'button', class: 'replay', 'aria-label': `Replay ${name}`, on: { click: () => this.confirm([l.id]) } }, 'Replay') : null);
  }

  confirm(ids) {
    if (!ids.length) return;
    const box = byId('confirm');
    const yes = el('button', { type: 'button', class: 'main' }, 'Replay');
    yes.addEventListener('click', () => {
      box.close();
      this.replay(ids);
    });
    box.replaceChildren(
      el('h2', { id: 'confirm-title' }, `Replay ${plural(ids.length, 'dead letter')}?`),
      el('p', {}, ids.length > 1
        ? `They are sent to ${plain(this.channel)} again, and removed from the dead letters once they are sent.`
        : `It is sent to ${plain(this.channel)} again, and removed from the dead letters once it is sent.`),
      el('div', { class: 'actions' }, el('button', { type: 'button', on: { click: () => box.close() } }, 'Cancel'), yes));
    box.showModal();
    yes.focus();
  }

  async replay(ids) {
    set(this.note, 'Replaying…');
    let said;
    try {
      said = `${(await send('/api/replay', { channel: this.channel, ids })).result || 'replayed'}.`;
    } catch (e) {
      said = `Not replayed: ${e.message}.`;
    }
    await this.load(plain(said));
  }
}
