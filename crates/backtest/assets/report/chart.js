// Charts over time that share one view: zoom, move and crosshair of one are those of all.
// Never: knows what its series mean.

class View {
  constructor(min, max) {
    Object.assign(this, { min, max, lo: min, hi: max, at: null, span: null, charts: [], onChange: [] });
  }
  set(lo, hi) {
    const least = Math.max((this.max - this.min) / 1e5, 1);
    const span = Math.min(Math.max(hi - lo, least), this.max - this.min);
    const start = Math.min(Math.max(lo, this.min), this.max - span);
    [this.lo, this.hi] = [start, start + span];
    this.charts.forEach((c) => c.redraw());
    this.onChange.forEach((f) => f());
  }
  zoom(factor, about) {
    const keep = (about - this.lo) / (this.hi - this.lo);
    const span = (this.hi - this.lo) * factor;
    this.set(about - span * keep, about + span * (1 - keep));
  }
  reset() {
    this.span = null;
    this.set(this.min, this.max);
  }
  // Shows a stretch of time, marked, with room around it.
  show(from, to, room) {
    this.span = [from, to];
    this.set(from - room, to + room);
  }
  whole() {
    return this.lo <= this.min && this.hi >= this.max;
  }
  point(at) {
    this.at = at;
    this.charts.forEach((c) => c.redrawOver());
  }
}

class TimeChart {
  // opts: label, height, format, series [{name, colour, t, v, type, ...}], fills, zero, log, short (fewer axis labels)
  constructor(host, view, opts) {
    Object.assign(this, { host, view, opts, hits: [], drag: null, touches: new Map() });
    this.base = el('canvas', {
      class: 'base',
      tabindex: '0',
      role: 'img',
      'aria-label': opts.label + '. Arrow keys move the crosshair, ' + 'plus and minus zoom, Escape shows all.',
    });
    this.over = el('canvas', { class: 'over', 'aria-hidden': 'true' });
    this.tip = el('div', { class: 'tip', hidden: true });
    this.legend = el('div', { class: 'legend' });
    // What the crosshair reads, for those who move it by key and do not see it.
    this.spoken = el('span', { class: 'sr', role: 'status' });
    this.figure = el(
      'figure',
      { class: 'chart' },
      this.legend,
      el('div', { class: 'stage' }, this.base, this.over, this.tip, this.spoken),
    );
    host.append(this.figure);
    this.fillLegend();
    this.listen();
    this.draw = this.draw.bind(this);
    this.drawOver = this.drawOver.bind(this);
    view.charts.push(this);
    theme.onChange(() => this.redraw());
    new ResizeObserver(() => this.redraw()).observe(this.figure);
  }
  redraw() {
    nextFrame(this.draw);
  }
  redrawOver() {
    nextFrame(this.drawOver);
  }
  remove() {
    this.view.charts = this.view.charts.filter((c) => c !== this);
    this.figure.remove();
  }

  fillLegend() {
    this.when = el('span', { class: 'when' });
    const keys = this.opts.series
      .filter((s) => s.name)
      .map((s) => {
        s.out = el('b');
        const swatch = el('i', { class: s.dash ? 'dash' : '', style: { 'border-color': `var(--${s.colour})` } });
        if (this.opts.series.length === 1 || s.fixed) return el('span', { class: 'key' }, swatch, s.name, s.out);
        const button = el(
          'button',
          { type: 'button', 'aria-pressed': String(!s.hidden), title: 'show or hide' },
          swatch,
          s.name,
          s.out,
        );
        button.addEventListener('click', () => {
          s.hidden = !s.hidden;
          button.setAttribute('aria-pressed', String(!s.hidden));
          this.redraw();
        });
        return button;
      });
    this.legend.replaceChildren(...keys, this.when);
  }

