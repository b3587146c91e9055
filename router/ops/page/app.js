// The page: it joins the connection, what is known, and what is shown.

import { byId, el, keep, kept, plain, put, set } from './dom.js';
import { ago, moment, plural, rate } from './format.js';
import { copyButton, quote } from './command.js';
import { Flow } from './flow.js';
import { Model } from './model.js';
import { openConfig, openPublish } from './boxes.js';
import { Panel } from './panel.js';
import { recolour } from './spark.js';
import { since, standing } from './words.js';
import { Stream } from './stream.js';
import { Table } from './table.js';

const PROBLEMS = 4; // that are listed; the others are a number

const model = new Model();
const open = (node) => panel.open(node, document.activeElement);
const flow = new Flow(byId('flow'), open);
const table = new Table(byId('table'), open);
const panel = new Panel(model, (node) => {
  (node.kind === 'handler' ? node.routes : [node]).forEach((n) => n.acknowledge());
  node.acknowledge();
  page.acknowledged = true;
  draw();
});

const page = { link: 'connecting', paused: false, acknowledged: false, built: '', wanted: false, states: new Map() };

// draw asks for the numbers to be written, once a frame at most.
function draw() {
  if (page.wanted) return;
  page.wanted = true;
  requestAnimationFrame(() => {
    page.wanted = false;
    head();
    banners();
    if (!model.config) return;
    announce();
    if (page.paused) return;
    problems();
    if (byId('hide-idle').checked) build();
    if (byId('flow').hidden) table.update();
    else flow.update();
    panel.update();
    empty();
  });
}

// build makes the picture of what the filter lets through, when that has changed.
function build() {
  if (!model.config) return;
  const nodes = shown();
  const asTable = byId('as-table').checked || !Flow.fits(nodes);
  const key = JSON.stringify([asTable, model.config.since, model.config.started, nodes.map((n) => n.key)]);
  if (key === page.built) return;
  page.built = key;
  byId('flow').hidden = asTable;
  byId('table').hidden = !asTable;
  if (asTable) table.build(model, nodes);
  else flow.build(nodes, model.links.filter((l) => nodes.includes(l.from) && nodes.includes(l.to)));
  const hidden = model.nodes.size - nodes.length;
  set(byId('hidden-count'), hidden ? `${hidden} of ${model.nodes.size} hidden` : !Flow.fits(nodes) ? `${nodes.length} nodes are too many to draw: filter them` : '');
}

// shown are the nodes that are wanted, and those along their way.
function shown() {
  const words = byId('find').value.toLowerCase().split(/\s+/).filter(Boolean);
  const awake = byId('hide-idle').checked ? (n) => n.rate > 0 || n.level || n.marked().length > 0 || n.behind > 0 : () => true;
  const all = [...model.nodes.values()];
  if (!words.length && !byId('hide-idle').checked) return all;
  const hit = (n) => words.every((w) => text(n).includes(w));
  const keep = new Set();
  for (const n of all.filter((n) => hit(n) && awake(n))) along(n, keep);
  return all.filter((n) => keep.has(n) && (n.kind === 'channel' || n.kind === 'handler' || awake(n)));
}

// text is what a node is found by: what it takes, not what it leaves out.
function text({ kind, name, channel, spec }) {
  const own = kind === 'route' ? [spec.handler, spec.when, spec.policy, ...spec.types.filter((t) => t[0] !== '!')]
    : kind === 'source' ? [spec.kind] : kind === 'channel' ? [spec.topic, spec.transport] : [spec.kind];
  return [name, channel, ...own].filter(Boolean).join(' ').toLowerCase();
}

function along(node, keep) {
  const walk = (n, next) => {
    keep.add(n);
    next(n).forEach((m) => walk(m, next));
  };
  walk(node, (n) => model.links.filter((l) => l.to === n).map((l) => l.from));
  walk(node, (n) => model.links.filter((l) => l.from === n).map((l) => l.to));
}

function pill(id, state, text) {
  put(byId(id), 'data-state', state);
  set(byId(id).lastElementChild, text);
}

const LINKS = {
  open: ['flowing', 'live'], connecting: ['warn', 'connecting…'], lost: ['error', 'reconnecting…'],
  login: ['error', 'login needed'], resting: ['warn', 'resting'],
};

