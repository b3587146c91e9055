// An event as the command that sends it again, and the clipboard.

import { el } from './dom.js';
import { compact, get, parse } from './json.js';

// quote writes an argument for bash and zsh. Control characters, and those that would make a
// command look like another, are written as escapes.
export function quote(text) {
  if (/^[A-Za-z0-9_./:@%+,-]+$/.test(text)) return text;
  if (!/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/.test(text)) {
    return `'${text.replaceAll("'", "'\\''")}'`;
  }
  const body = [...text].map((c) => {
    const code = c.codePointAt(0);
    if (c === '\\' || c === "'") return `\\${c}`;
    if (code < 0x20 || code === 0x7f) return `\\x${code.toString(16).padStart(2, '0')}`;
    return /[\u0080-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/.test(c)
      ? `\\u${code.toString(16).padStart(4, '0')}` : c;
  });
  return `$'${body.join('')}'`;
}

// command is how to send an event again; null when its message is not known as a whole.
export function command(event) {
  if (event.cut || !event.message || event.message.includes('\u0000')) return null;
  const parsed = parse(event.message);
  if (!event.type || !parsed || !parsed.whole) return line(event.channel, '--raw', [event.message]);
  const data = get(parsed.value, ['data']) || parsed.value;
  return line(event.channel, '', [event.type, compact(data)]);
}

// line puts "--" before arguments of which one would be taken for a flag.
function line(channel, flag, args) {
  const all = [channel, ...args];
  return ['router publish', flag, all.some((a) => a.startsWith('-')) ? '--' : '', ...all.map(quote)].filter(Boolean).join(' ');
}

// copyButton copies what text() returns, and says so. Where the clipboard is out of reach the
// text is shown, selected.
export function copyButton(label, text) {
  const button = el('button', { type: 'button' }, label);
  button.addEventListener('click', async () => {
    if (await copied(text(), button)) {
      button.textContent = 'copied';
      setTimeout(() => { button.textContent = label; }, 2000);
    }
  });
  return button;
}

async function copied(text, near) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* not permitted, or not over https */ }
  const area = el('textarea', { class: 'copy', readonly: true, 'aria-label': 'the command, to copy' });
  area.value = text;
  near.after(area);
  area.focus();
  area.select();
  const done = document.execCommand('copy');
  if (done) {
    area.remove();
    near.focus();
  } else {
    area.addEventListener('blur', () => area.remove(), { once: true });
  }
  return done;
}