  // The part of a series inside the view, with one point beyond each edge so that lines run to it.
  within(s) {
    if (!s.t.length) return null;
    const i0 = Math.max(0, lastBelow(s.t, this.view.lo));
    const i1 = Math.min(s.t.length - 1, lastBelow(s.t, this.view.hi) + 1);
    return i1 < i0 ? null : [i0, i1];
  }
  range() {
    let [lo, hi] = [Infinity, -Infinity];
    for (const s of this.opts.series) {
      const part = s.hidden ? null : this.within(s);
      if (!part) continue;
      const [top, bottom] = [s.h || s.v, s.l || s.v];
      for (let i = part[0]; i <= part[1]; i++) {
        if (top[i] > hi) hi = top[i];
        if (bottom[i] < lo) lo = bottom[i];
      }
    }
    if (!(hi >= lo)) [lo, hi] = [0, 1];
    if (this.opts.zero) [lo, hi] = [Math.min(lo, 0), Math.max(hi, 0)];
    if (hi === lo) {
      const half = Math.abs(hi) * 0.01 || (this.opts.format === fmt.percent ? 0.01 : 1);
      return [lo - half, hi + half];
    }
    if (this.opts.log && lo > 0) return [lo * (lo / hi) ** 0.05, hi * (hi / lo) ** 0.05];
    const pad = (hi - lo) * 0.06;
    const [atFloor, atCeiling] = this.opts.zero ? [lo === 0, hi === 0] : [false, false];
    return [lo - (atFloor ? 0 : pad), hi + (atCeiling ? 0 : pad)];
  }

