// The boxes that open over the page: the running configuration, and a test event.

import { byId, el, keep, kept, plain, put, set } from './dom.js';
import { moment } from './format.js';
import { policy } from './words.js';
import { send } from './stream.js';

const closer = (box) => el('button', { type: 'button', class: 'close', 'aria-label': 'Close', on: { click: () => box.close() } }, '×');

// openConfig shows what runs.
export function openConfig(config) {
  const box = byId('config');
  const facts = [
    ['files', config.files.join(', ')], ['hash', config.hash], ['runs since', moment(config.since)],
    ['last reload', config.attempt ? `${moment(config.attempt)} · ${config.refusal ? 'refused' : 'accepted'}` : 'never asked for'],
    ['router', `${config.version} · since ${moment(config.started)}`],
    ['changes from this page', config.write ? 'permitted' : 'off: [http] write = true permits them'],
  ];
  box.replaceChildren(
    el('div', { class: 'box-top' }, el('h2', { id: 'config-title' }, 'Running configuration'), closer(box)),
    el('dl', { class: 'facts' }, facts.map(([k, v]) => el('div', {}, el('dt', {}, k), el('dd', { class: 'mono' }, plain(v))))),
    config.refusal ? el('pre', { class: 'refusal' }, config.refusal.split('\n').map(plain).join('\n')) : '',
    el('div', { class: 'table', tabindex: '0', role: 'group', 'aria-label': 'Routes' }, el('table', {},
      el('thead', {}, el('tr', {}, ['channel', 'types', 'route', 'handler', 'condition and policy'].map((t) => el('th', { scope: 'col' }, t)))),
      el('tbody', {}, config.routes.map((r) => el('tr', {},
        [r.channel, r.types.join(' '), r.name, r.handler, policy(r) === r.types.join(' ') ? '' : policy(r)].map((t) => el('td', { class: 'mono' }, plain(t)))))))));
  box.showModal();
}

// openPublish offers to send a test event.
export function openPublish(config) {
  const box = byId('publish');
  const top = el('div', { class: 'box-top' }, el('h2', { id: 'publish-title' }, 'Publish a test event'), closer(box));
  box.replaceChildren(top, ...(config.write ? [form(config)] : [
    el('p', {}, 'This page may only look. ', el('code', {}, '[http] write = true'), ' in the configuration would allow it to publish, and to replay dead letters.'),
  ]));
  box.showModal();
}

function form(config) {
  const last = remembered();
  const channels = config.channels.filter((c) => !c.pattern);
  const channel = el('select', { autofocus: true }, channels.map((c) => el('option', { value: c.name, selected: c.name === last.channel }, plain(c.name))));
  const type = el('input', { list: 'publish-types', autocomplete: 'off', spellcheck: 'false', required: true });
  const types = el('datalist', { id: 'publish-types' });
  const data = el('textarea', { rows: '7', spellcheck: 'false', class: 'mono', 'aria-describedby': 'publish-said' });
  const said = el('p', { class: 'note', id: 'publish-said', role: 'status' });
  const go = el('button', { type: 'submit', class: 'main' }, 'Publish');
  const offer = () => {
    const known = (channels.find((c) => c.name === channel.value) || { types: [] }).types;
    types.replaceChildren(...known.map((t) => el('option', { value: t })));
    if (!known.includes(type.value)) type.value = known[0] || '';
  };
  type.value = last.type || '';
  data.value = last.data || '{}';
  offer();
  channel.addEventListener('change', offer);
  const check = () => {
    const wrong = mistake(data.value);
    put(data, 'aria-invalid', wrong ? 'true' : null);
    set(said, wrong);
    go.disabled = Boolean(wrong);
  };
  data.addEventListener('input', check);
  const label = (text, control) => el('label', {}, el('span', {}, text), control);
  const made = el('form', { class: 'publish' }, label('channel', channel), label('type', type), types, label('data, JSON', data), said, el('div', { class: 'actions' }, go));
  made.addEventListener('submit', async (e) => {
    e.preventDefault();
    keep('publish', JSON.stringify({ channel: channel.value, type: type.value, data: data.value }));
    go.disabled = true;
    try {
      // The text goes as it is: JSON.parse would change its numbers.
      set(said, plain((await publish(channel.value, type.value, data.value)).result || 'published'));
    } catch (error) {
      set(said, plain(`Not published: ${error.message}`));
    }
    go.disabled = false;
    if (document.activeElement === document.body) go.focus(); // which it lost when it was disabled
  });
  check();
  return made;
}

const publish = (channel, type, data) => send('/api/publish', `{"channel":${JSON.stringify(channel)},"type":${JSON.stringify(type)},"data":${data}}`);

function mistake(text) {
  try {
    JSON.parse(text);
    return '';
  } catch (e) {
    return `not JSON: ${e.message}`;
  }
}

function remembered() {
  try {
    return JSON.parse(kept('publish')) || {};
  } catch {
    return {};
  }
}
