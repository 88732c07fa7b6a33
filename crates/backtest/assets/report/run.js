// The page of one run.
// Never: computes a figure; figures come with the page, so that the report and summary.json agree.

const PRESETS = [['1D', DAY], ['1W', 7 * DAY], ['1M', 30 * DAY], ['3M', 91 * DAY], ['1Y', 365 * DAY]];
const viewBar = (view) => {
  const whole = view.max - view.min;
  const fitting = PRESETS.filter(([, span]) => span < whole * 0.9);
  const all = el('button', { type: 'button', onclick: () => view.reset() }, 'All');
  const sync = () => all.setAttribute('aria-pressed', String(view.whole()));
  view.onChange.push(sync);
  sync();
  return el('div', { class: 'seg', role: 'group', 'aria-label': 'Time shown in all charts' },
    fitting.slice(-4).map(([name, span]) => el('button', { type: 'button', title: 'last ' + name,
      onclick: () => view.set(view.max - span, view.max) }, name)), all);
};
const HELP = 'drag to zoom, double-click for all, Shift-drag to move';

const unpackEquity = (line) => ({ ...line, t: times(line.t), close: column(line.close), drawdown: column(line.drawdown) });

const equityCard = (run, view) => {
  const main = run.equity.map(unpackEquity);
  const toggle = el('div', { class: 'seg' });
  const box = card('equity', 'Equity and drawdown', el('div', { class: 'bar', style: { margin: '0' } }, el('span', { class: 'hint' }, HELP), toggle, viewBar(view)));
  if (!main.length || !main[0].t.length) {
    box.append(empty('The run was never valued: no equity was sampled.'));
    return box;
  }
  const money = (v) => fmt.money(v) + ' ' + run.currency;
  const series = [];
  if (run.hold) series.push({ name: 'Buy and hold ' + run.hold.symbol, colour: 'c8', dash: [2, 3], width: 1.2, t: times(run.hold.t), v: column(run.hold.v), hidden: !run.hold.shown });
  if (run.pessimistic?.equity) {
    const worse = unpackEquity(run.pessimistic.equity);
    series.push({ name: 'Pessimistic', colour: 'c2', dash: [5, 4], t: worse.t, v: worse.close });
  }
  main.slice(1).forEach((line, i) => series.push({ name: line.name, colour: 'c' + ((i % 5) + 3), width: 1.2, t: line.t, v: line.close, hidden: true }));
  series.push({ name: main[0].name, colour: 'accent', type: 'area', width: 1.8, t: main[0].t, v: main[0].close, base: main[0].start });
  const opts = { label: 'Equity over time', height: 290, format: fmt.money, series: series.reverse() };
  opts.series.forEach((s) => { s.format = money; });
  // An area is drawn from its start value, and the first series of the legend lies on top.
  const chart = new TimeChart(box, view, opts);
  new TimeChart(box, view, { label: 'Drawdown over time', height: 130, format: fmt.percent, zero: true,
    series: [{ name: 'Drawdown', colour: 'neg', type: 'area', t: main[0].t, v: main[0].drawdown }] });
  if (main[0].close.every((v) => v > 0)) {
    const button = el('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
      opts.log = !opts.log;
      button.setAttribute('aria-pressed', String(opts.log));
      chart.redraw();
    } }, 'Log scale');
    toggle.append(button);
  }
  return box;
};

