// Elements are made here and by nobody else: attributes and text only, so that nothing of a
// message is ever taken for markup.

const SVG = 'http://www.w3.org/2000/svg';

// el makes an element. Of the attributes, "on" holds listeners; null and false are left out.
export function el(tag, attrs, ...children) {
  return fill(document.createElement(tag), attrs, children);
}

// svg makes an element of a drawing.
export function svg(tag, attrs, ...children) {
  return fill(document.createElementNS(SVG, tag), attrs, children);
}

function fill(node, attrs, children) {
  for (const [name, value] of Object.entries(attrs || {})) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (value !== null && value !== undefined && value !== false) {
      node.setAttribute(name, value === true ? '' : value);
    }
  }
  node.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

// set changes a text only where it differs: most do not, and each change costs a layout.
export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// put changes an attribute only where it differs.
export function put(node, name, value) {
  if (value === null || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, value);
  }
}

export const byId = (id) => document.getElementById(id);

// Control characters, and those that turn the direction of a text or take no room.
const hidden = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

export const escaped = (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0');

// plain shows what of a text could not be seen, or would make it look like another.
export function plain(text) {
  return String(text ?? '').replace(hidden, (c) => ({ '\n': '\\n', '\t': '\\t', '\r': '\\r' })[c] || escaped(c));
}

// Storage that may be switched off.
export function kept(key) {
  try {
    return localStorage.getItem('signalbox.' + key);
  } catch {
    return null;
  }
}

export function keep(key, value) {
  try {
    localStorage.setItem('signalbox.' + key, value);
  } catch { /* then it is forgotten */ }
}
