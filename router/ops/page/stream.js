// The connection to the router: server-sent events, and the few requests. It comes back by
// itself, and rests while nobody looks at the page.

const RETRY = 2000; // ms, after an answer that is no stream
const SILENCE = 8000; // ms; counts come every second, so then the line is dead
const LINGER = 5000; // ms that a hidden page still listens

export class Stream {
  // tell is called with a kind ("config", "counts", "events") and what came, and with
  // "link" and one of connecting, open, lost, login, resting.
  constructor(tell) {
    this.tell = tell;
    this.heard = 0;
    this.timer = 0;
    document.addEventListener('visibilitychange', () => this.seen());
    setInterval(() => this.watch(), 1000);
    this.open();
  }

  open() {
    this.close();
    this.heard = Date.now();
    const source = new EventSource('/api/live');
    this.source = source;
    for (const kind of ['config', 'counts', 'events']) {
      source.addEventListener(kind, (e) => this.receive(kind, e.data));
    }
    source.addEventListener('stopping', () => this.tell('link', 'lost'));
    source.onopen = () => { this.heard = Date.now(); };
    source.onerror = () => this.failed(source);
  }

  close() {
    clearTimeout(this.timer);
    if (this.source) this.source.close();
    this.source = null;
  }

  receive(kind, text) {
    this.heard = Date.now();
    this.tell('link', 'open');
    this.tell(kind, JSON.parse(text));
  }

  // The browser tries again when the line breaks, but gives up on an answer such as 502 or 401.
  async failed(source) {
    if (source !== this.source) return;
    this.tell('link', 'lost');
    if (source.readyState !== EventSource.CLOSED) return;
    let login = false;
    try {
      const answer = await fetch('/', { method: 'HEAD', cache: 'no-store', redirect: 'manual' });
      login = answer.status === 401 || answer.type === 'opaqueredirect';
    } catch { /* nobody is there */ }
    if (source !== this.source) return;
    if (login) this.tell('link', 'login');
    this.timer = setTimeout(() => this.open(), RETRY);
  }

  watch() {
    if (!this.source || document.hidden || Date.now() - this.heard < SILENCE) return;
    this.tell('link', 'lost');
    this.open();
  }

  seen() {
    clearTimeout(this.timer);
    if (document.hidden) {
      this.timer = setTimeout(() => {
        this.close();
        this.tell('link', 'resting');
      }, LINGER);
    } else if (!this.source || this.source.readyState === EventSource.CLOSED) {
      this.tell('link', 'connecting');
      this.open();
    }
  }
}

// ask gets JSON, and throws an error whose message is for people.
export async function ask(path) {
  return answered(fetch(path, { cache: 'no-store' }));
}

// send posts JSON: a value, or the text of one.
export async function send(path, body) {
  return answered(fetch(path, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body),
  }));
}

async function answered(request) {
  let answer;
  try {
    answer = await request;
  } catch {
    throw new Error('the router does not answer');
  }
  let body = null;
  try {
    body = await answer.json();
  } catch { /* no JSON: the status must do */ }
  if (!answer.ok) throw new Error((body && body.error) || `the router answers ${answer.status}`);
  return body || {};
}