const priceCharts = (host, run, price, view) => {
  const t = times(price.t);
  const digits = fmt.places(price.price_places);
  const [o, h, l, c] = [price.o, price.h, price.l, price.c].map(column);
  const every = price.every_ms;
  const plots = price.plots.map((p, i) => ({ name: p.name, colour: 'c' + ((i % 7) + 1), width: 1.4, t: times(p.t), v: column(p.v), format: digits }));
  // Averages of a price belong on it; an oscillator would flatten it and gets its own chart.
  const [low, high] = [Math.min(...l), Math.max(...h)];
  const onPrice = (p) => { const m = median([...p.v]); return m === null || (m > low * 0.5 && m < high * 2); };
  const fills = { t: times(price.fills.t), side: price.fills.side, exit: price.fills.exit, n: price.fills.n,
    px: column(price.fills.px), qty: column(price.fills.qty), size: (q) => fixed(q, price.qty_places) + ' ' + price.unit };
  const opts = { label: `Price of ${price.symbol} with fills`, height: 340, format: digits, fills,
    series: [{ name: price.symbol, colour: 'text', type: 'candles', t, o, h, l, v: c, half: every / 2, fixed: true }, ...plots.filter(onPrice)] };
  const chart = new TimeChart(host, view, opts);
  const charts = [chart];
  for (const p of plots.filter((one) => !onPrice(one))) {
    charts.push(new TimeChart(host, view, { label: p.name, height: 110, format: fmt.price, series: [{ ...p, format: fmt.price }] }));
  }
  if (price.position.t.n || price.position.t.d?.length) {
    charts.push(new TimeChart(host, view, { label: `Position in ${price.symbol}`, height: 100, format: fmt.places(price.qty_places), axis: axisFormat, zero: true,
      series: [{ name: `Position (${price.unit})`, colour: 'accent', type: 'area', step: true, sign: true, t: times(price.position.t), v: column(price.position.v) }] }));
  }
  const mark = (sign, tint, label) => el('span', { class: 'key' }, el('span', { class: tint, 'aria-hidden': 'true' }, sign), label);
  const button = el('button', { type: 'button', 'aria-pressed': 'true', title: 'show or hide fills', onclick: () => {
    fills.hidden = !fills.hidden;
    button.setAttribute('aria-pressed', String(!fills.hidden));
    chart.redraw();
  } }, 'Fills');
  if (fills.t.length) {
    chart.when.before(button, mark('▲', 'pos', 'buy'), mark('▼', 'neg', 'sell'), mark('△', 'muted', 'hollow: exit'));
  }
  return charts;
};

const priceCard = (run, view) => {
  const toolbar = el('div', { class: 'bar', style: { margin: '0' } });
  const box = card('price', 'Price, entries and exits', toolbar);
  const host = el('div');
  const note = el('p', { class: 'hint' });
  box.append(host, note);
  let charts = [];
  let shown = -1;
  const show = (i) => {
    if (i === shown) return;
    shown = i;
    charts.forEach((c) => c.remove());
    charts = priceCharts(host, run, run.prices[i], view);
    note.textContent = run.prices[i].note;
    if (choice) choice.value = String(i);
  };
  const choice = run.prices.length > 1 ? el('select', { 'aria-label': 'Instrument', onchange: () => show(+choice.value) },
    run.prices.map((p, i) => el('option', { value: String(i) }, p.symbol))) : null;
  if (choice) toolbar.append(choice);
  toolbar.append(el('span', { class: 'hint' }, 'move over a triangle for its fills'), viewBar(view));
  if (run.prices.length) show(0);
  else host.append(empty('The run kept no prices to chart.'));
  const goTo = (symbol, from, to) => {
    const i = run.prices.findIndex((p) => p.symbol === symbol);
    if (i >= 0) show(i);
    const room = Math.max((to - from) * 0.75, i >= 0 ? run.prices[i].every_ms * 20 : 0);
    view.set(from - room, to + room);
    box.scrollIntoView({ block: 'start' });
  };
  return [box, goTo];
};

const statisticsCards = (run, view) => {
  const [rolling, spread, exposure] = [card('rolling', 'Rolling Sharpe ratio', run.rolling?.window),
    card('returns', 'Distribution of returns', run.returns ? `one ${run.returns.period} each, ${fmt.count(run.returns.n)} in all` : null),
    card('exposure', 'Exposure', 'value of all positions, unsigned, as a share of equity')];
  if (run.rolling) {
    new TimeChart(rolling, view, { label: 'Rolling Sharpe ratio', height: 236, format: fmt.ratio, zero: true,
      series: [{ name: 'Sharpe', colour: 'c4', type: 'area', sign: true, t: times(run.rolling.t), v: column(run.rolling.v) }] });
  } else rolling.append(empty('The run is too short for a rolling Sharpe ratio.'));
  if (run.returns) new Histogram(spread, run.returns, 'Distribution of returns. Arrow keys read the bars.');
  else spread.append(empty('Too few returns for a distribution.'));
  if (run.exposure) {
    new TimeChart(exposure, view, { label: 'Exposure over time', height: 236, format: fmt.percent, zero: true,
      series: [{ name: 'Exposure', colour: 'c7', type: 'area', fill: 'accent-soft', step: true, t: times(run.exposure.t), v: column(run.exposure.v) }] });
  } else exposure.append(empty('Nothing was held, or its value is not known in the currency of the account.'));
  return [rolling, spread, exposure];
};

