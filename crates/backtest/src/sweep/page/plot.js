// Charts of a sweep: a heat map of two parameters, a line over one, a cloud of two scores.
// Never: decides which combination is best; that comes with the page.

// The middle of the colours is zero where values lie on both sides of it, else their own middle.
const scaleOf = (values) => {
  const known = values.filter((v) => !missing(v)).sort((a, b) => a - b);
  if (!known.length) return { lo: 0, hi: 1, zero: 0.5, none: true };
  // One extreme must not bleach the others.
  const at = (q) => known[Math.round((known.length - 1) * q)];
  const [lo, hi] = known.length > 20 ? [at(0.02), at(0.98)] : [known[0], known[known.length - 1]];
  return { lo, hi, zero: lo < 0 && hi > 0 ? 0 : (lo + hi) / 2 };
};
// -1 (worst) to 1 (best).
const partOf = (v, s, minimised) => {
  const span = v >= s.zero ? s.hi - s.zero : s.zero - s.lo;
  const part = Math.max(-1, Math.min(1, span > 0 ? (v - s.zero) / span : 0));
  return minimised ? -part : part;
};
// Blue is good, orange is bad: told apart by everybody, with and without colour vision.
const goodColour = (part) => `color-mix(in srgb, var(--${part >= 0 ? 'c1' : 'c2'}) ${Math.round(6 + Math.abs(part) * 58)}%, var(--card))`;

