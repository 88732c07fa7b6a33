// The boxes of a page that are tables or lists: figures, months, costs, shares, facts.
// Never: draws on a canvas.

const card = (id, title, hint, ...kids) =>
  el(
    'section',
    { class: 'card', id, 'aria-labelledby': id + '-title' },
    el(
      'header',
      {},
      el('h2', { id: id + '-title' }, title),
      hint ? (hint.nodeType ? hint : el('span', { class: 'hint' }, hint)) : null,
    ),
    kids,
  );
const empty = (text) => el('p', { class: 'empty' }, text);
const pick = (label, options, onPick, current = 0) => {
  const buttons = options.map((name, i) =>
    el(
      'button',
      {
        type: 'button',
        'aria-pressed': String(i === current),
        onclick: () => {
          buttons.forEach((b, k) => b.setAttribute('aria-pressed', String(k === i)));
          onPick(i);
        },
      },
      name,
    ),
  );
  return el('div', { class: 'seg', role: 'group', 'aria-label': label }, buttons);
};

// Colours of a heat map: green and red that fade to the card as the value nears zero.
const heatColour = (v, scale) => {
  const part = Math.min(1, Math.abs(v) / (scale || 1));
  return `color-mix(in srgb, var(--${v >= 0 ? 'pos' : 'neg'}) ${Math.round(8 + part * 52)}%, var(--card))`;
};
const monthTable = (months, years) => {
  if (!months.length) return empty('No returns to show: the run is too short.');
  const cells = new Map(months.map((m) => [m.year * 12 + m.month, m.value]));
  const all = months
    .filter((m) => !missing(m.value))
    .map((m) => Math.abs(m.value))
    .sort((a, b) => a - b);
  // One extreme month must not bleach the others.
  const scale = Math.max(all[Math.floor((all.length - 1) * 0.9)], all[all.length - 1] / 3) || 0.01;
  const cell = (v, name) =>
    missing(v)
      ? el('td', { class: 'none', title: name + ': no data' }, '')
      : el(
          'td',
          { style: { background: heatColour(v, scale) }, title: `${name}: ${fmt.signed(v, fmt.percent)}` },
          fixed(v * 100, Math.abs(v) >= 1 ? 0 : 1),
        );
  const rows = years.map((y) =>
    el(
      'tr',
      {},
      el('th', { scope: 'row' }, String(y.year)),
      MONTHS.map((name, i) => cell(cells.get(y.year * 12 + i + 1), `${name} ${y.year}`)),
      el('td', { class: 'year ' + tone(y.value) }, missing(y.value) ? NONE : fmt.signed(y.value, fmt.percent)),
    ),
  );
  return el(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Returns by month' },
    el(
      'table',
      { class: 'heat' },
      el('caption', {}, 'Change of equity in percent, UTC months; the first and last may be partial.'),
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          el('th', { scope: 'col' }, el('span', { class: 'sr' }, 'Year')),
          MONTHS.map((m) => el('th', { scope: 'col' }, m)),
          el('th', { scope: 'col' }, 'Year'),
        ),
      ),
      el('tbody', {}, rows),
    ),
  );
};

const kpis = (figures, keys, notes = {}) =>
  el(
    'dl',
    { class: 'kpis' },
    keys.map((key) => {
      const f = figures.find((one) => one.key === key);
      if (!f) return null;
      const signs = f.unit === 'money' || f.unit === 'percent';
      const text = signs && f.signed ? fmt.signed(f.value, byUnit[f.unit]) : byUnit[f.unit](f.value);
      return el(
        'div',
        { class: 'kpi' },
        el('dt', {}, f.label),
        el('dd', { class: f.signed ? tone(f.value) : '' }, text, notes[key] ? el('small', {}, notes[key]) : null),
      );
    }),
  );

// All figures of one run, a small table for each group.
const figureGroups = (figures) => {
  const groups = [...new Set(figures.map((f) => f.group))];
  return el(
    'div',
    { class: 'groups' },
    groups.map((group) =>
      el(
        'table',
        { class: 'figures' },
        el('caption', {}, group),
        el(
          'tbody',
          {},
          figures
            .filter((f) => f.group === group)
            .map((f) =>
              el(
                'tr',
                {},
                el('th', { scope: 'row' }, el('abbr', { title: f.formula }, f.label)),
                el(
                  'td',
                  {
                    class: f.signed ? tone(f.value) : '',
                    title: missing(f.value) ? 'not defined for this run' : false,
                  },
                  byUnit[f.unit](f.value),
                ),
              ),
            ),
        ),
      ),
    ),
  );
};

// Figures as rows, runs as columns. The best of several is marked.
const figureTable = (runs, caption, names, plain) => {
  const rows = [];
  let group = '';
  for (const f of runs.find((list) => list.length) ?? []) {
    if (f.group !== group && !plain)
      rows.push(el('tr', { class: 'sub' }, el('th', { colspan: String(runs.length + 1), scope: 'colgroup' }, f.group)));
    group = f.group;
    const values = runs.map((figures) => figures.find((one) => one.key === f.key)?.value);
    const known = values.filter((v) => !missing(v));
    const best =
      runs.length > 1 && !plain && f.good && new Set(known).size > 1
        ? f.good > 0
          ? Math.max(...known)
          : Math.min(...known)
        : null;
    rows.push(
      el(
        'tr',
        {},
        el('th', { scope: 'row' }, el('abbr', { title: f.formula }, f.label)),
        values.map((v) =>
          el(
            'td',
            {
              class: [best !== null && v === best ? 'best' : '', f.signed ? tone(v) : ''].join(' ').trim(),
              title: missing(v) ? 'not defined for this run' : false,
            },
            byUnit[f.unit](v),
          ),
        ),
      ),
    );
  }
  return el(
    'div',
    { class: 'scroll' },
    el(
      'table',
      { class: 'figures' },
      el('caption', {}, caption),
      names
        ? el(
            'thead',
            {},
            el(
              'tr',
              {},
              el('th', { scope: 'col' }, 'Figure'),
              names.map((n) => el('th', { scope: 'col' }, n)),
            ),
          )
        : null,
      el('tbody', {}, rows),
    ),
  );
};