  draw() {
    const width = this.base.parentNode.clientWidth;
    if (!width) return;
    const { height, format } = this.opts;
    const ctx = sharp(this.base, width, height);
    const narrow = width < 520;
    const box = { left: narrow ? 50 : 64, right: width - 8, top: 6, bottom: height - 20 };
    const { lo, hi } = this.view;
    const [low, high] = this.range();
    const log = this.opts.log && low > 0;
    const X = (t) => box.left + ((t - lo) / (hi - lo || 1)) * (box.right - box.left);
    const scale = (v) => (log ? Math.log(v) : v);
    const [a, b] = [scale(low), scale(high)];
    const Y = (v) => box.bottom - ((scale(v) - a) / (b - a)) * (box.bottom - box.top);
    this.frame = { ...box, X, Y, width: box.right - box.left, lo, hi, low, high, a, b, log };

    ctx.strokeStyle = theme.colour('grid');
    ctx.fillStyle = theme.colour('muted');
    ctx.lineWidth = 1;
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    const rows = Math.max(3, Math.round((box.bottom - box.top) / 44));
    const ticks = log ? logTicks(low, high, rows) : valueTicks(low, high, rows);
    const text = (this.opts.axis || axisFormat)(ticks, format);
    ticks.forEach((v, i) => {
      const y = Math.round(Y(v)) + 0.5;
      if (y < box.top - 1 || y > box.bottom + 1) return;
      ctx.strokeStyle = theme.colour(v === 0 && this.opts.zero ? 'line' : 'grid');
      ctx.beginPath();
      ctx.moveTo(box.left, y);
      ctx.lineTo(box.right, y);
      ctx.stroke();
      ctx.fillText(text[i], box.left - 7, Math.min(Math.max(y, box.top + 5), box.bottom - 5));
    });
    ctx.textBaseline = 'alphabetic';
    ctx.textAlign = 'center';
    ctx.strokeStyle = theme.colour('grid');
    for (const tick of timeTicks(lo, hi, (box.right - box.left) / 84)) {
      const x = Math.round(X(tick.t)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(x, box.top);
      ctx.lineTo(x, box.bottom);
      ctx.stroke();
      ctx.fillStyle = theme.colour(tick.strong ? 'text' : 'muted');
      const half = ctx.measureText(tick.label).width / 2;
      ctx.fillText(tick.label, Math.min(Math.max(x, box.left + half), box.right - half), height - 6);
    }

    if (this.view.span) {
      const [from, to] = this.view.span.map((t) => Math.min(Math.max(X(t), box.left), box.right));
      ctx.fillStyle = theme.colour('accent-soft');
      ctx.globalAlpha = 0.55;
      ctx.fillRect(from, box.top, Math.max(1, to - from), box.bottom - box.top);
      ctx.globalAlpha = 1;
    }
    ctx.save();
    ctx.beginPath();
    // The first and last point of all stand on the edge; they are shown whole.
    const edge = this.view.whole() ? 4 : 0;
    ctx.rect(box.left - edge, 0, box.right - box.left + 2 * edge, box.bottom + 1);
    ctx.clip();
    for (const s of this.opts.series) {
      const part = s.hidden ? null : this.within(s);
      if (!part) continue;
      const view = { ...this.frame, i0: part[0], i1: part[1] };
      if (s.type === 'candles') drawCandles(ctx, s, view);
      else if (s.type === 'area') drawArea(ctx, s, view);
      else drawLine(ctx, s, view);
    }
    this.hits = [];
    if (this.opts.fills && !this.opts.fills.hidden) drawFills(ctx, this.opts.fills, this.frame, this.hits);
    ctx.restore();
    this.drawOver();
  }

  drawOver() {
    if (!this.frame) return;
    const { left, right, top, bottom, X, Y } = this.frame;
    const { height } = this.opts;
    const ctx = sharp(this.over, this.base.parentNode.clientWidth, height);
    const at = this.view.at;
    if (this.drag && this.drag.zoom) {
      ctx.fillStyle = theme.colour('accent-soft');
      ctx.fillRect(Math.min(this.drag.from, this.drag.x), top, Math.abs(this.drag.x - this.drag.from), bottom - top);
    }
    this.readout(at);
    if (at === null || at < this.frame.lo || at > this.frame.hi) return;
    const x = Math.round(X(at)) + 0.5;
    ctx.strokeStyle = theme.colour('muted');
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, bottom);
    if (this.pointerY !== undefined) {
      ctx.moveTo(left, this.pointerY);
      ctx.lineTo(right, this.pointerY);
    }
    ctx.stroke();
    ctx.setLineDash([]);
    for (const s of this.opts.series) {
      const i = s.hidden ? -1 : lastBelow(s.t, at);
      if (i < 0 || Number.isNaN(s.v[i]) || s.type === 'candles') continue;
      ctx.fillStyle = theme.colour(s.colour);
      ctx.beginPath();
      ctx.arc(x, Y(s.v[i]), 3, 0, 7);
      ctx.fill();
    }
    if (this.pointerY !== undefined) this.tag(ctx, left, this.pointerY);
  }
  // The value at the pointer's height, on the axis.
  tag(ctx, left, y) {
    const { a, b, bottom, top, log } = this.frame;
    const scaled = a + ((bottom - y) / (bottom - top)) * (b - a);
    const label = this.opts.format(log ? Math.exp(scaled) : scaled);
    const wide = ctx.measureText(label).width + 8;
    ctx.fillStyle = theme.colour('text');
    ctx.fillRect(Math.max(0, left - wide), y - 8, wide, 16);
    ctx.fillStyle = theme.colour('card');
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    ctx.fillText(label, Math.max(wide, left) - 4, y + 0.5);
  }
  readout(at) {
    const moment = at === null ? this.view.hi : at;
    this.when.textContent =
      at === null ? '' : this.view.max - this.view.min < 3 * DAY ? fmt.time(moment) : fmt.minute(moment);
    for (const s of this.opts.series) {
      if (!s.out) continue;
      const i = lastBelow(s.t, moment);
      s.out.textContent = i < 0 ? NONE : (s.format || this.opts.format)(s.v[i]);
    }
  }
}

// The same number of places on all labels of an axis, no more than they need; thousands and millions shortened.
const axisFormat = (ticks, format) => {
  // As many places as the distance of two labels has, so that 2.5 is not called 3.
  const places = (step) => {
    let n = Math.max(0, Math.min(10, Math.ceil(-Math.log10(step) - 1e-9)));
    if (n < 10 && Math.abs(Math.round(step * 10 ** n) - step * 10 ** n) > 1e-6 * step * 10 ** n) n++;
    return n;
  };
  const size = Math.max(...ticks.map(Math.abs));
  const distance = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : size || 1;
  if (format === fmt.percent) return ticks.map((v) => fixed(v * 100, places(distance * 100)) + ' %');
  const [unit, mark] = size >= 1e9 ? [1e9, ' B'] : size >= 1e6 ? [1e6, ' M'] : size >= 1e5 ? [1e3, ' k'] : [1, ''];
  return ticks.map((v) => fixed(v / unit, places(distance / unit)) + mark);
};
