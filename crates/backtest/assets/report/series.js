// Draws one series of a time chart: lines, areas, steps, candles, fills.
// Never: decides ranges or axes. More points than pixels are drawn as first, lowest, highest and last of each pixel
// column, so no spike is lost.

const DENSE = 2;

// Calls `to(x, y)` for the points i0..=i1, thinned by pixel column; `lift()` where there is no value.
const trace = (T, V, i0, i1, X, Y, width, to, lift) => {
  const pen = (x, v) => to(x, Y(v));
  if (i1 - i0 < DENSE * width) {
    for (let i = i0; i <= i1; i++) Number.isNaN(V[i]) ? lift() : pen(X(T[i]), V[i]);
    return;
  }
  let column = null;
  let [first, low, high, last] = [0, 0, 0, 0];
  const flush = () => {
    if (column === null) return;
    pen(column, first);
    if (low < Math.min(first, last)) pen(column, low);
    if (high > Math.max(first, last)) pen(column, high);
    if (low < Math.min(first, last) && high > Math.max(first, last)) pen(column, last);
    else if (last !== first) pen(column, last);
  };
  for (let i = i0; i <= i1; i++) {
    const v = V[i];
    if (Number.isNaN(v)) {
      flush();
      column = null;
      lift();
      continue;
    }
    const x = Math.round(X(T[i]) * 2) / 2;
    if (x !== column) {
      flush();
      [column, first, low, high, last] = [x, v, v, v, v];
    } else {
      if (v < low) low = v;
      if (v > high) high = v;
      last = v;
    }
  }
  flush();
};

const path = (ctx, s, view) => {
  let down = false;
  let before = 0;
  ctx.beginPath();
  trace(
    s.t,
    s.v,
    view.i0,
    view.i1,
    view.X,
    view.Y,
    view.width,
    (x, y) => {
      if (!down) ctx.moveTo(x, y);
      else {
        if (s.step) ctx.lineTo(x, before);
        ctx.lineTo(x, y);
      }
      down = true;
      before = y;
    },
    () => {
      down = false;
    },
  );
};

const drawLine = (ctx, s, view) => {
  if (view.i0 === view.i1 || s.t.length === 1) {
    ctx.fillStyle = theme.colour(s.colour);
    ctx.beginPath();
    ctx.arc(view.X(s.t[view.i0]), view.Y(s.v[view.i0]), 3.5, 0, 7);
    ctx.fill();
    return;
  }
  ctx.strokeStyle = theme.colour(s.colour);
  ctx.lineWidth = s.width || 1.5;
  ctx.lineJoin = 'round';
  ctx.setLineDash(s.dash || []);
  path(ctx, s, view);
  ctx.stroke();
  ctx.setLineDash([]);
};

// Filled to `s.base`; with `s.sign` in one colour above and another below.
const drawArea = (ctx, s, view) => {
  const base = view.Y(s.base || 0);
  const fill = (colour, clip) => {
    ctx.save();
    if (clip) {
      ctx.beginPath();
      ctx.rect(...clip);
      ctx.clip();
    }
    let start = null;
    let end = 0;
    let before = 0;
    ctx.beginPath();
    const close = () => {
      if (start !== null) {
        ctx.lineTo(end, base);
        ctx.lineTo(start, base);
        ctx.closePath();
      }
      start = null;
    };
    trace(
      s.t,
      s.v,
      view.i0,
      view.i1,
      view.X,
      view.Y,
      view.width,
      (x, y) => {
        if (start === null) {
          start = x;
          ctx.moveTo(x, base);
        } else if (s.step) ctx.lineTo(x, before);
        ctx.lineTo(x, y);
        [end, before] = [x, y];
      },
      close,
    );
    close();
    ctx.fillStyle = theme.colour(colour);
    ctx.fill();
    ctx.restore();
  };
  if (s.sign) {
    fill('pos-soft', [view.left, view.top, view.width, base - view.top]);
    fill('neg-soft', [view.left, base, view.width, view.bottom - base]);
  } else fill(s.fill || s.colour + '-soft');
  drawLine(ctx, { ...s, width: s.width || 1.2 }, view);
};

