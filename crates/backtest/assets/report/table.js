// A table of many rows: sorted by any column, filtered, with only the rows in sight in the document.
// Never: holds rows as objects; columns are arrays, a row is an index.

const ROW = 30;

class RowTable {
  // columns: [{name, title, text, value(i), show(i) -> string or node, tone(i)}]
  constructor(host, opts) {
    Object.assign(this, opts);
    this.order = Array.from({ length: this.count }, (_, i) => i);
    this.sorted = { column: this.sort ?? 0, down: this.down ?? false };
    this.heads = this.columns.map((c, at) =>
      el(
        'th',
        { scope: 'col', class: c.text ? 'text' : '' },
        el(
          'button',
          { type: 'button', title: (c.title ? c.title + '. ' : '') + 'Sort', onclick: () => this.sortBy(at) },
          c.name,
        ),
      ),
    );
    this.body = el('tbody');
    this.table = el(
      'table',
      { 'aria-rowcount': String(this.count + 1) },
      el('caption', { class: 'sr' }, this.caption),
      el('thead', {}, el('tr', { 'aria-rowindex': '1' }, this.heads)),
      this.body,
    );
    this.box = el('div', { class: 'trades', tabindex: '0', role: 'region', 'aria-label': this.caption }, this.table);
    this.box.addEventListener('scroll', () => nextFrame(this.fill), { passive: true });
    this.fill = this.fill.bind(this);
    host.append(this.box);
    new ResizeObserver(() => nextFrame(this.fill)).observe(this.box);
    this.arrange();
  }
  sortBy(column) {
    const again = this.sorted.column === column;
    // Numbers are asked for largest first, text from A.
    this.sorted = { column, down: again ? !this.sorted.down : !this.columns[column].text };
    this.arrange();
  }
  filter(keep) {
    this.keep = keep;
    this.arrange();
  }
  arrange() {
    const { column, down } = this.sorted;
    const value = this.columns[column].value;
    const rows = Array.from({ length: this.count }, (_, i) => i);
    const shown = this.keep ? rows.filter(this.keep) : rows;
    const gone = (v) => v === null || v === undefined || Number.isNaN(v);
    shown.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      // What has no value stands last in either direction.
      if (gone(x) || gone(y)) return gone(x) - gone(y) || a - b;
      const less = x < y ? -1 : x > y ? 1 : 0;
      return (down ? -less : less) || a - b;
    });
    this.order = shown;
    this.heads.forEach((th, i) => {
      if (i === column) th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      else th.removeAttribute('aria-sort');
    });
    this.box.scrollTop = 0;
    this.drawn = '';
    this.fill();
    this.onArrange?.(shown.length);
  }
  fill() {
    const height = this.box.clientHeight || 520;
    const from = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 8);
    const to = Math.min(this.order.length, Math.ceil((this.box.scrollTop + height) / ROW) + 8);
    const key = from + ':' + to;
    if (key === this.drawn) return;
    this.drawn = key;
    const pad = (rows) =>
      el(
        'tr',
        { class: 'pad', 'aria-hidden': 'true' },
        el('td', { colspan: String(this.columns.length), style: { height: rows * ROW + 'px' } }),
      );
    const rows = [];
    for (let at = from; at < to; at++) {
      const i = this.order[at];
      rows.push(
        el(
          'tr',
          { 'aria-rowindex': String(at + 2) },
          this.columns.map((c) =>
            el('td', { class: [c.text ? 'text' : '', c.tone ? tone(c.tone(i)) : ''].join(' ').trim() }, c.show(i)),
          ),
        ),
      );
    }
    // Rows that held the keyboard's place and scrolled away must not take it with them to nowhere.
    const held = this.body.contains(document.activeElement);
    this.body.replaceChildren(pad(from), ...rows, pad(this.order.length - to));
    if (held) this.box.focus({ preventScroll: true });
  }
}
