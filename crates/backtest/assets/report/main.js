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
  const links = [...root.querySelectorAll('section[id], div[id]')].filter((s) => !/-\d+$/.test(s.id));
  const titles = { months: 'Months', quality: 'Data quality' };
  document.getElementById('nav').append(...links.map((s) => el('a', { href: '#' + s.id }, s.querySelector(':scope > header h2')?.textContent ?? titles[s.id])));
  document.documentElement.dataset.ready = 'true';
})();
