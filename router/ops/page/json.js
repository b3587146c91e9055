// JSON as it was sent: numbers keep their digits, members their order, and a message that was cut
// is read as far as it goes. JSON.parse would do none of these.

const DEEPEST = 200;

// A value is {kind: object|array|string|number|word, text, value, members: [[key, value]], cut}.

// parse reads a text; null: it is no JSON. rest is what follows what could be read.
export function parse(text) {
  const reader = { text, at: 0 };
  const value = read(reader, 0);
  space(reader);
  if (!value) return null;
  return { value, whole: reader.at === text.length && !reader.broken, rest: text.slice(reader.at) };
}

function space(r) {
  while (r.at < r.text.length && ' \t\n\r'.includes(r.text[r.at])) r.at++;
}

function read(r, depth) {
  space(r);
  const c = r.text[r.at];
  if (depth > DEEPEST) return null;
  if (c === '{' || c === '[') return list(r, c, depth);
  if (c === '"') return string(r);
  const match = /^(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/.exec(r.text.slice(r.at, r.at + 1100));
  if (!match) return null;
  r.at += match[0].length;
  return { kind: /[tfn]/.test(match[0][0]) ? 'word' : 'number', text: match[0], value: match[0] };
}

function string(r) {
  const start = r.at++;
  while (r.at < r.text.length && r.text[r.at] !== '"') r.at += r.text[r.at] === '\\' ? 2 : 1;
  if (r.at >= r.text.length) {
    r.at = start;
    return null;
  }
  const text = r.text.slice(start, ++r.at);
  try {
    return { kind: 'string', text, value: JSON.parse(text) };
  } catch {
    r.at = start;
    return null;
  }
}

function list(r, open, depth) {
  const object = open === '{';
  const value = { kind: object ? 'object' : 'array', members: [], cut: false };
  r.at++;
  for (space(r); r.text[r.at] !== (object ? '}' : ']'); space(r)) {
    const before = r.at;
    if (!member(r, value, object, depth)) {
      r.at = before;
      r.broken = value.cut = true;
      return value;
    }
    if (r.broken) {
      value.cut = true;
      return value;
    }
  }
  r.at++;
  return value;
}

function member(r, value, object, depth) {
  if (value.members.length > 0) {
    if (r.text[r.at] !== ',') return false;
    r.at++;
    space(r);
  }
  let key = value.members.length;
  if (object) {
    const name = r.text[r.at] === '"' && string(r);
    if (!name) return false;
    key = name.value;
    space(r);
    if (r.text[r.at] !== ':') return false;
    r.at++;
  }
  const inner = read(r, depth + 1);
  if (inner) value.members.push([key, inner]);
  return Boolean(inner);
}

// get follows a path of keys; undefined: there is nothing.
export function get(value, path) {
  for (const key of path) {
    const found = value && value.members && value.members.find(([k]) => String(k) === String(key));
    if (!found) return undefined;
    value = found[1];
  }
  return value;
}

// compact writes a value on one line, with what could harm a terminal as escapes.
export function compact(value) {
  switch (value.kind) {
    case 'object': return `{${value.members.map(([k, v]) => `${ascii(JSON.stringify(k))}:${compact(v)}`).join(',')}}`;
    case 'array': return `[${value.members.map(([, v]) => compact(v)).join(',')}]`;
    default: return ascii(value.text);
  }
}

const ascii = (text) => text.replace(/[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g,
  (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
