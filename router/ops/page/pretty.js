// A message as it is shown: indented, in colours, and each value a button that filters by it.

import { el, plain } from './dom.js';
import { parse } from './json.js';
import { written } from './filter.js';

const MOST = 2000; // lines

// pretty returns an element; pick is called with a condition such as data.symbol = BTCUSDT.
export function pretty(text, pick) {
  const parsed = parse(text);
  const pre = el('pre', { class: 'json', tabindex: '0', role: 'group', 'aria-label': 'the message' });
  if (!parsed) {
    pre.append(plain(text) || '(nothing)');
    return pre;
  }
  const page = { pick, lines: 0, out: pre };
  // Paths begin with a field of the event: data is the member, or else the whole message.
  const root = parsed.value;
  const hasData = root.kind === 'object' && root.members.some(([k]) => k === 'data');
  write(page, root, '', hasData ? [] : ['data']);
  if (parsed.rest.trim()) pre.append(el('span', { class: 'rest' }, `\n${plain(parsed.rest)}`));
  return pre;
}

function write(page, value, indent, path) {
  if (!value.members) {
    page.out.append(leaf(page, value, path));
    return;
  }
  const [open, close] = value.kind === 'object' ? '{}' : '[]';
  page.out.append(open);
  value.members.forEach(([key, inner], i) => {
    if (page.lines++ > MOST) return;
    page.out.append(`\n${indent}  `);
    if (value.kind === 'object') page.out.append(el('span', { class: 'key' }, plain(JSON.stringify(key))), ': ');
    write(page, inner, `${indent}  `, [...path, key]);
    if (i < value.members.length - 1) page.out.append(',');
  });
  if (page.lines > MOST) page.out.append(`\n${indent}  …`);
  if (value.cut) page.out.append(`\n${indent}  …`);
  else page.out.append(value.members.length ? `\n${indent}${close}` : close);
}

function leaf(page, value, path) {
  const condition = `${written(path)} = ${quoted(value)}`;
  return el('button', {
    type: 'button', class: `value ${value.kind}`, title: `filter: ${plain(condition)}`,
    on: { click: () => page.pick(condition) },
  }, plain(value.text));
}

const quoted = (value) => (value.kind === 'string' && (!/^[^\s"=!]+$/.test(value.value) || value.value === '')
  ? JSON.stringify(value.value) : value.value);
