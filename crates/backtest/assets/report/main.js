// Puts the page together from the data that came with it.
// Never: asks for anything from outside.

(() => {
  const page = JSON.parse(document.getElementById('data').textContent);
  const root = document.getElementById('content');
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
  (page.kind === 'compare' ? () => buildCompare(root, page) : () => buildRun(root, page.runs[0]))();
  const names = {
    equity: 'Equity',
    price: 'Price',
    months: 'Months',
    returns: 'Returns',
    rolling: 'Sharpe',
    exposure: 'Exposure',
    costs: 'Costs',
    assumptions: 'Assumptions',
    quality: 'Data',
    figures: 'Figures',
    strategies: 'Strategies',
    instruments: 'Instruments',
    trades: 'Trades',
    settings: 'Settings',
  };
  const links = [...root.querySelectorAll('[id]')].filter((s) => names[s.id]);
  document.getElementById('nav').append(...links.map((s) => el('a', { href: '#' + s.id }, names[s.id])));
  document.documentElement.dataset.ready = 'true';
})();
