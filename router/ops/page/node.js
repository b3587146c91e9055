// A node of the picture: a source, a channel, a type, a route or a handler, with what it counted.

const POINTS = 120; // seconds that are remembered
const SHORT = 10; // seconds of a rate
const LONG = 60; // seconds of the rate of what is seldom
const MARKED = 5 * 60_000; // ms that a mark stays

// What is marked, the worst first, and how bad it is.
export const MARKS = {
  failed: { level: 'error', word: 'failed' },
  rejected: { level: 'error', word: 'rejected' },
  lost: { level: 'dropped', word: 'lost' },
  gaps: { level: 'dropped', word: 'gap', words: 'gaps' },
  retried: { level: 'warn', word: 'retried' },
  unmatched: { level: 'warn', word: 'unmatched' },
  skipped: { level: 'note', word: 'skipped' },
  duplicates: { level: 'note', word: 'duplicate', words: 'duplicates' },
};

export const keyOf = (...parts) => JSON.stringify(parts);

export class Node {
  constructor(kind, key, name) {
    this.kind = kind;
    this.key = key;
    this.name = name;
    this.totals = {};
    this.done = 0;
    this.points = []; // events of each second
    this.faults = []; // of them failed
    this.marks = {};
    this.behind = 0; // waiting events, of a channel
    this.level = ''; // error or warn, of a source that is not connected
  }

  // forget begins the counters anew, as the router did.
  forget() {
    this.totals = {};
    this.counted = false;
  }

  // advance takes the counters of the moment; seconds lie since the last ones.
  advance(done, totals, seconds, at) {
    const before = this.totals;
    const first = !this.counted;
    const passed = first ? 0 : Math.max(0, done - this.done);
    const bad = (t) => (t.failed || 0) + (t.rejected || 0);
    this.record(passed, first ? 0 : Math.max(0, bad(totals) - bad(before)), seconds);
    for (const kind of Object.keys(MARKS)) {
      const more = first ? 0 : Math.max(0, (totals[kind] || 0) - (before[kind] || 0));
      if (more > 0) this.mark(kind, at);
      if (this.marks[kind]) this.settle(kind, more, at, first);
    }
    this.done = done;
    this.totals = totals;
    this.counted = true;
  }

  record(passed, faults, seconds) {
    // After a silence a number is spread over its seconds, or it would look like a burst.
    const n = Math.max(1, Math.min(POINTS, Math.round(seconds)));
    for (let i = 0; i < n; i++) {
      this.points.push(passed / Math.max(seconds, 0.5));
      this.faults.push(faults / Math.max(seconds, 0.5));
    }
    this.points.splice(0, this.points.length - POINTS);
    this.faults.splice(0, this.faults.length - POINTS);
  }

  mark(kind, at) {
    const mark = this.marks[kind] ||= { settled: 0, ahead: 0, last: at, text: '' };
    mark.last = Math.max(mark.last, at);
    return mark;
  }

  // see marks what an event tells, before the counters do.
  see(kind, at, text, now) {
    if (now - at > MARKED) return;
    const mark = this.mark(kind, at);
    mark.ahead++;
    if (text && at >= mark.last) mark.text = text;
  }

  // settle counts what the counters say, of which events have told some already, or will tell
  // some yet: either may come first. At the first counters what was told stands.
  settle(kind, more, at, first) {
    const mark = this.marks[kind];
    mark.settled += first ? mark.ahead : more;
    mark.ahead = first ? 0 : Math.max(mark.ahead - more, -more);
    if (at - mark.last > MARKED || said(mark) === 0) delete this.marks[kind];
  }

  acknowledge() {
    for (const kind of Object.keys(MARKS)) delete this.marks[kind];
  }

  // rate is per second, over ten seconds; of what is seldom over a minute.
  get rate() {
    const short = mean(this.points.slice(-SHORT));
    return short >= 0.95 ? short : mean(this.points.slice(-LONG));
  }

  // marked lists what is marked, the worst first.
  marked() {
    return Object.keys(MARKS).filter((k) => this.marks[k]).map((k) => {
      const { last, text } = this.marks[k];
      const n = said(this.marks[k]);
      const { level, word, words } = MARKS[k];
      return { kind: k, level, n, last, text, said: `${n.toLocaleString('en')} ${n > 1 && words ? words : word}` };
    });
  }

  // late is whether more waits than two seconds can explain.
  late() {
    return this.behind > Math.max(10, 2 * this.rate);
  }

  // state is the colour of its lamp.
  get state() {
    const levels = this.marked().map((m) => m.level);
    if (levels.includes('error') || this.level === 'error') return 'error';
    if (levels.includes('dropped')) return 'dropped';
    if (this.late()) return 'behind';
    if (levels.includes('warn') || this.level === 'warn') return 'warn';
    return this.rate > 0 ? 'flowing' : 'idle';
  }
}

// said is how many a mark stands for.
export const said = (mark) => mark.settled + Math.max(0, mark.ahead);

const mean = (list) => (list.length ? list.reduce((a, b) => a + b, 0) / list.length : 0);
