// The table of closed trades.
// Never: shows an amount of a column with more places than its neighbours.

const tradesCard = (run, goTo) => {
  const trades = run.trades;
  const box = card('trades', 'Trades', trades.note);
  if (!trades.count) {
    box.append(empty(trades.none));
    return box;
  }
  const [tIn, tOut] = [times(trades.entry), times(trades.exit)];
  const num = Object.fromEntries(
    ['qty', 'px_in', 'px_out', 'gross', 'fees', 'funding', 'net', 'mae', 'mfe'].map((k) => [k, column(trades[k])]),
  );
  const part = (i) => (num.px_in[i] > 0 ? (num.px_out[i] / num.px_in[i] - 1) * (trades.side[i] ? -1 : 1) : null);
  const [symbol, strategy] = [(i) => run.symbols[trades.instrument[i]], (i) => trades.strategies[trades.strategy[i]]];
  // Amounts of a column with the same places: two, or what the middle one of small amounts needs for three figures.
  const cash = (name, key, title, colour) => {
    const middle = median([...num[key]].map(Math.abs).filter((v) => v > 0)) ?? 1;
    const show = fmt.places(middle >= 1e5 ? 0 : middle >= 0.1 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(middle))));
    return {
      name,
      title,
      value: (i) => num[key][i],
      show: (i) => show(num[key][i]),
      tone: colour ? (i) => num[key][i] : null,
    };
  };
  const grid = (key, places) => (i) => fixed(num[key][i], places[trades.instrument[i]]);
  const columns = [
    {
      name: 'Entry (UTC)',
      text: true,
      title: 'When the oldest unit was entered',
      value: (i) => tIn[i],
      show: (i) =>
        el(
          'button',
          {
            class: 'go',
            type: 'button',
            title: 'Show in the price chart',
            onclick: () => goTo(symbol(i), tIn[i], tOut[i]),
          },
          fmt.time(tIn[i]),
        ),
    },
    { name: 'Side', text: true, value: (i) => trades.side[i], show: (i) => (trades.side[i] ? 'short' : 'long') },
    { name: 'Instrument', text: true, value: symbol, show: symbol },
    { name: 'Strategy', text: true, value: strategy, show: strategy },
    { name: 'Size', value: (i) => num.qty[i], show: grid('qty', run.qty_places) },
    { name: 'Entry', title: 'Average entry price', value: (i) => num.px_in[i], show: grid('px_in', run.price_places) },
    { name: 'Exit', title: 'Average exit price', value: (i) => num.px_out[i], show: grid('px_out', run.price_places) },
    {
      name: 'Move',
      title: 'Change of the price in favour of the trade',
      value: part,
      show: (i) => fmt.signed(part(i), fmt.percent),
      tone: part,
    },
    cash('Gross', 'gross', 'Before fees and funding', true),
    cash('Fees', 'fees', 'Paid, of entry and exit'),
    cash('Funding', 'funding', 'Received'),
    cash('Net', 'net', 'Gross less fees plus funding', true),
    cash(
      'MAE',
      'mae',
      'Maximum adverse excursion: how far the market went against the trade, from whole bars inside it',
    ),
    cash('MFE', 'mfe', 'Maximum favourable excursion: how far the market went in favour of the trade'),
    {
      name: 'Held',
      title: 'From entry to exit',
      value: (i) => tOut[i] - tIn[i],
      show: (i) => fmt.duration((tOut[i] - tIn[i]) / 1000),
    },
    { name: 'Exit (UTC)', value: (i) => tOut[i], show: (i) => fmt.time(tOut[i]) },
  ];
  const useful = columns.filter(
    (c) =>
      !(
        (c.name === 'Instrument' && new Set(trades.instrument).size < 2) ||
        (c.name === 'Strategy' && trades.strategies.length < 2) ||
        (c.name === 'Funding' && num.funding.every((v) => v === 0)) ||
        (c.name === 'MAE' && num.mae.every(Number.isNaN)) ||
        (c.name === 'MFE' && num.mfe.every(Number.isNaN))
      ),
  );
  const count = el('span', { class: 'hint', role: 'status' });
  const search = el('input', {
    type: 'search',
    placeholder: 'Instrument, strategy or date',
    'aria-label': 'Filter trades by text',
  });
  const kinds = ['All', 'Winners', 'Losers', 'Long', 'Short'];
  let kind = 0;
  const bar = el(
    'div',
    { class: 'bar filters' },
    pick('Which trades', kinds, (i) => {
      kind = i;
      apply();
    }),
    search,
    count,
  );
  const host = el('div');
  box.append(bar, host);
  const table = new RowTable(host, {
    columns: useful,
    count: trades.count,
    caption: 'Closed trades',
    onArrange: (n) => {
      count.textContent =
        n === trades.count ? fmt.count(n) + ' trades' : `${fmt.count(n)} of ${fmt.count(trades.count)} trades`;
    },
  });
  const test = [
    () => true,
    (i) => num.net[i] > 0,
    (i) => num.net[i] < 0,
    (i) => !trades.side[i],
    (i) => trades.side[i] === 1,
  ];
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (i) => `${symbol(i)} ${strategy(i)} ${fmt.time(tIn[i])} ${fmt.time(tOut[i])}`.toLowerCase();
    table.filter((i) => test[kind](i) && (!words.length || words.every((w) => text(i).includes(w))));
  };
  search.addEventListener('input', apply);
  return box;
};
