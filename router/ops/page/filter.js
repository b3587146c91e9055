// The filter of the list of events: words, and conditions such as data.symbol = BTCUSDT.

import { get, parse } from './json.js';

const STEP = /^(?:\.?([\p{L}_$][\p{L}\p{N}_$-]*)|\.?(\d+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\])/u;
const PATH = '[\\p{L}_$][\\p{L}\\p{N}_$-]*(?:\\.[\\p{L}\\p{N}_$-]+|\\[\\d+\\]|\\["(?:[^"\\\\]|\\\\.)*"\\])*';
const TOKEN = new RegExp(`(${PATH})\\s*(!=|=)\\s*("(?:[^"\\\\]|\\\\.)*"|[^\\s"]+)|"((?:[^"\\\\]|\\\\.)*)"|(\\S+)`, 'gu');
const OWN = ['type', 'id', 'key', 'source', 'time', 'name', 'channel', 'route', 'handler', 'result', 'reason', 'trace', 'attempt', 'error'];

// filter reads a text and returns a func that says whether an event passes.
export function filter(text) {
  const tests = [...text.matchAll(TOKEN)].map((m) => {
    if (m[1]) return condition(steps(m[1]), m[2] === '=', unquoted(m[3]));
    const word = (m[5] ?? unquoted(`"${m[4]}"`)).toLowerCase();
    return (e) => [e.type, e.id, e.key, e.error, e.reason, e.trace, e.message].some((t) => t && t.toLowerCase().includes(word));
  });
  return (event) => tests.every((t) => t(event));
}

function unquoted(text) {
  if (text[0] !== '"') return text;
  try {
    return JSON.parse(text);
  } catch {
    return text.slice(1, -1);
  }
}

// steps takes a path apart: data.items[0]["odd key"].
function steps(path) {
  const found = [];
  while (path) {
    const m = STEP.exec(path);
    if (!m) return [...found, path];
    found.push(m[4] !== undefined ? unquoted(`"${m[4]}"`) : m[1] ?? m[2] ?? m[3]);
    path = path.slice(m[0].length);
  }
  return found;
}

// written is the path of keys as a filter has it.
export function written(path) {
  return path.map((key, i) => {
    if (typeof key === 'number') return `[${key}]`;
    if (/^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(key)) return i ? `.${key}` : key;
    return i ? `[${JSON.stringify(key)}]` : `msg[${JSON.stringify(key)}]`;
  }).join('');
}

function condition(path, equal, want) {
  return (event) => {
    const found = values(event, path);
    return equal ? found.includes(want) : !found.includes(want);
  };
}

// values are what stands at a path: of the event's own fields, and of its message.
function values(event, path) {
  const found = [];
  if (path.length === 1 && OWN.includes(path[0]) && event[path[0]] !== undefined) found.push(String(event[path[0]]));
  const root = message(event);
  if (!root) return found;
  const [first, ...rest] = path;
  const own = get(root, path);
  const at = [own, first === 'msg' ? get(root, rest) : undefined];
  if (first === 'data' && !get(root, ['data'])) at.push(get(root, rest));
  for (const v of at) {
    if (v && !v.members) found.push(v.value);
  }
  return found;
}

const read = new WeakMap(); // the messages that a filter has asked for

function message(event) {
  if (!event.message) return null;
  if (!read.has(event)) read.set(event, (parse(event.message) || {}).value || null);
  return read.get(event);
}
