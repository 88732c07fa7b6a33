// Where lines of a grid go and what they are called; a canvas that is sharp on every screen.
// Never: knows what is drawn.

const niceStep = (span, count) => {
  const raw = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 2.5, 5].find((m) => m * power >= raw * 0.999) || 10);
};
const valueTicks = (lo, hi, count) => {
  if (!(hi > lo)) return [lo];
  const step = niceStep(hi - lo, count);
  const out = [];
  for (let i = Math.ceil(lo / step - 1e-9); i * step <= hi + step * 1e-9; i++) out.push(i * step);
  return out;
};
const logTicks = (lo, hi, count) => {
  const decades = Math.log10(hi / lo);
  if (decades < 0.7) return valueTicks(lo, hi, count).filter((v) => v > 0);
  const parts = decades < 2 ? [1, 2, 3, 5, 7] : decades < 4 ? [1, 3] : [1];
  const out = [];
  for (let p = Math.floor(Math.log10(lo)); p <= Math.log10(hi); p++) {
    for (const m of parts) if (m * 10 ** p >= lo && m * 10 ** p <= hi) out.push(m * 10 ** p);
  }
  return out;
};

const SEC = 1000;
const MIN = 60 * SEC;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;
const STEPS = [
  1,
  2,
  5,
  10,
  50,
  100,
  500,
  SEC,
  5 * SEC,
  15 * SEC,
  30 * SEC,
  MIN,
  2 * MIN,
  5 * MIN,
  10 * MIN,
  30 * MIN,
  HOUR,
  2 * HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  DAY,
  2 * DAY,
  4 * DAY,
  7 * DAY,
  14 * DAY,
];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

// [{t, label, strong}]: round moments (UTC); `strong` where a larger unit begins.
const timeTicks = (lo, hi, count) => {
  const span = hi - lo;
  const want = span / Math.max(1, count);
  const out = [];
  const step = STEPS.find((s) => s >= want);
  if (step && step <= 14 * DAY) {
    // Weeks begin on Mondays; 1970-01-05 was one.
    const origin = step >= 7 * DAY ? 4 * DAY : 0;
    for (let t = Math.ceil((lo - origin) / step) * step + origin; t <= hi; t += step) {
      const iso = new Date(t).toISOString();
      const midnight = t % DAY === 0;
      const day = +iso.slice(8, 10) + ' ' + MONTHS[+iso.slice(5, 7) - 1];
      const label = midnight
        ? day
        : step >= MIN
          ? iso.slice(11, 16)
          : step >= SEC
            ? iso.slice(11, 19)
            : iso.slice(17, 23);
      out.push({ t, label, strong: midnight && step < DAY });
    }
    return out;
  }
  const months = [1, 2, 3, 6, 12, 24, 60, 120].find((m) => m * 30.4 * DAY >= want) || 240;
  const start = new Date(lo);
  let index = Math.floor((start.getUTCFullYear() * 12 + start.getUTCMonth()) / months) * months;
  for (; ; index += months) {
    const t = Date.UTC(Math.floor(index / 12), index % 12, 1);
    if (t > hi) return out;
    if (t < lo) continue;
    const january = index % 12 === 0;
    out.push({ t, label: january ? String(index / 12) : MONTHS[index % 12], strong: january });
  }
};

// A canvas of `height` CSS pixels as wide as `host`, in device pixels, drawn in CSS pixels.
const sharp = (canvas, width, height) => {
  const ratio = Math.min(3, window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    canvas.style.height = height + 'px';
  }
  const ctx = canvas.getContext('2d');
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  ctx.font = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
  return ctx;
};

// All drawing is collected into one frame.
const nextFrame = (() => {
  const waiting = new Set();
  let asked = false;
  const run = () => {
    asked = false;
    const now = [...waiting];
    waiting.clear();
    now.forEach((f) => f());
  };
  return (f) => {
    waiting.add(f);
    if (!asked) {
      asked = true;
      requestAnimationFrame(run);
    }
  };
})();