const tradesCard = (run, goTo) => {
  const trades = run.trades;
  const box = card('trades', 'Trades', trades.note);
  if (!trades.count) {
    box.append(empty(trades.none));
    return box;
  }
  const [tIn, tOut] = [times(trades.entry), times(trades.exit)];
  const num = Object.fromEntries(['qty', 'px_in', 'px_out', 'gross', 'fees', 'funding', 'net', 'mae', 'mfe'].map((k) => [k, column(trades[k])]));
  const part = (i) => (num.px_in[i] > 0 ? (num.px_out[i] / num.px_in[i] - 1) * (trades.side[i] ? -1 : 1) : null);
  const [symbol, strategy] = [(i) => run.symbols[trades.instrument[i]], (i) => trades.strategies[trades.strategy[i]]];
  const cash = (name, key, title, colour) => ({ name, title, value: (i) => num[key][i], show: (i) => fmt.money(num[key][i]), tone: colour ? (i) => num[key][i] : null });
  const grid = (key, places) => (i) => fixed(num[key][i], places[trades.instrument[i]]);
  const columns = [
    { name: 'Entry (UTC)', text: true, title: 'When the oldest unit was entered', value: (i) => tIn[i], show: (i) => el('button', { class: 'go', type: 'button',
      title: 'Show in the price chart', onclick: () => goTo(symbol(i), tIn[i], tOut[i]) }, fmt.time(tIn[i])) },
    { name: 'Side', text: true, value: (i) => trades.side[i], show: (i) => (trades.side[i] ? 'short' : 'long') },
    { name: 'Instrument', text: true, value: symbol, show: symbol },
    { name: 'Strategy', text: true, value: strategy, show: strategy },
    { name: 'Size', value: (i) => num.qty[i], show: grid('qty', run.qty_places) },
    { name: 'Entry', title: 'Average entry price', value: (i) => num.px_in[i], show: grid('px_in', run.price_places) },
    { name: 'Exit', title: 'Average exit price', value: (i) => num.px_out[i], show: grid('px_out', run.price_places) },
    { name: 'Move', title: 'Change of the price in favour of the trade', value: part, show: (i) => fmt.signed(part(i), fmt.percent), tone: part },
    cash('Gross', 'gross', 'Before fees and funding', true), cash('Fees', 'fees', 'Paid, of entry and exit'), cash('Funding', 'funding', 'Received'),
    cash('Net', 'net', 'Gross less fees plus funding', true),
    cash('MAE', 'mae', 'Maximum adverse excursion: how far the market went against the trade, from whole bars inside it'),
    cash('MFE', 'mfe', 'Maximum favourable excursion: how far the market went in favour of the trade'),
    { name: 'Held', title: 'From entry to exit', value: (i) => tOut[i] - tIn[i], show: (i) => fmt.duration((tOut[i] - tIn[i]) / 1000) },
    { name: 'Exit (UTC)', value: (i) => tOut[i], show: (i) => fmt.time(tOut[i]) },
  ];
  const useful = columns.filter((c) => !((c.name === 'Instrument' && new Set(trades.instrument).size < 2)
    || (c.name === 'Strategy' && trades.strategies.length < 2) || (c.name === 'Funding' && num.funding.every((v) => v === 0))
    || (c.name === 'MAE' && num.mae.every(Number.isNaN)) || (c.name === 'MFE' && num.mfe.every(Number.isNaN))));
  const count = el('span', { class: 'hint', role: 'status' });
  const search = el('input', { type: 'search', placeholder: 'Instrument, strategy or date', 'aria-label': 'Filter trades by text' });
  const kinds = ['All', 'Winners', 'Losers', 'Long', 'Short'];
  let kind = 0;
  const bar = el('div', { class: 'bar filters' }, pick('Which trades', kinds, (i) => { kind = i; apply(); }), search, count);
  const host = el('div');
  box.append(bar, host);
  const table = new RowTable(host, { columns: useful, count: trades.count, caption: 'Closed trades', onArrange: (n) => {
    count.textContent = n === trades.count ? fmt.count(n) + ' trades' : `${fmt.count(n)} of ${fmt.count(trades.count)} trades`;
  } });
  const test = [() => true, (i) => num.net[i] > 0, (i) => num.net[i] < 0, (i) => !trades.side[i], (i) => trades.side[i] === 1];
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (i) => `${symbol(i)} ${strategy(i)} ${fmt.time(tIn[i])} ${fmt.time(tOut[i])}`.toLowerCase();
    table.filter((i) => test[kind](i) && (!words.length || words.every((w) => text(i).includes(w))));
  };
  search.addEventListener('input', apply);
  return box;
};

