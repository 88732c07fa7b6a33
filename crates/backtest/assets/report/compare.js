// Several runs side by side.
// Never: hides that they differ: settings that are not the same in all runs are marked.

const buildCompare = (root, page) => {
  const runs = page.runs;
  const names = runs.map((r) => r.label);
  // What becomes of the main figures under pessimistic assumptions stands below them, where any run has it.
  const repeated = runs.filter((r) => r.pessimistic);
  if (repeated.length) {
    for (const run of runs) {
      for (const [key, label] of [
        ['total_return', 'Pessimistic return'],
        ['sharpe', 'Pessimistic Sharpe ratio'],
        ['max_drawdown', 'Pessimistic drawdown'],
      ]) {
        const at = run.figures.findIndex((f) => f.key === key);
        if (at < 0) continue;
        const value = run.pessimistic?.figures.find((f) => f.key === key)?.value ?? null;
        const formula = `${run.figures[at].label} of the same run under pessimistic assumptions`;
        run.figures.splice(at + 1, 0, { ...run.figures[at], key: 'pessimistic_' + key, label, value, formula });
      }
    }
  }
  const notes = runs.flatMap((r) => r.notes.map((n) => `${r.label}: ${n}`));
  const view = new View(Math.min(...runs.map((r) => r.from)), Math.max(...runs.map((r) => r.to)));
  const lines = runs.map((run, i) => {
    const line = run.equity[0] ? unpackEquity(run.equity[0]) : { t: [], close: [], drawdown: [], start: 1 };
    return { ...line, name: run.label, colour: 'c' + ((i % 8) + 1), dash: i >= 8 ? [4, 3] : null };
  });
  const worse = runs.flatMap((run, i) => {
    if (!run.pessimistic?.equity) return [];
    const line = unpackEquity(run.pessimistic.equity);
    return [{ ...line, name: run.label + ', pessimistic', colour: lines[i].colour, dash: [2, 3] }];
  });
  const curve = (key, make, all = lines) =>
    all
      .filter((l) => l.t.length)
      .map((l) => ({ name: l.name, colour: l.colour, dash: l.dash, width: 1.6, t: l.t, v: make(l, l[key]) }));
  const growth = card(
    'equity',
    'Growth and drawdown',
    el('div', { class: 'bar', style: { margin: '0' } }, help(), viewBar(view)),
  );
  if (lines.some((l) => l.t.length)) {
    new TimeChart(growth, view, {
      label: 'Growth of each run since its start',
      height: 320,
      format: fmt.percent,
      zero: true,
      series: curve('close', (l, v) => Float64Array.from(v, (x) => (l.start > 0 ? x / l.start - 1 : NaN)), [...lines, ...worse]),
    });
    new TimeChart(growth, view, {
      label: 'Drawdown of each run',
      height: 150,
      format: fmt.percent,
      zero: true,
      series: curve('drawdown', (l, v) => v),
    });
  } else growth.append(empty('None of the runs was ever valued.'));
  const rolling = card('rolling', 'Rolling Sharpe ratio', runs.find((r) => r.rolling)?.rolling.window);
  const sharpe = runs.flatMap((r, i) =>
    r.rolling ? [{ name: r.label, colour: 'c' + ((i % 8) + 1), t: times(r.rolling.t), v: column(r.rolling.v) }] : [],
  );
  if (sharpe.length)
    new TimeChart(rolling, view, {
      label: 'Rolling Sharpe ratio of each run',
      height: 220,
      format: fmt.ratio,
      zero: true,
      series: sharpe,
    });
  else rolling.append(empty('The runs are too short for a rolling Sharpe ratio.'));

  const table = (of, hint) => {
    const keys = [...new Set(runs.flatMap((r) => of(r).map(([k]) => k)))];
    const value = (r, k) => of(r).find(([name]) => name === k)?.[1] ?? NONE;
    if (!keys.length) return empty('Nothing was recorded.');
    return el(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': hint },
      el(
        'table',
        { class: 'kv' },
        el('caption', {}, hint),
        el(
          'thead',
          {},
          el(
            'tr',
            {},
            el('th', { scope: 'col', class: 'text' }, ''),
            names.map((n) => el('th', { scope: 'col', class: 'text' }, n)),
          ),
        ),
        el(
          'tbody',
          {},
          keys.map((k) =>
            el(
              'tr',
              { class: new Set(runs.map((r) => value(r, k))).size > 1 ? 'diff' : '' },
              el('th', { scope: 'row' }, k),
              runs.map((r) => el('td', {}, value(r, k))),
            ),
          ),
        ),
      ),
    );
  };
  const doubt = card('pessimistic', 'Under worse assumptions');
  for (const r of runs) {
    const said = r.pessimistic?.verdict ?? 'The run was not repeated under pessimistic assumptions.';
    doubt.append(el('p', { class: 'verdict' + (r.pessimistic && !r.pessimistic.bad ? '' : ' bad') }, el('b', {}, r.label + ': '), said));
  }
  if (repeated.length) doubt.append(table((r) => r.pessimistic?.assumptions ?? [], 'What the repetitions ran under.'));
  const years = runs.map((r) => card('', r.label, r.currency, monthTable(r.months, r.years)));
  years.forEach((c, i) => {
    c.id = 'months-' + i;
    c.querySelector('h2').id = 'months-title-' + i;
    c.setAttribute('aria-labelledby', 'months-title-' + i);
  });
  const currencies = new Set(runs.map((r) => r.currency));
  if (currencies.size > 1) {
    const list = [...currencies].join(', ');
    notes.unshift(`The runs count in different currencies (${list}): compare shares, not amounts.`);
  }
  root.append(
    notes.length
      ? el(
          'ul',
          { class: 'notes', style: { 'margin-bottom': '16px' } },
          notes.map((n) => el('li', {}, n)),
        )
      : '',
    el(
      'div',
      { class: 'stack' },
      growth,
      card(
        'figures',
        'Figures',
        null,
        figureTable(
          runs.map((r) => r.figures),
          '★ marks the best of each row. Hover a name for its formula.',
          names,
        ),
      ),
      rolling,
      doubt,
    ),
    el('div', { class: 'cols', id: 'months' }, years),
    el(
      'div',
      { class: 'stack' },
      card(
        'assumptions',
        'Assumptions',
        null,
        table((r) => r.assumptions, 'Rows that differ are marked.'),
      ),
      card(
        'settings',
        'What was run',
        null,
        table((r) => r.settings, 'Rows that differ are marked.'),
      ),
    ),
    el(
      'div',
      { class: 'cols', id: 'quality' },
      runs.map((r, i) => {
        const c = card('quality-' + i, 'Data quality: ' + r.label, null, qualityBox(r.quality));
        return c;
      }),
    ),
  );
};
