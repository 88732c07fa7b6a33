// Prices with fills, plotted lines and positions.
// Never: shows two instruments in one chart; their prices have nothing in common.

const priceCharts = (host, run, price, view) => {
  const t = times(price.t);
  const digits = fmt.places(price.price_places);
  const [o, h, l, c] = [price.o, price.h, price.l, price.c].map(column);
  const every = price.every_ms;
  const plots = price.plots.map((p, i) => ({
    name: p.name,
    colour: 'c' + ((i % 7) + 1),
    width: 1.4,
    t: times(p.t),
    v: column(p.v),
    format: digits,
  }));
  // Averages of a price belong on it; an oscillator would flatten it and gets its own chart.
  const [low, high] = [Math.min(...l), Math.max(...h)];
  const onPrice = (p) => {
    const m = median([...p.v]);
    return m === null || (m > low * 0.5 && m < high * 2);
  };
  const fills = {
    t: times(price.fills.t),
    side: price.fills.side,
    exit: price.fills.exit,
    n: price.fills.n,
    px: column(price.fills.px),
    qty: column(price.fills.qty),
    size: (q) => fixed(q, price.qty_places) + ' ' + price.unit,
  };
  const opts = {
    label: `Price of ${price.symbol} with fills`,
    height: 340,
    format: digits,
    fills,
    series: [
      { name: price.symbol, colour: 'text', type: 'candles', t, o, h, l, v: c, half: every / 2, fixed: true },
      ...plots.filter(onPrice),
    ],
  };
  const chart = new TimeChart(host, view, opts);
  const charts = [chart];
  for (const p of plots.filter((one) => !onPrice(one))) {
    charts.push(
      new TimeChart(host, view, {
        label: p.name,
        height: 110,
        format: fmt.price,
        series: [{ ...p, format: fmt.price }],
      }),
    );
  }
  if (price.position.t.n || price.position.t.d?.length) {
    charts.push(
      new TimeChart(host, view, {
        label: `Position in ${price.symbol}`,
        height: 100,
        format: fmt.places(price.qty_places),
        axis: axisFormat,
        zero: true,
        series: [
          {
            name: `Position (${price.unit})`,
            colour: 'accent',
            type: 'area',
            step: true,
            sign: true,
            t: times(price.position.t),
            v: column(price.position.v),
          },
        ],
      }),
    );
  }
  const mark = (sign, tint, label) =>
    el('span', { class: 'key' }, el('span', { class: tint, 'aria-hidden': 'true' }, sign), label);
  const button = el(
    'button',
    {
      type: 'button',
      'aria-pressed': 'true',
      title: 'show or hide fills',
      onclick: () => {
        fills.hidden = !fills.hidden;
        button.setAttribute('aria-pressed', String(!fills.hidden));
        chart.redraw();
      },
    },
    'Fills',
  );
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
  const choice =
    run.prices.length > 1
      ? el(
          'select',
          { 'aria-label': 'Instrument', onchange: () => show(+choice.value) },
          run.prices.map((p, i) => el('option', { value: String(i) }, p.symbol)),
        )
      : null;
  if (choice) toolbar.append(choice);
  toolbar.append(el('span', { class: 'hint mouse' }, 'move over a triangle for its fills'), viewBar(view));
  if (run.prices.length) show(0);
  else host.append(empty('The run kept no prices to chart.'));
  const goTo = (symbol, from, to) => {
    const i = run.prices.findIndex((p) => p.symbol === symbol);
    if (i >= 0) show(i);
    const room = Math.max((to - from) * 0.75, i >= 0 ? run.prices[i].every_ms * 20 : 0);
    view.show(from, to, room);
    box.scrollIntoView({ block: 'start' });
  };
  return [box, goTo];
};
