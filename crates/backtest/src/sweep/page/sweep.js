// The page of a sweep.
// Never: asks for anything from outside.

(() => {
  const page = JSON.parse(document.getElementById('data').textContent);
  const root = document.getElementById('content');
  const { axes, analysis, rows } = page;
  const many = analysis.folds.length > 1 || analysis.walk_forward !== null;
  const label = page.objective_label;
  // Names of people stay names.
  const small = /^(Sharpe|Sortino|Calmar)/.test(label) ? label : label.toLowerCase();
  const percent = ['total_return', 'annual_return', 'max_drawdown', 'volatility', 'win_rate'].includes(analysis.objective);
  const show = percent ? fmt.percent : fmt.ratio;
  const brief = (v) => (percent ? fixed(v * 100, Math.abs(v) >= 1 ? 0 : 1) : fixed(v, Math.abs(v) >= 100 ? 0 : Math.abs(v) >= 10 ? 1 : 2));
  const worse = (a, b) => (analysis.minimised ? a - b : b - a);
  const named = (point) => axes.map((a, i) => `${a.name} ${a.values[point[i]]}`).join(', ');
  const paramText = (params) => axes.map((a) => `${a.name}=${params[a.name]}`).join('  ');
  const R = { fold: 0, number: 1, point: 2, train: 3, test: 4, ret: 5, sharpe: 6, drawdown: 7, trades: 8 };
  const chosen = analysis.folds.map((f) => (f.best ? rows.find((r) => r[R.number] === f.best.number && r[R.fold] === analysis.folds.indexOf(f)) : null));
  const known = chosen.filter(Boolean);

  // ---- key figures and what they mean

  const bests = analysis.folds.map((f) => f.best).filter(Boolean);
  const first = bests[0];
  const kpi = (name, value, note, colour) => el('div', { class: 'kpi' }, el('dt', {}, name), el('dd', { class: colour ?? '' }, value, note ? el('small', {}, note) : null));
  const boxes = [kpi('Combinations tried', fmt.count(analysis.tried), [
    analysis.without_score ? fmt.count(analysis.without_score) + ' without a score' : null,
    analysis.refused ? fmt.count(analysis.refused) + ' not possible' : null,
  ].filter(Boolean).join(', ') || page.method)];
  if (analysis.walk_forward) {
    const wf = analysis.walk_forward;
    boxes.push(kpi(`${label}, chosen on`, show(wf.train_mean), 'mean of the training windows'));
    boxes.push(kpi(`${label}, outside`, show(wf.test_mean), 'mean of the test windows behind them', percent || analysis.minimised ? '' : tone(wf.test_mean)));
    boxes.push(kpi('Return, all tests', fmt.signed(wf.test_return, fmt.percent), 'the choices one behind the other', tone(wf.test_return)));
    boxes.push(kpi('Tests that made money', `${wf.positive} of ${wf.tests}`));
    boxes.push(kpi('Overfit', missing(wf.overfit) ? NONE : fmt.percent(wf.overfit), 'windows whose choice ended in the worse half of its test'));
  } else if (first) {
    boxes.push(kpi(`Best ${small}`, show(first.train), 'on the data it was chosen on'));
    boxes.push(kpi('Median', show(analysis.folds[0].median), 'of all combinations'));
    boxes.push(kpi('Return of the best', fmt.signed(first.train_figures.total_return, fmt.percent), null, tone(first.train_figures.total_return)));
  }
  if (first?.stability) boxes.push(kpi('Around the best', show(median(bests.map((b) => b.stability?.median))), 'median of the nearest combinations'));
  if (first?.deflated) {
    const p = median(bests.map((b) => b.deflated?.probability));
    boxes.push(kpi('Deflated Sharpe', fmt.probability(p), bests.length > 1 ? 'median of the windows' : `after ${fmt.count(first.deflated.trials)} trials`));
  }
  root.append(el('dl', { class: 'kpis' }, boxes));

  const verdict = (bad, text) => el('p', { class: 'verdict' + (bad ? ' bad' : '') }, text);
  const said = el('section', { class: 'card', id: 'verdict', 'aria-labelledby': 'verdict-title' }, el('header', {}, el('h2', { id: 'verdict-title' }, 'What it says')));
  page.verdicts.forEach((v) => said.append(verdict(v.bad, v.text)));
  if (first && bests.length === 1) said.append(el('p', {}, 'Best: ', el('b', {}, paramText(first.params))));
  root.append(el('div', { class: 'stack' }, said));

  // ---- values by two parameters

  const BINS = 40;
  const binned = (axis) => {
    const n = Math.min(BINS, axis.values.length);
    const of = (i) => Math.floor((i * n) / axis.values.length);
    const labels = Array.from({ length: n }, (_, b) => axis.values[Math.ceil((b * axis.values.length) / n)]);
    return { of, labels, name: axis.name };
  };
  const merge = [
    ['Best', (list) => list.reduce((a, b) => (worse(a, b) > 0 ? b : a))],
    ['Median', (list) => median(list)],
    ['Worst', (list) => list.reduce((a, b) => (worse(a, b) > 0 ? a : b))],
  ];
  const state = { x: 0, y: Math.min(1, axes.length - 1), merge: 0, fold: many ? -1 : 0, test: false };
  const heatBox = el('div');
  const inFold = (r) => state.fold < 0 || r[R.fold] === state.fold;
  const valueOf = (r) => r[state.test ? R.test : R.train];
  const drawHeat = () => {
    heatBox.replaceChildren();
    const list = rows.filter((r) => inFold(r) && !missing(valueOf(r)));
    if (!list.length) return heatBox.append(empty('No combination has a value here.'));
    const take = merge[state.merge][1];
    const x = binned(axes[state.x]);
    if (state.x === state.y) return drawLine(list, x);
    const y = binned(axes[state.y]);
    const cells = y.labels.map(() => x.labels.map(() => []));
    for (const r of list) cells[y.of(r[R.point][state.y])][x.of(r[R.point][state.x])].push(valueOf(r));
    const values = cells.map((row) => row.map((c) => (c.length ? take(c) : null)));
    const marks = known.filter(inFold).map((r) => ({ x: x.of(r[R.point][state.x]), y: y.of(r[R.point][state.y]) }));
    heatMap(heatBox, { x, y, values, marks, format: brief, minimised: analysis.minimised, describe: (v) => `${label} ${show(v)}` });
  };
  const drawLine = (list, x) => {
    const cells = x.labels.map(() => []);
    for (const r of list) cells[x.of(r[R.point][state.x])].push(valueOf(r));
    lines(heatBox, x, cells, 300);
  };
  // Best and median over all other parameters, by one.
  const lines = (host, x, cells, height) => {
    const series = [['median', 'c8', 1, true], ['best', 'accent', 0, false]].map(([name, colour, how, dash]) =>
      ({ name, colour, dash, v: cells.map((c) => (c.length ? merge[how][1](c) : null)) }));
    const [lo, hi] = padded(series.flatMap((s) => s.v));
    new Plot(host, {
      label: `${label} by ${x.name}`, height, x: { lo: -0.4, hi: x.labels.length - 0.6, ticks: x.labels.map((l, i) => [i, l]), name: x.name },
      y: { lo, hi, format: brief }, legend: series.slice().reverse().map((s) => key(s.name, s.colour, s.dash)),
      draw(ctx, X, Y) {
        for (const s of series) {
          ctx.strokeStyle = theme.colour(s.colour);
          ctx.lineWidth = s.dash ? 1.4 : 2;
          ctx.setLineDash(s.dash ? [5, 4] : []);
          ctx.beginPath();
          s.v.forEach((v, i) => { if (!missing(v)) ctx.lineTo(X(i), Y(v)); });
          ctx.stroke();
          ctx.setLineDash([]);
          s.v.forEach((v, i) => { if (!missing(v)) dot(ctx, X(i), Y(v), s.dash ? 2 : 3, theme.colour(s.colour)); });
        }
      },
      near(px, py, X) {
        const i = Math.max(0, Math.min(x.labels.length - 1, Math.round((px - X(0)) / (X(1) - X(0) || 1))));
        return `${x.name} ${x.labels[i]}: best ${show(series[1].v[i])}, median ${show(series[0].v[i])} of ${cells[i].length}`;
      },
    });
  };
  const select = (name, options, at, onPick) => el('label', { class: 'hint' }, name + ' ', el('select', { onchange: (e) => { onPick(+e.target.value); drawHeat(); } },
    options.map(([text, value]) => el('option', { value: String(value), selected: value === at }, text))));
  const axisOptions = axes.map((a, i) => [a.name, i]);
  const controls = el('div', { class: 'bar' });
  if (axes.length > 2) {
    controls.append(select('Across', axisOptions, state.x, (v) => { state.x = v; }), select('Downwards', axisOptions, state.y, (v) => { state.y = v; }));
  }
  if (many) {
    controls.append(select('Window', [['all', -1], ...analysis.folds.map((_, i) => [String(i + 1), i])], state.fold, (v) => { state.fold = v; }));
    if (analysis.walk_forward) controls.append(pick('Part', ['Training', 'Test'], (i) => { state.test = i === 1; drawHeat(); }));
  }
  if (axes.length > 2 || many) controls.append(pick('Of several', merge.map(([name]) => name), (i) => { state.merge = i; drawHeat(); }));
  const heat = card('heat', axes.length > 1 ? `${label} by two parameters` : `${label} by ${axes[0].name}`, 'blue is better, orange is worse', controls, heatBox);
  root.append(el('div', { class: 'stack' }, heat));
  drawHeat();

  // ---- values by each parameter

  if (axes.length > 1) {
    const box = el('div', { class: 'cols', id: 'each' });
    axes.forEach((axis, a) => {
      const x = binned(axis);
      const cells = x.labels.map(() => []);
      for (const r of rows) if (!missing(r[R.train])) cells[x.of(r[R.point][a])].push(r[R.train]);
      const one = card(`axis-${a}`, axis.name, 'best and median over all others');
      if (cells.some((c) => c.length)) lines(one, x, cells, 210);
      else one.append(empty('No combination has a value.'));
      box.append(one);
    });
    root.append(box);
  }

  // ---- chosen on against outside

  if (analysis.walk_forward) {
    const both = rows.filter((r) => !missing(r[R.train]) && !missing(r[R.test]));
    const cloud = card('outside', 'Chosen on, and outside', 'each dot is one combination in one window; ringed are the choices');
    if (both.length) {
      const [xl, xh] = padded(both.map((r) => r[R.train]));
      const [yl, yh] = padded(both.map((r) => r[R.test]));
      const colour = (r) => theme.colour('c' + ((r[R.fold] % 8) + 1));
      new Plot(cloud, {
        label: `${label} in training and test`, height: 360, x: { lo: xl, hi: xh, ticks: valueTicks(xl, xh, 7).map((v) => [v, brief(v)]), name: `${label} in training` },
        y: { lo: yl, hi: yh, format: brief }, legend: [key('test = training', 'muted', true)],
        draw(ctx, X, Y) {
          ctx.strokeStyle = theme.colour('muted');
          ctx.setLineDash([5, 4]);
          ctx.beginPath();
          ctx.moveTo(X(Math.max(xl, yl)), Y(Math.max(xl, yl)));
          ctx.lineTo(X(Math.min(xh, yh)), Y(Math.min(xh, yh)));
          if (Math.min(xh, yh) > Math.max(xl, yl)) ctx.stroke();
          ctx.setLineDash([]);
          ctx.globalAlpha = both.length > 2000 ? 0.35 : 0.65;
          for (const r of both) dot(ctx, X(r[R.train]), Y(r[R.test]), both.length > 2000 ? 2 : 3, colour(r));
          ctx.globalAlpha = 1;
          for (const r of known) if (!missing(r[R.test])) dot(ctx, X(r[R.train]), Y(r[R.test]), 5, colour(r), theme.colour('text'));
        },
        near(px, py, X, Y) {
          let best = null;
          let far = 400;
          for (const r of both) {
            const d = (X(r[R.train]) - px) ** 2 + (Y(r[R.test]) - py) ** 2;
            if (d < far) [best, far] = [r, d];
          }
          return best ? `window ${best[R.fold] + 1}: ${named(best[R.point])}: training ${show(best[R.train])}, test ${show(best[R.test])}` : '';
        },
      });
    } else cloud.append(empty('No combination has a value in both windows.'));
    root.append(el('div', { class: 'stack' }, cloud));

    const head = ['Window', 'Chosen on', 'Test', 'Choice', `${label}, training`, `${label}, test`, 'Return, test', 'Better than, in test', 'Rank correlation'];
    const tips = { 'Better than, in test': 'share of all combinations that did worse in the test; chance gives half',
      'Rank correlation': 'of training and test over all combinations: near zero, training says nothing about the test' };
    const wrap = { class: 'text', style: { 'white-space': 'normal', 'min-width': '12.5em' } };
    const line = (f, i) => el('tr', {}, el('th', { scope: 'row' }, String(i + 1)), el('td', wrap, page.folds[i].train),
      el('td', wrap, page.folds[i].test ?? NONE), el('td', wrap, f.best ? paramText(f.best.params) : 'none'),
      el('td', {}, show(f.best?.train)), el('td', {}, show(f.best?.test)),
      el('td', { class: tone(f.best?.test_figures?.total_return) }, fmt.signed(f.best?.test_figures?.total_return, fmt.percent)),
      el('td', {}, missing(f.best?.test_rank) ? NONE : fmt.percent(f.best.test_rank)), el('td', {}, fmt.ratio(f.correlation)));
    root.append(el('div', { class: 'stack' }, card('folds', 'Windows', 'the parameters of each test were chosen on the window before it',
      el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Windows' }, el('table', {}, el('caption', { class: 'sr' }, 'Windows'),
        el('thead', {}, el('tr', {}, head.map((h, i) => el('th', { scope: 'col', class: i > 0 && i < 4 ? 'text' : '', title: tips[h] ?? false }, h)))),
        el('tbody', {}, analysis.folds.map(line)))))));
  }

  // ---- how steady the optimum is

  const steady = card('stability', 'Stability of the optimum', many ? 'where the choice lay in each window, and what lay around it' : 'what lay around the choice');
  if (known.length) {
    if (many) {
      new Plot(steady, {
        label: 'Chosen value of each parameter by window', height: 240, x: { lo: -0.3, hi: analysis.folds.length - 0.7, ticks: analysis.folds.map((_, i) => [i, String(i + 1)]), name: 'window' },
        y: { lo: -0.06, hi: 1.06, format: (v) => (v === 0 ? 'lowest' : v === 1 ? 'highest' : '') }, legend: axes.map((a, i) => key(a.name, 'c' + ((i % 8) + 1))),
        draw(ctx, X, Y) {
          axes.forEach((axis, a) => {
            const place = (r) => (axis.values.length > 1 ? r[R.point][a] / (axis.values.length - 1) : 0.5);
            ctx.strokeStyle = theme.colour('c' + ((a % 8) + 1));
            ctx.lineWidth = 2;
            ctx.beginPath();
            known.forEach((r) => ctx.lineTo(X(r[R.fold]), Y(place(r))));
            ctx.stroke();
            known.forEach((r) => dot(ctx, X(r[R.fold]), Y(place(r)), 4, theme.colour('c' + ((a % 8) + 1))));
          });
        },
        near(px, py, X) {
          const r = known.reduce((a, b) => (Math.abs(X(b[R.fold]) - px) < Math.abs(X(a[R.fold]) - px) ? b : a));
          return `window ${r[R.fold] + 1}: ${named(r[R.point])}`;
        },
      });
    }
    const cells = (f, i) => [many ? String(i + 1) : paramText(f.best.params), show(f.best.train), show(f.best.stability?.median), show(f.best.stability?.worst),
      missing(f.best.stability?.rank) ? NONE : fmt.percent(f.best.stability.rank), f.best.deflated ? fmt.ratio(f.best.deflated.sharpe) : NONE,
      f.best.deflated ? fmt.ratio(f.best.deflated.expected_max) : NONE, f.best.deflated ? fmt.probability(f.best.deflated.probability) : NONE];
    const heads = [many ? 'Window' : 'Choice', `${label}`, 'Median around it', 'Worst around it', 'Median is better than', 'Sharpe of a period', 'Best of as many by luck', 'Deflated Sharpe'];
    // Beside the table, not in it: there it would be as wide as the table and run out of a phone's sight.
    steady.append(el('p', { class: 'hint' },
      'A broad hill has neighbours nearly as good as its top; a lonely peak is more likely luck. The deflated Sharpe ratio is the probability that the true ratio is above zero, counting every trial.'));
    const choice = { scope: 'row', style: { 'white-space': 'normal', 'min-width': many ? 'auto' : '10.5em' } };
    steady.append(el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Stability' }, el('table', {}, el('caption', { class: 'sr' }, 'Stability'),
      el('thead', {}, el('tr', {}, heads.map((h) => el('th', { scope: 'col' }, h)))),
      el('tbody', {}, analysis.folds.flatMap((f, i) => (f.best ? [el('tr', {}, cells(f, i).map((c, k) => (k ? el('td', {}, c) : el('th', choice, c))))] : []))))));
  } else steady.append(empty('No combination has a score.'));
  root.append(el('div', { class: 'stack' }, steady));

  // ---- the table

  const tableCard = card('trials', 'Combinations', page.rows_total > rows.length ? `${fmt.count(rows.length)} of ${fmt.count(page.rows_total)}: the best; all are in trials.csv` : fmt.count(rows.length));
  const value = (at) => (i) => rows[i][at];
  const numeric = (axis, a) => (i) => (axis.numeric ? +axis.values[rows[i][R.point][a]] : axis.values[rows[i][R.point][a]]);
  const columns = [
    ...(many ? [{ name: 'Window', value: value(R.fold), show: (i) => String(rows[i][R.fold] + 1) }] : []),
    { name: 'Nr', title: 'in the order of the search', value: value(R.number), show: (i) => fmt.count(rows[i][R.number]) },
    ...axes.map((axis, a) => ({ name: axis.name, text: !axis.numeric, value: numeric(axis, a), show: (i) => axis.values[rows[i][R.point][a]] })),
    { name: analysis.walk_forward ? 'Training' : label, title: label, value: value(R.train), show: (i) => show(rows[i][R.train]) },
    ...(analysis.walk_forward ? [{ name: 'Test', title: `${label} in the test window`, value: value(R.test), show: (i) => show(rows[i][R.test]) }] : []),
    { name: 'Return', value: value(R.ret), tone: value(R.ret), show: (i) => fmt.signed(rows[i][R.ret], fmt.percent) },
    { name: 'Sharpe', value: value(R.sharpe), show: (i) => fmt.ratio(rows[i][R.sharpe]) },
    { name: 'Drawdown', value: value(R.drawdown), show: (i) => fmt.percent(rows[i][R.drawdown]) },
    { name: 'Trades', value: value(R.trades), show: (i) => fmt.count(rows[i][R.trades]) },
  ];
  const scoreColumn = columns.findIndex((c) => c.value(0) !== undefined && (c.name === 'Training' || c.name === label));
  new RowTable(tableCard, { caption: 'Combinations', count: rows.length, columns, sort: scoreColumn, down: !analysis.minimised });
  root.append(el('div', { class: 'stack' }, tableCard));

  root.append(el('div', { class: 'cols' }, card('setup', 'What was run', null, facts(page.setup)), card('models', 'Assumptions', 'every trial ran under these', facts(page.models))));
  if (page.notices.length) root.append(el('div', { class: 'stack' }, card('quality', 'Data quality', null, qualityBox(page.notices))));

  // ---- the page's own frame

  const button = document.getElementById('theme');
  const name = () => {
    const dark = theme.now() === 'dark';
    button.textContent = dark ? 'Light' : 'Dark';
    button.setAttribute('aria-label', dark ? 'Switch to light colours' : 'Switch to dark colours');
  };
  name();
  button.hidden = false;
  button.addEventListener('click', () => theme.toggle());
  theme.onChange(name);
  const parts = [...root.querySelectorAll('section[id]')].filter((s) => !/-\d+$/.test(s.id));
  document.getElementById('nav').append(...parts.map((s) => el('a', { href: '#' + s.id }, s.querySelector(':scope > header h2').textContent)));
  document.documentElement.dataset.ready = 'true';
})();