// values: rows of columns, null where nothing was tried. marks: [{x, y}] cells with a ring.
const heatMap = (host, { x, y, values, marks, format, minimised, describe }) => {
  const scale = scaleOf(values.flat());
  const short = (text) => (text.length > 9 ? text.slice(0, 8) + '…' : text);
  const labelled = x.labels.length <= 16 && y.labels.length <= 24;
  const every = Math.ceil(x.labels.length / 16);
  const ringed = new Set(marks.map((m) => m.x + ':' + m.y));
  const cell = (v, i, j) => {
    const ring = ringed.has(i + ':' + j) ? { outline: '2px solid var(--text)', 'outline-offset': '-2px' } : {};
    const size = labelled ? {} : { 'min-width': '8px', padding: '0', height: '16px' };
    const name = `${x.name} ${x.labels[i]}, ${y.name} ${y.labels[j]}: ${missing(v) ? 'not tried, or without a value' : describe(v)}`;
    if (missing(v)) return el('td', { class: 'none', title: name, style: { ...size, ...ring } }, '');
    const part = partOf(v, scale, minimised);
    return el('td', { title: name, style: { ...size, ...ring, background: goodColour(part) } }, labelled ? format(v) : '');
  };
  const rows = values.map((row, j) => el('tr', {}, el('th', { scope: 'row', title: y.labels[j] }, short(y.labels[j])),
    row.map((v, i) => cell(v, i, j))));
  const heads = x.labels.map((l, i) => el('th', { scope: 'col', title: l, style: labelled ? {} : { padding: '0', 'font-size': '10px' } },
    i % every === 0 ? short(l) : ''));
  const table = el('table', { class: 'heat' }, el('caption', {}, `${y.name} downwards, ${x.name} across. A ring marks the choice.`),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, `${y.name} \\ ${x.name}`), heads)), el('tbody', {}, rows.reverse()));
  host.append(el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${y.name} by ${x.name}` }, table));
};

// A canvas with two axes that is drawn anew when its size or the colours change, and names what is near the pointer.
class Plot {
  // opts: label, height, x: {lo, hi, ticks: [[value, text]], name}, y: {lo, hi, format, name}, draw(ctx, X, Y), near(x, y) -> text
  constructor(host, opts) {
    Object.assign(this, opts);
    this.canvas = el('canvas', { class: 'base', role: 'img', 'aria-label': opts.label });
    this.out = el('span', { class: 'when' });
    host.append(el('figure', { class: 'chart' }, el('div', { class: 'legend' }, opts.legend ?? null, this.out),
      el('div', { class: 'stage' }, this.canvas)));
    this.paint = this.paint.bind(this);
    const move = (e) => {
      if (!this.X || !this.near) return;
      const rect = this.canvas.getBoundingClientRect();
      this.out.textContent = this.near(e.clientX - rect.left, e.clientY - rect.top, this.X, this.Y) || '';
    };
    this.canvas.addEventListener('pointermove', move);
    this.canvas.addEventListener('pointerdown', move);
    this.canvas.addEventListener('pointerleave', () => { this.out.textContent = ''; });
    theme.onChange(() => nextFrame(this.paint));
    new ResizeObserver(() => nextFrame(this.paint)).observe(this.canvas.parentNode);
  }
  paint() {
    const wide = this.canvas.parentNode.clientWidth;
    if (!wide) return;
    const ctx = sharp(this.canvas, wide, this.height);
    const box = { left: 56, right: wide - 10, top: 10, bottom: this.height - 38 };
    const line = (v, lo, hi, from, to) => from + ((v - lo) / (hi - lo || 1)) * (to - from);
    this.X = (v) => line(v, this.x.lo, this.x.hi, box.left, box.right);
    this.Y = (v) => line(v, this.y.lo, this.y.hi, box.bottom, box.top);
    ctx.lineWidth = 1;
    ctx.textBaseline = 'middle';
    for (const v of valueTicks(this.y.lo, this.y.hi, Math.max(2, this.height / 56))) {
      const y = Math.round(this.Y(v)) + 0.5;
      ctx.strokeStyle = theme.colour(v === 0 ? 'muted' : 'grid');
      ctx.beginPath();
      ctx.moveTo(box.left, y);
      ctx.lineTo(box.right, y);
      ctx.stroke();
      ctx.fillStyle = theme.colour('muted');
      ctx.textAlign = 'right';
      ctx.fillText(this.y.format(v), box.left - 7, y);
    }
    ctx.textAlign = 'center';
    let free = -Infinity;
    for (const [v, text] of this.x.ticks) {
      const x = Math.round(this.X(v)) + 0.5;
      const half = ctx.measureText(text).width / 2;
      const at = Math.min(Math.max(x, half), wide - half);
      if (at - half < free) continue;
      free = at + half + 8;
      ctx.strokeStyle = theme.colour('grid');
      ctx.beginPath();
      ctx.moveTo(x, box.top);
      ctx.lineTo(x, box.bottom);
      ctx.stroke();
      ctx.fillStyle = theme.colour('muted');
      ctx.fillText(text, at, box.bottom + 11);
    }
    ctx.fillStyle = theme.colour('muted');
    ctx.fillText(this.x.name, (box.left + box.right) / 2, this.height - 8);
    ctx.save();
    ctx.beginPath();
    ctx.rect(box.left - 6, box.top - 6, box.right - box.left + 12, box.bottom - box.top + 12);
    ctx.clip();
    this.draw(ctx, this.X, this.Y);
    ctx.restore();
  }
}

const dot = (ctx, x, y, r, colour, ring) => {
  ctx.beginPath();
  ctx.arc(x, y, r, 0, 2 * Math.PI);
  ctx.fillStyle = colour;
  ctx.fill();
  if (!ring) return;
  ctx.lineWidth = 2;
  ctx.strokeStyle = ring;
  ctx.stroke();
  ctx.lineWidth = 1;
};
const padded = (values) => {
  const known = values.filter((v) => !missing(v));
  if (!known.length) return [0, 1];
  const [lo, hi] = [Math.min(...known), Math.max(...known)];
  const room = (hi - lo) * 0.06 || Math.abs(hi) * 0.1 || 1;
  return [lo - room, hi + room];
};
const key = (name, colour, dash) => el('span', { class: 'key' }, el('i', { class: dash ? 'dash' : '', style: { 'border-color': `var(--${colour})` } }), name);
