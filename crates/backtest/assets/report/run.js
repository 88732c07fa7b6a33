// The page of one run.
// Never: computes a figure; figures come with the page, so that the report and summary.json agree.

const assumptionsCard = (run) => {
  const box = card('assumptions', 'Assumptions', 'what the fills depend on');
  const worse = run.pessimistic;
  if (worse) {
    box.append(el('p', { class: 'verdict' + (worse.bad ? ' bad' : ''), role: 'note' }, worse.verdict));
    const keys = new Set(worse.shown);
    const names = [...new Set([...run.assumptions, ...worse.assumptions].map(([k]) => k))];
    const of = (list, name) => list.find(([k]) => k === name)?.[1] ?? NONE;
    const head = ['Assumption', 'As run', 'Pessimistic'].map((h) => el('th', { scope: 'col', class: 'text' }, h));
    const row = (n) =>
      el(
        'tr',
        { class: of(run.assumptions, n) !== of(worse.assumptions, n) ? 'diff' : '' },
        el('th', { scope: 'row' }, n),
        el('td', {}, of(run.assumptions, n)),
        el('td', {}, of(worse.assumptions, n)),
      );
    box.append(
      el(
        'div',
        { class: 'cols', style: { margin: '0' } },
        figureTable(
          [run.figures, worse.figures].map((list) => list.filter((f) => keys.has(f.key))),
          'The same run under both sets of assumptions.',
          ['As run', 'Pessimistic'],
          true,
        ),
        el(
          'div',
          { class: 'scroll' },
          el(
            'table',
            { class: 'kv' },
            el('caption', {}, 'Rows that differ are marked.'),
            el('thead', {}, el('tr', {}, head)),
            el('tbody', {}, names.map(row)),
          ),
        ),
      ),
    );
    return box;
  }
  box.append(
    el(
      'p',
      { class: 'verdict bad', role: 'note' },
      'How much of the result depends on these assumptions was not measured: the run was not repeated under pessimistic ones.',
    ),
  );
  box.append(run.assumptions.length ? facts(run.assumptions) : empty('The run recorded no assumptions.'));
  return box;
};

const buildRun = (root, run) => {
  const view = new View(run.from, run.to);
  const [prices, goTo] = priceCard(run, view);
  const [rolling, spread, exposure] = statisticsCards(run, view);
  const money = (v) => fmt.money(v) + ' ' + run.currency;
  const longest = run.figures.find((f) => f.key === 'longest_drawdown_s')?.value;
  const below = {
    ...run.headline_notes,
    ...(missing(longest) ? {} : { max_drawdown: 'longest ' + fmt.duration(longest) }),
  };
  const worse = run.pessimistic?.figures.find((f) => f.key === 'total_return');
  if (worse) run.figures.push({ ...worse, key: 'pessimistic', label: 'Pessimistic return', group: null });
  const head = kpis(run.figures, run.headline, { ...below, pessimistic: run.pessimistic?.brief });
  run.figures = run.figures.filter((f) => f.group);
  root.append(
    run.figures.length ? head : '',
    run.notes.length
      ? el(
          'ul',
          { class: 'notes', style: { 'margin-bottom': '16px' } },
          run.notes.map((n) => el('li', {}, n)),
        )
      : '',
    el('div', { class: 'stack' }, equityCard(run, view), prices),
    el('div', { class: 'stack' }, card('months', 'Returns by month', null, monthTable(run.months, run.years))),
    el('div', { class: 'cols' }, spread, resultsCard(run)),
    el('div', { class: 'cols' }, rolling, fallsCard(run, view)),
    el(
      'div',
      { class: 'cols' },
      exposure,
      card(
        'costs',
        'Costs',
        'from the price seen when ordering to what is left',
        run.costs.rows.length ? waterfall(run.costs.rows, money) : empty('Nothing was traded, so nothing was paid.'),
        run.costs.note ? el('p', { class: 'hint', style: { 'margin-top': '10px' } }, run.costs.note) : '',
      ),
    ),
    el(
      'div',
      { class: 'stack' },
      assumptionsCard(run),
      card('quality', 'Data quality', null, qualityBox(run.quality)),
      card(
        'figures',
        'All figures',
        run.period,
        run.figures.length ? figureGroups(run.figures) : empty('The run was never valued, so it has no figures.'),
      ),
      card(
        'strategies',
        'By strategy',
        null,
        shareTable('Amounts in ' + run.currency + '.', 'Strategy', run.shares.strategies),
      ),
      card(
        'instruments',
        'By instrument',
        null,
        shareTable('Amounts in ' + run.currency + '.', 'Instrument', run.shares.instruments),
      ),
      tradesCard(run, goTo),
      card('settings', 'What was run', null, facts(run.settings)),
    ),
  );
};