// Candles while there is room for them, merged to at least four pixels each; never fewer than the data has.
const drawCandles = (ctx, s, view) => {
  const { o, h, l, v: c, t } = s;
  const each = (view.X(t[view.i1]) - view.X(t[view.i0])) / Math.max(1, view.i1 - view.i0) || 8;
  const merge = Math.max(1, Math.ceil(4 / each));
  const body = Math.max(1, Math.min(14, each * merge * 0.7));
  const [up, down] = [theme.colour('pos'), theme.colour('neg')];
  for (let i = view.i0 - (view.i0 % merge); i <= view.i1; i += merge) {
    const end = Math.min(i + merge - 1, t.length - 1);
    let [high, low] = [-Infinity, Infinity];
    for (let k = i; k <= end; k++) {
      if (h[k] > high) high = h[k];
      if (l[k] < low) low = l[k];
    }
    const x = view.X((t[i] + t[end]) / 2 + s.half);
    const [yo, yc] = [view.Y(o[i]), view.Y(c[end])];
    ctx.fillStyle = c[end] >= o[i] ? up : down;
    ctx.globalAlpha = 0.55;
    ctx.fillRect(x - 0.5, view.Y(high), 1, Math.max(1, view.Y(low) - view.Y(high)));
    ctx.globalAlpha = 0.8;
    ctx.fillRect(x - body / 2, Math.min(yo, yc), body, Math.max(1, Math.abs(yc - yo)));
  }
  ctx.globalAlpha = 1;
};

// Fills: triangles up for buys, down for sells; solid where the position grew, hollow where it shrank. Those that
// would lie on top of each other are drawn as one, and remembered in `hits` for the pointer.
const drawFills = (ctx, fills, view, hits) => {
  const near = 9;
  const groups = new Map();
  // Where fills crowd, what opened and what reduced is no longer told apart.
  const inside = lastBelow(fills.t, view.hi) - lastBelow(fills.t, view.lo - 1);
  const crowded = inside > (view.width / near) * 1.5;
  for (let i = Math.max(0, lastBelow(fills.t, view.lo - 1)); i < fills.t.length && fills.t[i] <= view.hi; i++) {
    if (fills.t[i] < view.lo) continue;
    const slot = Math.floor(view.X(fills.t[i]) / near) * 4 + fills.side[i] * 2 + (crowded ? 0 : fills.exit[i]);
    const group = groups.get(slot);
    if (group) {
      group.n += fills.n[i];
      group.qty += fills.qty[i];
      group.value += fills.px[i] * fills.qty[i];
      group.to = fills.t[i];
      group.x += (view.X(fills.t[i]) - group.x) / ++group.parts;
    } else {
      groups.set(slot, {
        x: view.X(fills.t[i]),
        n: fills.n[i],
        qty: fills.qty[i],
        value: fills.px[i] * fills.qty[i],
        from: fills.t[i],
        to: fills.t[i],
        buy: fills.side[i] === 0,
        exit: !crowded && fills.exit[i] === 1,
        mixed: crowded,
        parts: 1,
      });
    }
  }
  const card = theme.colour('card');
  for (const [slot, group] of groups) {
    const size = Math.min(8, (crowded ? 4 : 6) + Math.log10(group.n) * 1.6);
    const away = group.buy ? 1 : -1;
    // A position that is turned round is closed and opened in one place: the exit stands behind the entry.
    const behind = group.exit && groups.has(slot - 1) ? size * 1.6 + 1 : 0;
    const y = view.Y(group.value / group.qty) + away * behind;
    const colour = theme.colour(group.buy ? 'pos' : 'neg');
    ctx.beginPath();
    ctx.moveTo(group.x, y + away * 2);
    ctx.lineTo(group.x - size, y + away * (2 + size * 1.6));
    ctx.lineTo(group.x + size, y + away * (2 + size * 1.6));
    ctx.closePath();
    ctx.fillStyle = group.exit ? card : colour;
    ctx.strokeStyle = group.exit ? colour : card;
    ctx.lineWidth = group.exit ? 1.8 : 1;
    ctx.fill();
    ctx.stroke();
    hits.push({ ...group, y: y + away * (2 + size) });
  }
};