function head() {
  pill('link', ...LINKS[page.link]);
  document.body.dataset.link = page.link;
  const { config, counts, all } = model;
  if (!config) return;
  set(byId('service'), plain(config.service));
  set(byId('hash'), plain(config.hash.slice(0, 12)));
  set(byId('since'), `since ${moment(config.since)}`);
  put(byId('open-config'), 'title', `runs since ${moment(config.since)}`);
  document.title = `${[...model.of('route'), ...model.of('source')].some((n) => n.state === 'error') ? '● ' : ''}${plain(config.service)} · Signalbox`;
  if (!counts) return;
  pill('ready', counts.ready ? 'flowing' : 'error', counts.ready ? 'ready' : 'not ready');
  if (page.paused) return;
  set(byId('total-in'), rate(all.rate));
  const routes = model.of('route');
  set(byId('total-routed'), rate(routes.reduce((sum, n) => sum + n.rate, 0)));
  const failed = routes.reduce((sum, n) => sum + ((n.marks.failed && n.marked()[0].n) || 0), 0);
  set(byId('total-failed'), failed ? String(failed) : '0');
  put(byId('total-failed').parentNode, 'data-state', failed ? 'error' : null);
}

// banners say what concerns the whole page.
function banners() {
  const { config, counts } = model;
  const lines = [];
  if (page.link === 'lost') lines.push(['error', 'The router does not answer. What is shown is the last that is known; this page comes back by itself.']);
  if (page.link === 'login') lines.push(['error', 'A login is needed: ', el('a', { href: '/login' }, 'log in')]);
  if (counts && counts.away) lines.push(['error', 'Redis is away. Nothing comes in until it is back.']);
  for (const r of (counts && !counts.ready && counts.reasons) || []) {
    if (!(counts.away && r.what === 'redis')) lines.push(['error', `Not ready: ${plain(r.text)}`]);
  }
  if (config && config.refusal) lines.push(['error', `Reload refused ${moment(config.attempt)}, the old configuration runs on: ${plain(config.refusal)}`]);
  if (page.paused) lines.push(['warn', 'Paused. Numbers and lists stand still; the router does not.']);
  const key = lines.map((l) => l[0] + l[1]).join('\n');
  if (key === page.banners) return;
  page.banners = key;
  byId('banners').replaceChildren(...lines.map(([state, ...text]) => el('p', { 'data-state': state }, ...text)));
}

// problems lists what a person should look at, in sentences.
function problems() {
  const now = model.now();
  const { counts } = model;
  const order = { error: 0, dropped: 1, behind: 2, warn: 3 };
  const list = [];
  for (const n of model.nodes.values()) {
    const marks = ['source', 'channel', 'route'].includes(n.kind) ? n.marked().filter((m) => m.level !== 'note') : [];
    const texts = marks.map((m, i) => (i ? m.said : since(m, now)));
    if (n.level) texts.unshift(standing(n.now, now));
    if (n.late()) texts.push(`${plural(n.behind, 'event')} waiting`);
    if (texts.length) list.push({ n, level: n.level === 'error' || !marks.length ? n.level || 'behind' : marks[0].level, last: marks.length ? marks[0].last : now, text: texts.join(' · also ') });
  }
  list.sort((a, b) => order[a.level] - order[b.level] || b.last - a.last);
  const host = byId('problems');
  const rows = list.slice(0, PROBLEMS);
  while (host.children.length > rows.length) host.lastChild.remove();
  while (host.children.length < rows.length) host.append(problem());
  rows.forEach((p, i) => {
    const { button, name, text, calm } = host.children[i].parts;
    button.node = p.n;
    put(host.children[i], 'data-state', p.level);
    calm.hidden = !p.n.marked().length;
    set(name, p.n.kind === 'route' ? `${plain(p.n.channel)} → ${plain(p.n.name)}` : plain(p.n.name));
    set(text, p.text);
  });
  byId('fine').hidden = rows.length > 0;
  set(byId('fine'), !counts ? 'not known yet' : !counts.ready || page.link !== 'open' ? 'nothing but what stands above'
    : page.acknowledged ? 'nothing but what was acknowledged' : 'nothing in the last five minutes');
  set(byId('problems-title'), list.length > PROBLEMS ? `Needs a look (${list.length}, the worst ${PROBLEMS} here)` : 'Needs a look');
}

function problem() {
  const name = el('span', { class: 'mono' });
  const text = el('span', { class: 'why' });
  const button = el('button', { type: 'button', class: 'plain', on: { click: () => open(button.node) } }, el('i', { class: 'lamp' }), name, ' ', text);
  const calm = el('button', { type: 'button', class: 'calm', 'aria-label': 'Acknowledge', title: 'Acknowledge', on: { click: () => {
    button.node.acknowledge();
    page.acknowledged = true;
    draw();
  } } }, '✓');
  const li = el('li', {}, button, calm);
  li.parts = { button, name, text, calm };
  return li;
}