const assumptionsCard = (run) => {
  const box = card('assumptions', 'Assumptions', 'what the fills depend on');
  const worse = run.pessimistic;
  if (worse) {
    box.append(el('p', { class: 'verdict' + (worse.bad ? ' bad' : ''), role: 'note' }, worse.verdict));
    const keys = new Set(worse.shown);
    const names = [...new Set([...run.assumptions, ...worse.assumptions].map(([k]) => k))];
    const of = (list, name) => list.find(([k]) => k === name)?.[1] ?? NONE;
    const head = ['Assumption', 'As run', 'Pessimistic'].map((h) => el('th', { scope: 'col', class: 'text' }, h));
    const row = (n) => el('tr', { class: of(run.assumptions, n) !== of(worse.assumptions, n) ? 'diff' : '' },
      el('th', { scope: 'row' }, n), el('td', {}, of(run.assumptions, n)), el('td', {}, of(worse.assumptions, n)));
    box.append(el('div', { class: 'cols', style: { margin: '0' } },
      figureTable([run.figures, worse.figures].map((list) => list.filter((f) => keys.has(f.key))),
        'The same run under both sets of assumptions.', ['As run', 'Pessimistic'], true),
      el('div', { class: 'scroll' }, el('table', { class: 'kv' }, el('caption', {}, 'Rows that differ are marked.'),
        el('thead', {}, el('tr', {}, head)), el('tbody', {}, names.map(row))))));
    return box;
  }
  box.append(el('p', { class: 'verdict bad', role: 'note' }, 'How much of the result depends on these assumptions was not measured: the run was not repeated under pessimistic ones.'));
  box.append(run.assumptions.length ? facts(run.assumptions) : empty('The run recorded no assumptions.'));
  return box;
};

const buildRun = (root, run) => {
  const view = new View(run.from, run.to);
  const [prices, goTo] = priceCard(run, view);
  const [rolling, spread, exposure] = statisticsCards(run, view);
  const money = (v) => fmt.money(v) + ' ' + run.currency;
  const longest = run.figures.find((f) => f.key === 'longest_drawdown_s')?.value;
  const below = { ...run.headline_notes, ...(missing(longest) ? {} : { max_drawdown: 'longest ' + fmt.duration(longest) }) };
  const worse = run.pessimistic?.figures.find((f) => f.key === 'total_return');
  if (worse) run.figures.push({ ...worse, key: 'pessimistic', label: 'Pessimistic return', group: null });
  const head = kpis(run.figures, run.headline, { ...below, pessimistic: run.pessimistic?.brief });
  run.figures = run.figures.filter((f) => f.group);
  root.append(
    run.figures.length ? head : '',
    run.notes.length ? el('ul', { class: 'notes', style: { 'margin-bottom': '16px' } }, run.notes.map((n) => el('li', {}, n))) : '',
    el('div', { class: 'stack' }, equityCard(run, view), prices),
    el('div', { class: 'stack' }, card('months', 'Returns by month', null, monthTable(run.months, run.years))),
    el('div', { class: 'cols' }, spread, rolling),
    el('div', { class: 'cols' }, exposure, card('costs', 'Costs', 'from the price seen when ordering to what is left',
      run.costs.rows.length ? waterfall(run.costs.rows, money) : empty('Nothing was traded, so nothing was paid.'),
      run.costs.note ? el('p', { class: 'hint', style: { 'margin-top': '10px' } }, run.costs.note) : '')),
    el('div', { class: 'stack' }, assumptionsCard(run), card('quality', 'Data quality', null, qualityBox(run.quality)),
      card('figures', 'All figures', run.period, run.figures.length ? figureGroups(run.figures) : empty('The run was never valued, so it has no figures.')),
      card('strategies', 'By strategy', null, shareTable('Amounts in ' + run.currency + '.', 'Strategy', run.shares.strategies)),
      card('instruments', 'By instrument', null, shareTable('Amounts in ' + run.currency + '.', 'Instrument', run.shares.instruments)), tradesCard(run, goTo),
      card('settings', 'What was run', null, facts(run.settings))),
  );
};
