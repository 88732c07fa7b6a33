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
  if (run.returns) new Histogram(spread, run.returns, 'Distribution of returns. Arrow keys read the bars.');
  else spread.append(empty('Too few returns for a distribution.'));
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
