// What a run was worth over time, and what its returns were like.
// Never: computes a figure; figures come with the page.

const PRESETS = [
  ['1D', DAY],
  ['1W', 7 * DAY],
  ['1M', 30 * DAY],
  ['3M', 91 * DAY],
  ['1Y', 365 * DAY],
];
const viewBar = (view) => {
  const whole = view.max - view.min;
  const fitting = PRESETS.filter(([, span]) => span < whole * 0.9);
  const all = el('button', { type: 'button', onclick: () => view.reset() }, 'All');
  const sync = () => all.setAttribute('aria-pressed', String(view.whole()));
  view.onChange.push(sync);
  sync();
  return el(
    'div',
    { class: 'seg', role: 'group', 'aria-label': 'Time shown in all charts' },
    fitting
      .slice(-4)
      .map(([name, span]) =>
        el(
          'button',
          { type: 'button', title: 'last ' + name, onclick: () => view.set(view.max - span, view.max) },
          name,
        ),
      ),
    all,
  );
};
const help = () =>
  el(
    'span',
    { class: 'hint' },
    el('span', { class: 'mouse' }, 'drag to zoom, double-click for all, Shift-drag to move'),
    el('span', { class: 'touch' }, 'two fingers zoom and move'),
  );

const unpackEquity = (line) => ({
  ...line,
  t: times(line.t),
  close: column(line.close),
  drawdown: column(line.drawdown),
});

const equityCard = (run, view) => {
  const main = run.equity.map(unpackEquity);
  const toggle = el('div', { class: 'seg' });
  const box = card(
    'equity',
    'Equity and drawdown',
    el('div', { class: 'bar', style: { margin: '0' } }, help(), toggle, viewBar(view)),
  );
  if (!main.length || !main[0].t.length) {
    box.append(empty('The run was never valued: no equity was sampled.'));
    return box;
  }
  const money = (v) => fmt.money(v) + ' ' + run.currency;
  const series = [];
  if (run.hold)
    series.push({
      name: 'Buy and hold ' + run.hold.symbol,
      colour: 'c8',
      dash: [2, 3],
      width: 1.2,
      t: times(run.hold.t),
      v: column(run.hold.v),
      hidden: !run.hold.shown,
    });
  if (run.pessimistic?.equity) {
    const worse = unpackEquity(run.pessimistic.equity);
    series.push({ name: 'Pessimistic', colour: 'c2', dash: [5, 4], t: worse.t, v: worse.close });
  }
  main
    .slice(1)
    .forEach((line, i) =>
      series.push({ name: line.name, colour: 'c' + ((i % 5) + 3), width: 1.2, t: line.t, v: line.close, hidden: true }),
    );
  series.push({
    name: main[0].name,
    colour: 'accent',
    type: 'area',
    width: 1.8,
    t: main[0].t,
    v: main[0].close,
    base: main[0].start,
  });
  const opts = { label: 'Equity over time', height: 290, format: fmt.money, series: series.reverse() };
  opts.series.forEach((s) => {
    s.format = money;
  });
  // An area is drawn from its start value, and the first series of the legend lies on top.
  const chart = new TimeChart(box, view, opts);
  new TimeChart(box, view, {
    label: 'Drawdown over time',
    height: 130,
    format: fmt.percent,
    zero: true,
    series: [{ name: 'Drawdown', colour: 'neg', type: 'area', t: main[0].t, v: main[0].drawdown }],
  });
  if (main[0].close.every((v) => v > 0)) {
    const button = el(
      'button',
      {
        type: 'button',
        'aria-pressed': 'false',
        onclick: () => {
          opts.log = !opts.log;
          button.setAttribute('aria-pressed', String(opts.log));
          chart.redraw();
        },
      },
      'Log scale',
    );
    toggle.append(button);
  }
  return box;
};

