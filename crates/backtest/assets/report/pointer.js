// What mouse, fingers and keys do on a time chart.
// Never: draws. Drag zooms, Shift-drag and two fingers move, Ctrl-wheel zooms (a plain wheel scrolls the page).

Object.assign(TimeChart.prototype, {
  timeAt(x) {
    const { left, width, lo, hi } = this.frame;
    return lo + ((x - left) / width) * (hi - lo);
  },
  // The nearest moment at which the first shown series has a value.
  snap(t) {
    const s = this.opts.series.find((one) => !one.hidden && one.t.length);
    if (!s) return t;
    const i = Math.max(0, lastBelow(s.t, t));
    const next = Math.min(i + 1, s.t.length - 1);
    return t - s.t[i] <= s.t[next] - t || next === i ? s.t[i] : s.t[next];
  },
  place(event) {
    const box = this.base.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  },
  listen() {
    const on = (name, f, options) => this.base.addEventListener(name, f, options);
    on('pointerdown', (e) => this.onDown(e));
    on('pointermove', (e) => this.onMove(e));
    on('pointerup', (e) => this.onUp(e));
    on('pointercancel', (e) => this.onUp(e, true));
    on('pointerleave', () => {
      if (this.drag) return;
      this.pointerY = undefined;
      this.tip.hidden = true;
      this.view.point(null);
    });
    on('dblclick', () => this.view.reset());
    on('wheel', (e) => this.onWheel(e), { passive: false });
    on('keydown', (e) => this.onKey(e));
    on('blur', () => this.view.point(null));
  },
  onDown(e) {
    if (!this.frame) return;
    const [x] = this.place(e);
    if (e.pointerType === 'touch') {
      this.touches.set(e.pointerId, x);
      this.hover(e);
      return;
    }
    if (e.button > 1) return;
    this.base.setPointerCapture(e.pointerId);
    this.drag = { from: x, x, zoom: e.button === 0 && !e.shiftKey, lo: this.view.lo, hi: this.view.hi };
  },
  onMove(e) {
    if (!this.frame) return;
    const [x] = this.place(e);
    if (this.touches.has(e.pointerId) && this.touches.size === 2) return this.pinch(e.pointerId, x);
    if (this.drag) {
      this.drag.x = Math.min(Math.max(x, this.frame.left), this.frame.right);
      if (!this.drag.zoom) {
        const shift = ((this.drag.from - x) / this.frame.width) * (this.drag.hi - this.drag.lo);
        this.view.set(this.drag.lo + shift, this.drag.hi + shift);
      }
    }
    this.hover(e);
  },
  onUp(e, cancelled) {
    this.touches.delete(e.pointerId);
    const drag = this.drag;
    this.drag = null;
    if (drag && drag.zoom && !cancelled && Math.abs(drag.x - drag.from) > 5) {
      const [a, b] = [this.timeAt(drag.from), this.timeAt(drag.x)];
      this.view.set(Math.min(a, b), Math.max(a, b));
    }
    this.redrawOver();
  },
  pinch(id, x) {
    const [[first, a], [second, b]] = [...this.touches.entries()];
    const other = id === first ? b : a;
    const before = id === first ? a : b;
    const anchor = this.timeAt(other);
    const [was, is] = [Math.abs(before - other), Math.abs(x - other)];
    if (was > 8 && is > 8) this.view.zoom(was / is, anchor);
    this.touches.set(id === first ? first : second, x);
  },
  hover(e) {
    const [x, y] = this.place(e);
    const { left, right, top, bottom } = this.frame;
    const inside = x >= left && x <= right && y >= top && y <= bottom;
    this.pointerY = inside ? y : undefined;
    this.view.point(inside ? this.snap(this.timeAt(x)) : null);
    const hit = this.hits.find((h) => Math.abs(h.x - x) < 8 && Math.abs(h.y - y) < 9);
    this.tip.hidden = !hit;
    if (!hit) return;
    const what =
      (hit.buy ? 'Buy' : 'Sell') + (hit.mixed ? '' : hit.exit ? ', reduces the position' : ', opens or adds');
    const span = hit.from === hit.to ? fmt.time(hit.from) : fmt.time(hit.from) + ' to\n' + fmt.time(hit.to);
    this.tip.textContent =
      what +
      '\n' +
      this.opts.fills.size(hit.qty) +
      ' at ' +
      (hit.n > 1 ? 'an average of ' : '') +
      this.opts.format(hit.value / hit.qty) +
      (hit.n > 1 ? '\n' + fmt.count(hit.n) + ' fills' : '') +
      '\n' +
      span;
    const wide = this.tip.offsetWidth;
    this.tip.style.left = Math.max(0, Math.min(hit.x + 12, this.base.clientWidth - wide)) + 'px';
    this.tip.style.top = hit.y + 14 + 'px';
  },
  onWheel(e) {
    if (!this.frame) return;
    const sideways = Math.abs(e.deltaX) > Math.abs(e.deltaY);
    if (!e.ctrlKey && !e.metaKey && !sideways) return;
    if (sideways && this.view.whole()) return;
    e.preventDefault();
    if (sideways) {
      const shift = (e.deltaX / this.frame.width) * (this.view.hi - this.view.lo);
      this.view.set(this.view.lo + shift, this.view.hi + shift);
    } else this.view.zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) * 0.008), this.timeAt(this.place(e)[0]));
  },
  onKey(e) {
    const { view } = this;
    const s = this.opts.series.find((one) => !one.hidden && one.t.length);
    const span = view.hi - view.lo;
    const about = view.at === null ? view.lo + span / 2 : view.at;
    const moves = {
      '+': () => view.zoom(0.6, about),
      '=': () => view.zoom(0.6, about),
      '-': () => view.zoom(1 / 0.6, about),
      Escape: () => view.reset(),
      0: () => view.reset(),
      ArrowLeft: () => this.step(s, -1, e.shiftKey),
      ArrowRight: () => this.step(s, 1, e.shiftKey),
    };
    if (!moves[e.key] || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    moves[e.key]();
  },
  // The crosshair to the next point, at least two pixels on; Shift goes twenty times as far. The view follows.
  step(s, direction, far) {
    if (!s || !this.frame) return;
    const { view } = this;
    const pixel = (view.hi - view.lo) / this.frame.width;
    const from = view.at === null ? (direction > 0 ? view.lo : view.hi) : view.at;
    const goal = from + direction * pixel * (far ? 40 : 2);
    const i = lastBelow(s.t, goal) + (direction > 0 ? 1 : 0);
    const at = s.t[Math.min(Math.max(i, 0), s.t.length - 1)];
    const span = view.hi - view.lo;
    if (at < view.lo) view.set(at - span * 0.1, at + span * 0.9);
    if (at > view.hi) view.set(at - span * 0.9, at + span * 0.1);
    view.point(at);
    this.readout(at);
    const shown = this.opts.series.filter((one) => one.out && !one.hidden);
    this.spoken.textContent = [this.when, ...shown.map((one) => one.out.parentNode)]
      .map((e) => e.textContent)
      .join(', ');
  },
});
