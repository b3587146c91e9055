// Numbers and times as people read them.

export const count = (n) => Math.round(n).toLocaleString('en');

export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : many || one + 's'}`;

// rate says how often something happens: per second, or per minute when it is seldom.
export function rate(perSecond) {
  if (!(perSecond > 0)) return '0';
  if (perSecond < 0.95) return `${Math.max(1, Math.round(perSecond * 60))}/min`;
  if (perSecond < 99.5) return `${perSecond.toFixed(1)}/s`;
  return `${count(perSecond)}/s`;
}

// spoken is a rate for a screen reader.
export function spoken(perSecond) {
  if (!(perSecond > 0)) return 'idle';
  return rate(perSecond).replace('/min', ' per minute').replace('/s', ' per second');
}

// span is a duration in milliseconds.
export function span(ms) {
  if (!(ms >= 0)) return '–';
  if (ms === 0) return '0 ms';
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

// ago is how long something is past, in whole seconds at least.
export function ago(ms) {
  return ms < 1000 ? 'just now' : `${span(Math.floor(ms / 1000) * 1000).replace(/\.0 s/, ' s')} ago`;
}

const two = (n, digits = 2) => String(n).padStart(digits, '0');

// clock is the time of day, with milliseconds.
export function clock(at) {
  const d = new Date(at);
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${two(d.getMilliseconds(), 3)}`;
}

// moment is a day and a time; of today only the time.
export function moment(at, now = Date.now()) {
  const d = new Date(at);
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  if (d.toDateString() === new Date(now).toDateString()) return time;
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}