const statisticsCards = (run, view) => {
  const [rolling, spread, exposure] = [
    card('rolling', 'Rolling Sharpe ratio', run.rolling?.window),
    card(
      'returns',
      'Distribution of returns',
      run.returns ? `one ${run.returns.period} each, ${fmt.count(run.returns.n)} in all` : null,
    ),
    card('exposure', 'Exposure', 'value of all positions, unsigned, as a share of equity'),
  ];
  if (run.rolling) {
    new TimeChart(rolling, view, {
      label: 'Rolling Sharpe ratio',
      height: 236,
      format: fmt.ratio,
      zero: true,
      series: [
        { name: 'Sharpe', colour: 'c4', type: 'area', sign: true, t: times(run.rolling.t), v: column(run.rolling.v) },
      ],
    });
  } else rolling.append(empty('The run is too short for a rolling Sharpe ratio.'));
  if (run.returns) {
    const { mean, var95, cvar95 } = run.returns;
    const loss = (v) => (missing(v) ? null : -v);
    const marks = [
      ['mean', 'accent', mean],
      ['VaR 95 %', 'c2', loss(var95)],
      ['CVaR 95 %', 'neg', loss(cvar95)],
    ];
    new Histogram(spread, run.returns, 'Distribution of returns. Arrow keys read the bars.', marks, fmt.percent);
  }
  if (!run.returns) spread.append(empty('Too few returns for a distribution.'));
  if (run.exposure) {
    new TimeChart(exposure, view, {
      label: 'Exposure over time',
      height: 236,
      format: fmt.percent,
      zero: true,
      series: [
        {
          name: 'Exposure',
          colour: 'c7',
          type: 'area',
          fill: 'accent-soft',
          step: true,
          t: times(run.exposure.t),
          v: column(run.exposure.v),
        },
      ],
    });
  } else exposure.append(empty('Nothing was held, or its value is not known in the currency of the account.'));
  return [rolling, spread, exposure];
};

const fallsCard = (run, view) => {
  const box = card('falls', 'Deepest drawdowns', 'choose one to see it in all charts');
  if (!run.falls.length) {
    box.append(empty('Equity never fell below an earlier high.'));
    return box;
  }
  const row = (f) => {
    const end = f.recovered ?? run.to;
    const go = () => {
      view.show(f.peak, end, (end - f.peak) * 0.25 + 1);
      document.getElementById('equity').scrollIntoView({ block: 'start' });
    };
    const day = run.to - run.from < 4 * DAY ? fmt.minute : fmt.date;
    return el(
      'tr',
      {},
      el('td', {}, el('button', { class: 'go', type: 'button', onclick: go }, day(f.peak))),
      el('td', { class: 'neg' }, fmt.percent(-f.depth)),
      el('td', {}, day(f.trough)),
      el('td', {}, f.recovered === null ? 'not yet' : day(f.recovered)),
      el('td', {}, fmt.duration((end - f.peak) / 1000)),
    );
  };
  const heads = ['High', 'Depth', 'Low', 'Reached again', 'Length'].map((h) => el('th', { scope: 'col' }, h));
  const table = el('table', {}, el('thead', {}, el('tr', {}, heads)), el('tbody', {}, run.falls.map(row)));
  box.append(el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Deepest drawdowns' }, table));
  return box;
};

const resultsCard = (run) => {
  const box = card('results', 'Results of trades', 'net, in ' + run.currency);
  if (!run.results) {
    box.append(empty('Too few closed trades for a distribution.'));
    return box;
  }
  const figure = (key) => run.figures.find((f) => f.key === key)?.value;
  const marks = [
    ['mean', 'accent', run.results.mean],
    ['average win', 'pos', figure('avg_win')],
    ['average loss', 'neg', missing(figure('avg_loss')) ? null : -figure('avg_loss')],
  ];
  new Histogram(box, run.results, 'Results of trades. Arrow keys read the bars.', marks, fmt.money);
  return box;
};
