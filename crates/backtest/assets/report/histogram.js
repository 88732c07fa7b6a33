// How often values of each size came: bars, with some values marked.
// Never: bins; the bins come ready.

class Histogram {
  // marks: [[name, colour, value]]; format: of the values.
  constructor(host, data, label, marks, format) {
    Object.assign(this, { data, format, over: null });
    this.canvas = el('canvas', { class: 'base', role: 'img', tabindex: '0', 'aria-label': label });
    this.out = el('span', { class: 'when' });
    const key = (name, colour, v) =>
      el(
        'span',
        { class: 'key' },
        el('i', { class: 'dash', style: { 'border-color': `var(--${colour})` } }),
        name,
        el('b', {}, format(v)),
      );
    this.marks = marks.filter(([, , v]) => !missing(v));
    host.append(
      el(
        'figure',
        { class: 'chart' },
        el(
          'div',
          { class: 'legend' },
          this.marks.map((k) => key(...k)),
          this.out,
        ),
        el('div', { class: 'stage' }, this.canvas),
      ),
    );
    this.draw = this.draw.bind(this);
    const move = (e) => {
      const x = e.clientX - this.canvas.getBoundingClientRect().left;
      const i = Math.floor((x - this.left) / this.each);
      this.point(i >= 0 && i < data.counts.length ? i : null);
    };
    this.canvas.addEventListener('pointermove', move);
    this.canvas.addEventListener('pointerdown', move);
    this.canvas.addEventListener('pointerleave', () => this.point(null));
    this.canvas.addEventListener('blur', () => this.point(null));
    this.canvas.addEventListener('keydown', (e) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
      if (!step) return;
      e.preventDefault();
      this.point(
        Math.min(Math.max((this.over ?? (step > 0 ? -1 : data.counts.length)) + step, 0), data.counts.length - 1),
      );
    });
    theme.onChange(() => nextFrame(this.draw));
    new ResizeObserver(() => nextFrame(this.draw)).observe(this.canvas.parentNode);
  }
  point(i) {
    this.over = i;
    const { lo, width, counts, n } = this.data;
    this.out.textContent =
      i === null
        ? ''
        : `${this.format(lo + i * width)} to ${this.format(lo + (i + 1) * width)}: ` +
          `${fmt.count(counts[i])} of ${fmt.count(n)} (${fixed((counts[i] / n) * 100, 1)} %)`;
    nextFrame(this.draw);
  }
  draw() {
    const wide = this.canvas.parentNode.clientWidth;
    if (!wide) return;
    const height = 236;
    const ctx = sharp(this.canvas, wide, height);
    const { lo, width, counts } = this.data;
    const box = { left: 44, right: wide - 8, top: 8, bottom: height - 22 };
    this.left = box.left;
    this.each = (box.right - box.left) / counts.length;
    const most = Math.max(...counts, 1);
    const X = (v) => box.left + ((v - lo) / (width * counts.length)) * (box.right - box.left);
    const Y = (n) => box.bottom - (n / (most * 1.06)) * (box.bottom - box.top);
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    for (const n of valueTicks(0, most, 4).filter(Number.isInteger)) {
      const y = Math.round(Y(n)) + 0.5;
      ctx.strokeStyle = theme.colour('grid');
      ctx.beginPath();
      ctx.moveTo(box.left, y);
      ctx.lineTo(box.right, y);
      ctx.stroke();
      ctx.fillStyle = theme.colour('muted');
      ctx.fillText(fmt.count(n), box.left - 7, y);
    }
    const gap = this.each > 5 ? 1 : 0;
    counts.forEach((n, i) => {
      const centre = lo + (i + 0.5) * width;
      ctx.fillStyle = theme.colour(centre >= 0 ? 'pos' : 'neg');
      ctx.globalAlpha = this.over === null || this.over === i ? 0.85 : 0.4;
      if (n) ctx.fillRect(box.left + i * this.each + gap / 2, Y(n), Math.max(0.5, this.each - gap), box.bottom - Y(n));
    });
    ctx.globalAlpha = 1;
    ctx.setLineDash([4, 3]);
    ctx.lineWidth = 1.5;
    for (const [, colour, v] of this.marks) {
      if (v < lo || v > lo + width * counts.length) continue;
      ctx.strokeStyle = theme.colour(colour);
      ctx.beginPath();
      ctx.moveTo(X(v), box.top);
      ctx.lineTo(X(v), box.bottom);
      ctx.stroke();
    }
    ctx.setLineDash([]);
    ctx.lineWidth = 1;
    ctx.strokeStyle = theme.colour('line');
    ctx.beginPath();
    ctx.moveTo(box.left, box.bottom + 0.5);
    ctx.lineTo(box.right, box.bottom + 0.5);
    ctx.stroke();
    ctx.fillStyle = theme.colour('muted');
    ctx.textAlign = 'center';
    ctx.textBaseline = 'alphabetic';
    const ticks = valueTicks(lo, lo + width * counts.length, Math.max(2, (box.right - box.left) / 80));
    const labels = axisFormat(ticks, this.format);
    ticks.forEach((v, i) => {
      const half = ctx.measureText(labels[i]).width / 2;
      ctx.fillText(labels[i], Math.min(Math.max(X(v), box.left + half), box.right - half), height - 6);
    });
  }
}
