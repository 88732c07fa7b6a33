// Words every part of the page uses: elements, numbers as text, packed columns, the theme.
// Never: reads anything outside the page. All outside text becomes text nodes, never markup.
'use strict';

const el = (tag, attrs = {}, ...kids) => {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === 'class') node.className = value;
    else if (key === 'style') for (const [k, v] of Object.entries(value)) node.style.setProperty(k, v);
    else if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...kids.flat().filter((k) => k !== null && k !== undefined));
  return node;
};

const NONE = '–';
const missing = (v) => v === null || v === undefined || !Number.isFinite(v);
const fixed = (v, places) => {
  const text = v.toLocaleString('en-US', { minimumFractionDigits: places, maximumFractionDigits: places });
  return (/[1-9]/.test(text) ? text : text.replace('-', '')).replace('-', '−');
};

const fmt = {
  // As many places as keep four figures, at most eight; whole numbers from a hundred thousand on.
  money(v) {
    if (missing(v)) return NONE;
    const size = Math.abs(v);
    if (size >= 1e5) return fixed(v, 0);
    if (size >= 1 || size === 0) return fixed(v, 2);
    return fixed(v, Math.min(8, 3 - Math.floor(Math.log10(size))));
  },
  // All values of a column with the same number of places.
  places: (places) => (v) => (missing(v) ? NONE : fixed(v, places)),
  price(v) {
    if (missing(v)) return NONE;
    const size = Math.abs(v);
    return fixed(v, size >= 1000 ? 2 : size >= 1 ? 4 : size === 0 ? 2 : Math.min(10, 4 - Math.floor(Math.log10(size))));
  },
  percent(v) {
    if (missing(v)) return NONE;
    const p = v * 100;
    const size = Math.abs(p);
    return fixed(p, size >= 1000 ? 0 : size >= 100 ? 1 : 2) + ' %';
  },
  ratio: (v) => (missing(v) ? NONE : fixed(v, Math.abs(v) >= 100 ? 0 : 2)),
  count: (v) => (missing(v) ? NONE : fixed(v, 0)),
  probability: (v) => (missing(v) ? NONE : v > 0.9995 && v < 1 ? '> 99.9 %' : fixed(v * 100, 1) + ' %'),
  // Seconds as the two largest units.
  duration(s) {
    if (missing(s)) return NONE;
    if (s < 1) return s === 0 ? '0 s' : fixed(s * 1000, s < 0.01 ? 2 : 0) + ' ms';
    const parts = [];
    let rest = Math.round(s);
    for (const [unit, size] of [
      ['d', 86400],
      ['h', 3600],
      ['min', 60],
      ['s', 1],
    ]) {
      if (rest >= size && parts.length < 2) {
        parts.push(fixed(Math.floor(rest / size), 0) + ' ' + unit);
        rest %= size;
      } else if (parts.length) break;
    }
    return parts.join(' ');
  },
  signed: (v, how) => (missing(v) ? NONE : (v > 0 ? '+' : '') + how(v)),
  date: (ms) => new Date(ms).toISOString().slice(0, 10),
  time: (ms) => new Date(ms).toISOString().slice(0, 19).replace('T', ' '),
  minute: (ms) => new Date(ms).toISOString().slice(0, 16).replace('T', ' '),
};
const byUnit = {
  money: fmt.money,
  percent: fmt.percent,
  ratio: fmt.ratio,
  count: fmt.count,
  duration: fmt.duration,
  probability: fmt.probability,
};
const tone = (v) => (missing(v) || v === 0 ? '' : v > 0 ? 'pos' : 'neg');
const median = (list) => {
  const sorted = list.filter((v) => !missing(v)).sort((a, b) => a - b);
  return sorted.length ? sorted[sorted.length >> 1] : null;
};

// {k, d}: differences of whole multiples of 10^-k, null where there is no value.
const column = ({ k, d }) => {
  const out = new Float64Array(d.length);
  const unit = 10 ** Math.abs(k);
  let sum = 0;
  for (let i = 0; i < d.length; i++) {
    if (d[i] === null) out[i] = NaN;
    else {
      sum += d[i];
      out[i] = k >= 0 ? sum / unit : sum * unit;
    }
  }
  return out;
};
// {t0, step, n} or {t0, step, d}: milliseconds since 1970, evenly spaced or by differences in steps.
const times = ({ t0, step, n, d }) => {
  const out = new Float64Array(d ? d.length : n);
  let at = t0;
  for (let i = 0; i < out.length; i++) {
    at += d ? d[i] * step : i ? step : 0;
    out[i] = at;
  }
  return out;
};

// Index of the last element not above `x`; -1 where all are above.
const lastBelow = (list, x) => {
  let lo = 0;
  let hi = list.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (list[mid] <= x) lo = mid + 1;
    else hi = mid;
  }
  return lo - 1;
};

const theme = (() => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const listeners = [];
  const stored = () => {
    try {
      return localStorage.getItem('ctos-theme');
    } catch {
      return null;
    }
  };
  const apply = (name) => {
    root.dataset.theme = name;
    listeners.forEach((f) => f(name));
  };
  apply(stored() || (system.matches ? 'dark' : 'light'));
  system.addEventListener('change', () => {
    if (!stored()) apply(system.matches ? 'dark' : 'light');
  });
  return {
    now: () => root.dataset.theme,
    toggle() {
      const next = root.dataset.theme === 'dark' ? 'light' : 'dark';
      try {
        localStorage.setItem('ctos-theme', next);
      } catch {
        /* A file opened without storage still switches. */
      }
      apply(next);
    },
    onChange: (f) => listeners.push(f),
    colour: (name) =>
      getComputedStyle(root)
        .getPropertyValue('--' + name)
        .trim() || name,
  };
})();
