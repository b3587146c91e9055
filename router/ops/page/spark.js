// Small charts of the last two minutes, and the larger one of the panel, which uPlot draws.

let colours = null;

// recolour reads the colours of the style sheet again.
export function recolour() {
  colours = null;
}

function colour(name) {
  if (!colours) colours = getComputedStyle(document.documentElement);
  return colours.getPropertyValue(name).trim();
}

const tint = { error: '--red', dropped: '--red', behind: '--amber', warn: '--amber', flowing: '--green', idle: '--idle' };

// spark draws points into a canvas of width × height px.
export function spark(canvas, points, state, width, height) {
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const ctx = canvas.getContext('2d');
  ctx.setTransform(scale, 0, 0, scale, 0, 0);
  ctx.clearRect(0, 0, width, height);
  const shown = points.slice(-60);
  const top = Math.max(...shown, 0.001);
  const step = width / 59;
  const left = width - (shown.length - 1) * step;
  ctx.beginPath();
  ctx.moveTo(left, height);
  shown.forEach((p, i) => ctx.lineTo(left + i * step, height - 1 - (p / top) * (height - 2)));
  ctx.strokeStyle = colour(tint[state] || '--idle');
  ctx.lineTo(width, height);
  ctx.globalAlpha = 0.18;
  ctx.fillStyle = ctx.strokeStyle;
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.beginPath();
  shown.forEach((p, i) => ctx.lineTo(left + i * step, height - 1 - (p / top) * (height - 2)));
  ctx.lineWidth = 1.2;
  ctx.stroke();
}

// Chart is the larger one: events and failures a second.
export class Chart {
  constructor(host) {
    this.host = host;
    this.plot = null;
  }

  draw(node) {
    const n = node.points.length;
    const data = [Array.from({ length: n }, (_, i) => i - n + 1), node.points, node.faults.map((f) => f || null)];
    const width = this.host.clientWidth;
    if (!n || !width || !window.uPlot) return;
    if (this.plot && this.plot.width !== width) this.clear();
    if (this.plot) this.plot.setData(data);
    else this.plot = new window.uPlot(options(width), data, this.host);
  }

  clear() {
    if (this.plot) this.plot.destroy();
    this.plot = null;
  }
}

function options(width) {
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '11px ui-monospace, monospace' };
  return {
    width, height: 120, legend: { show: false }, cursor: { show: false }, padding: [8, 18, 0, 0],
    scales: { x: { time: false, range: () => [-119, 0] }, y: { range: (u, lo, hi) => [0, Math.max(hi * 1.1, 1)] } },
    axes: [
      { ...axis, size: 22, values: (u, ticks) => ticks.map((t) => (t === 0 ? 'now' : `${t} s`)) },
      { ...axis, size: 52, values: (u, ticks) => ticks.map((t) => (t === 0 ? '0' : `${t.toLocaleString('en')}/s`)) },
    ],
    series: [
      {},
      { stroke: colour('--green'), fill: `${colour('--green')}22`, width: 1.5, points: { show: false } },
      { stroke: colour('--red'), fill: colour('--red'), width: 1, points: { show: true, size: 5, fill: colour('--red') } },
    ],
  };
}
