// What the picture says about a node, in words.

import { el, plain, put, set } from './dom.js';
import { ago, count, span, spoken } from './format.js';

// subtitle is the second line of a node.
export function subtitle(node) {
  const spec = node.spec;
  const line = (text, ...more) => el('span', { class: 'sub', title: plain(text) }, plain(text), ...more);
  switch (node.kind) {
    case 'source': return line(spec.kind === spec.name ? '' : spec.kind);
    case 'channel': return line([spec.transport, spec.topic === spec.name ? '' : spec.topic].filter(Boolean).join(' · '));
    case 'route': return line(policy(spec));
    case 'handler': return line(spec.kind === spec.name ? '' : spec.kind,
      ...(spec.publishes || []).map((c) => el('span', { class: 'tag', title: `publishes to ${plain(c)}` }, `→ ${plain(c)}`)));
    default: return line('');
  }
}

// lines is how many lines a node takes: a long policy has one of its own.
export function lines(node) {
  if (node.kind === 'type') return 1;
  return node.kind === 'route' && policy(node.spec).length > 26 ? 3 : 2;
}

// policy is a route's condition and policy; without both, the types it takes.
export function policy(spec) {
  const parts = [spec.when && `when ${spec.when}`, spec.policy];
  if (spec.isolated && !/\bisolated\b/.test(spec.policy || '')) parts.push('isolated');
  return parts.filter(Boolean).join(' · ') || spec.types.join(' ');
}

// badgesOf lists what a node's badges say: [kind, level, text, title].
export function badgesOf(node) {
  const list = node.marked().filter((m) => m.level !== 'note' || node.kind === 'route')
    .map((m) => [m.kind, m.level, m.said, m.text]);
  const now = node.now;
  if (!now) return list;
  if (node.kind === 'source') list.unshift(['state', node.level || 'note', SHORT[now.state] || now.state, standing(now, Date.now())]);
  if (now.dead) list.push(['dead', 'error', `${count(now.dead)} dead`, 'dead letters: events that were given up']);
  if (now.lag > 0) list.push(['lag', node.state === 'behind' ? 'warn' : 'note', `lag ${count(now.lag)}`, 'entries of the stream that nobody has read yet']);
  if (now.queued > 0) list.push(['queue', node.state === 'behind' ? 'warn' : 'note', `queue ${count(now.queued)}`, 'events that wait in this process']);
  return list;
}

const SHORT = { standing_by: 'stands by', waiting: 'waits', stood_down: 'stands down', given_up: 'given up' };

// standing is what a source is at, as a sentence.
export function standing(s, now) {
  const until = s.until > now ? `, tries again in ${span(Math.ceil((s.until - now) / 1000) * 1000)}` : '';
  const why = s.why ? `: ${plain(s.why)}` : '';
  switch (s.state) {
    case 'connected': return `connected${s.at ? ` to ${plain(s.at)}` : ''}${s.trouble ? `, but: ${plain(s.trouble)}` : ''}`;
    case 'standing_by': return 'stands by: another router holds it, or nobody yet';
    case 'stood_down': return `stands down${until}${why}`;
    case 'waiting': return `not connected${until}${why}`;
    case 'given_up': return `given up${why}`;
    default: return s.state;
  }
}

// badges writes them into an element.
export function badges(host, node) {
  const list = badgesOf(node);
  while (host.children.length > list.length) host.lastChild.remove();
  while (host.children.length < list.length) host.append(el('span', { class: 'badge' }));
  list.forEach(([kind, level, text, title], i) => {
    const badge = host.children[i];
    put(badge, 'data-badge', kind);
    put(badge, 'data-level', level);
    put(badge, 'title', plain(title));
    set(badge, text);
  });
}

// since is a mark as a sentence: 3 failed, last 12 s ago: exchange timeout.
export const since = (mark, now) => `${mark.said}, last ${ago(now - mark.last)}${mark.text ? `: ${plain(mark.text)}` : ''}`;

// label is a node for a screen reader.
export function label(node) {
  const words = [`${node.kind} ${plain(node.name)}: ${spoken(node.rate)}`, ...badgesOf(node).filter((b) => b[0] !== 'state' || !node.level).map((b) => b[2])];
  if (node.level) words.push(standing(node.now, Date.now()));
  const error = node.marked().find((m) => m.level === 'error' && m.text);
  if (error) words.push(plain(error.text));
  return words.join(', ');
}

// RESULTS are the results of an event, how they are shown, and in which colour.
export const RESULTS = {
  handled: ['handled', 'flowing'], failed: ['failed', 'error'], retried: ['will retry', 'warn'],
  rejected: ['rejected', 'error'], crash_loop: ['crash loop', 'error'], unmatched: ['unmatched', 'warn'],
  skipped: ['skipped', 'note'], filtered: ['filtered', 'note'], duplicate: ['duplicate', 'note'],
  withdrawn: ['withdrawn', 'note'], unfinished: ['unfinished', 'warn'],
};

// TOTALS are the counters that the details name.
export const TOTALS = {
  received: 'received', published: 'published', other: 'of types that the channel does not declare', attempts: 'attempts to connect',
  sessions: 'sessions', handled: 'handled', failed: 'failed', retried: 'attempts that were followed by another',
  skipped: 'skipped, being too old', filtered: 'filtered by the condition', duplicates: 'duplicates',
  withdrawn: 'taken over by another process', unfinished: 'cut short by a shutdown', dead: 'dead letters',
  unmatched: 'of a type that no route takes', rejected: 'rejected, being no events', lost: 'lost',
  gaps: 'gaps, when nothing could be received', queued: 'waiting in this process', in_hand: 'being handled now',
  lag: 'not read yet, of the stream', pending: 'read and not acknowledged',
};