// How a profit before costs becomes what is left: each step a bar from where the last one ended.
const waterfall = (rows, format) => {
  let sum = 0;
  const steps = rows.map((r) => {
    const from = r.total ? 0 : sum;
    sum = r.total ? r.amount : sum + r.amount;
    return { ...r, from, to: r.total ? r.amount : sum };
  });
  const low = Math.min(0, ...steps.flatMap((s) => [s.from, s.to]));
  const high = Math.max(0, ...steps.flatMap((s) => [s.from, s.to]));
  const part = (v) => ((v - low) / (high - low || 1)) * 100;
  return el(
    'div',
    { class: 'flow' },
    steps.map((s) =>
      el(
        'div',
        { class: s.total ? 'step total' : 'step' },
        el('span', { class: 'name', title: s.note }, s.label),
        el(
          'span',
          { class: 'lane', 'aria-hidden': 'true' },
          el('span', {
            style: {
              left: part(Math.min(s.from, s.to)) + '%',
              width: part(Math.max(s.from, s.to)) - part(Math.min(s.from, s.to)) + '%',
              background: `var(--${s.total ? 'accent' : s.amount >= 0 ? 'pos' : 'neg'})`,
            },
          }),
        ),
        el('span', { class: 'num ' + tone(s.amount) }, fmt.signed(s.amount, format)),
      ),
    ),
  );
};

const shareTable = (caption, first, rows) => {
  if (!rows.length) return empty('Nothing was traded.');
  const several = new Set(rows.map((r) => r.currency)).size > 1;
  const most = (currency) =>
    Math.max(...rows.filter((r) => r.currency === currency).map((r) => Math.abs(r.net ?? 0)), 1e-300);
  const bar = (r) =>
    el(
      'td',
      { class: 'spark', 'aria-hidden': 'true' },
      missing(r.net)
        ? null
        : el('span', {
            style: {
              left: r.net >= 0 ? '50%' : 50 - (Math.abs(r.net) / most(r.currency)) * 50 + '%',
              width: (Math.abs(r.net) / most(r.currency)) * 50 + '%',
              background: `var(--${r.net >= 0 ? 'pos' : 'neg'})`,
            },
          }),
    );
  const gain = (v) =>
    el('td', { class: tone(v), title: missing(v) ? 'what is open has no price' : false }, fmt.signed(v, fmt.money));
  const columns = [
    ['Trades', 'closed trades', (r) => el('td', {}, fmt.count(r.trades))],
    [
      'Win rate',
      'share of closed trades with a profit after costs',
      (r) => el('td', {}, missing(r.win_rate) ? NONE : fixed(r.win_rate * 100, 0) + ' %'),
    ],
    ['Volume', 'traded value, in quote currency', (r) => el('td', {}, fmt.money(r.volume))],
    ['Gross', 'realised and open profit, before fees and funding', (r) => gain(r.gross)],
    [
      'Slippage',
      'what fills were worse than the mid price; part of gross already',
      (r) => el('td', {}, fmt.money(r.slippage)),
    ],
    ['Fees', 'paid', (r) => el('td', {}, fmt.money(r.fees))],
    ['Funding', 'received', (r) => el('td', {}, fmt.signed(r.funding, fmt.money))],
    ['Net', 'gross less fees plus funding', (r) => gain(r.net)],
  ].filter(([name]) => name !== 'Funding' || rows.some((r) => r.funding !== 0));
  if (several) columns.push(['', 'currency', (r) => el('td', { class: 'text' }, r.currency)]);
  return el(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    el(
      'table',
      {},
      el('caption', {}, caption),
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          el('th', { scope: 'col' }, first),
          columns.map(([h, title]) => el('th', { scope: 'col', title }, h)),
          el('td', { 'aria-hidden': 'true' }),
        ),
      ),
      el(
        'tbody',
        {},
        rows.map((r) =>
          el(
            'tr',
            {},
            el('th', { scope: 'row' }, r.name),
            columns.map(([, , cell]) => cell(r)),
            bar(r),
          ),
        ),
      ),
    ),
  );
};

const facts = (rows, caption) =>
  el(
    'table',
    { class: 'kv' },
    caption ? el('caption', {}, caption) : null,
    el(
      'tbody',
      {},
      rows.map(([k, v]) => el('tr', {}, el('th', { scope: 'row' }, k), el('td', {}, v))),
    ),
  );
const qualityBox = (lines) =>
  el(
    'ul',
    { class: 'notes' },
    lines.length
      ? lines.map((l) => el('li', {}, l))
      : el('li', { class: 'fine' }, 'Nothing was found wrong with the data.'),
  );