// announce tells a screen reader what has become bad or good; never rates.
function announce() {
  const news = [];
  const turn = (key, state, text) => {
    const before = page.states.get(key);
    page.states.set(key, state);
    if (before !== undefined && before !== state) news.push(text);
  };
  turn('link', page.link === 'open', page.link === 'open' ? 'connected' : 'connection lost');
  if (model.counts) turn('ready', model.counts.ready, model.counts.ready ? 'ready' : 'not ready');
  for (const n of model.of('route')) {
    turn(n.key, n.state === 'error', n.state === 'error' ? `route ${plain(n.name)} fails: ${plain((n.marked()[0] || {}).text)}` : `route ${plain(n.name)} is fine`);
  }
  for (const n of model.of('source')) {
    if (n.now) turn(n.key, n.now.state, `source ${plain(n.name)}: ${standing(n.now, model.now())}`);
  }
  if (news.length) set(byId('announce'), news.slice(0, 5).join('. '));
}

// empty says what to do when nothing has come yet.
function empty() {
  const host = byId('empty');
  const { config, counts } = model;
  const c = config.channels.find((one) => !one.pattern);
  const kind = !config.routes.length && config.sources.length ? '' : !config.routes.length || !c ? 'routes' : counts && counts.ready && Object.values(counts.channels).every((n) => !n.received && !n.rejected) ? 'events' : '';
  host.hidden = !kind;
  if (host.dataset.kind === kind) return;
  host.dataset.kind = kind;
  if (kind === 'routes') host.replaceChildren(el('p', {}, `No routes: nothing is wired in ${plain(config.files.join(', '))}.`));
  if (kind !== 'events') return;
  const example = `router publish ${quote(c.name)} ${quote(c.types[0] || 'test')} '{"hello":"world"}'`;
  const raw = c.transport === 'stream'
    ? `redis-cli xadd ${quote(c.topic)} '*' type ${quote(c.types[0] || 'test')} data '{"hello":"world"}'`
    : `redis-cli publish ${quote(c.topic)} ${quote(JSON.stringify({ type: c.types[0] || 'test', data: { hello: 'world' } }))}`;
  const line = (text) => el('p', { class: 'try' }, el('code', {}, plain(text)), copyButton('Copy', () => text));
  host.replaceChildren(el('p', {}, el('strong', {}, 'No event yet.'), ' The router listens. Send the first one:'), line(example), line(raw));
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  keep('theme', theme);
  put(byId('theme'), 'aria-label', `Colours: ${theme || 'as the system'}`);
  put(byId('theme'), 'title', `Colours: ${theme || 'as the system'}`);
  set(byId('theme'), { dark: '☾', light: '☀' }[theme] || '◐');
  recolour();
  if (panel.chart) panel.chart.clear();
  draw();
}

function setPause(paused) {
  page.paused = paused;
  put(byId('pause'), 'aria-pressed', String(paused));
  set(byId('pause'), paused ? 'Resume' : 'Pause');
  document.body.dataset.paused = paused;
  panel.pause(paused);
  draw();
}

function listen() {
  byId('pause').addEventListener('click', () => setPause(!page.paused));
  byId('open-config').addEventListener('click', () => model.config && openConfig(model.config));
  byId('open-publish').addEventListener('click', () => model.config && openPublish(model.config));
  byId('theme').addEventListener('click', () => {
    const next = { '': 'dark', dark: 'light', light: '' };
    setTheme(next[kept('theme') || ''] ?? 'dark');
  });
  for (const id of ['find', 'hide-idle', 'as-table']) byId(id).addEventListener('input', build);
  document.addEventListener('keydown', (e) => {
    if (e.key === 'Escape' && !document.querySelector('dialog[open]')) panel.close();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme(kept('theme') || ''));
}

function receive(kind, what) {
  if (kind === 'link') {
    if (page.link === what) return;
    page.link = what;
  } else if (kind === 'config') {
    model.configure(what);
    build();
  } else if (kind === 'counts') {
    if (model.count(what)) build();
  } else {
    const fresh = model.see(what);
    panel.see(fresh);
    if (!page.paused && !document.hidden) flow.travel(fresh);
  }
  draw();
}

listen();
setTheme(kept('theme') || '');
new Stream(receive);
