//! One picture of the live view. Never: I/O; it draws what it is given.

use super::Picture;
use crate::commands::summary::amounts;
use crate::out::{money, nanos, price, signed};
use ctos_types::{Decimal, KillState};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table};

const DIM: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// From here on two columns fit beside each other.
const WIDE: u16 = 120;
/// Below, what grows shares its lines.
const LOW: u16 = 34;

pub(super) fn draw(frame: &mut Frame, p: &Picture) {
    let area = frame.area();
    let log_height = if area.height < LOW { 3 } else { area.height / 5 };
    let lengths =
        [Constraint::Length(3), Constraint::Min(8), Constraint::Length(log_height.min(8)), Constraint::Length(1)];
    let [head, body, log, foot] = Layout::vertical(lengths).areas(area);
    header(frame, head, p);
    if area.width >= WIDE {
        two_columns(frame, body, p)
    } else {
        one_column(frame, body, p, area.height < LOW)
    }
    logs(frame, log, p);
    let ending = " ending: cancelling and settling   q again: abort at once";
    let keys = if p.stopping { ending } else { " q: end the run in order" };
    frame.render_widget(Paragraph::new(keys).style(DIM), foot);
}

fn two_columns(frame: &mut Frame, area: Rect, p: &Picture) {
    let [left, right] = Layout::horizontal([Constraint::Percentage(52), Constraint::Percentage(48)]).areas(area);
    let lengths = [Constraint::Length(8), Constraint::Length(positions_height(p)), Constraint::Min(3)];
    let [worth_area, positions_area, orders_area] = Layout::vertical(lengths).areas(left);
    worth(frame, worth_area, p);
    positions(frame, positions_area, p);
    orders(frame, orders_area, p);
    let lengths = [Constraint::Length(markets_height(p)), Constraint::Min(3)];
    let [markets_area, fills_area] = Layout::vertical(lengths).areas(right);
    markets(frame, markets_area, p);
    fills(frame, fills_area, p);
}

fn one_column(frame: &mut Frame, area: Rect, p: &Picture, low: bool) {
    let lengths = [
        Constraint::Length(if low { 5 } else { 7 }),
        Constraint::Length(markets_height(p).min(if low { 4 } else { 6 })),
        Constraint::Length(positions_height(p).min(if low { 4 } else { 6 })),
        Constraint::Min(3),
    ];
    let [worth_area, markets_area, positions_area, below] = Layout::vertical(lengths).areas(area);
    worth(frame, worth_area, p);
    markets(frame, markets_area, p);
    positions(frame, positions_area, p);
    let halves = [Constraint::Fill(1), Constraint::Fill(1)];
    let split = if low { Layout::horizontal(halves) } else { Layout::vertical(halves) };
    let [orders_area, fills_area] = split.areas(below);
    orders(frame, orders_area, p);
    fills(frame, fills_area, p);
}

fn positions_height(p: &Picture) -> u16 {
    (p.view.positions.len() as u16).clamp(1, 8) + 3
}

fn markets_height(p: &Picture) -> u16 {
    (p.view.markets.len() as u16).clamp(1, 12) + 3
}

fn block(title: &str) -> Block<'_> {
    Block::default().borders(Borders::ALL).border_style(DIM).title(Span::styled(title, BOLD))
}

/// Green above zero, red below.
fn coloured(text: String, sign: i128) -> Span<'static> {
    let color = match sign {
        1.. => Color::Green,
        0 => Color::Reset,
        _ => Color::Red,
    };
    Span::styled(text, Style::new().fg(color))
}

fn header(frame: &mut Frame, area: Rect, p: &Picture) {
    let s = &p.view.summary;
    let worst = p.view.latches.iter().map(|l| l.latch.state).max();
    let (word, color) = match worst {
        _ if p.view.degraded.is_some() => ("DEGRADED", Color::Red),
        Some(KillState::Halted) => ("HALTED", Color::Red),
        Some(_) => ("REDUCING", Color::Yellow),
        None if p.stopping => ("ENDING", Color::Yellow),
        None => ("RUNNING", Color::Green),
    };
    let first = Line::from(vec![
        Span::styled(format!(" {word} "), Style::new().fg(Color::Black).bg(color).add_modifier(Modifier::BOLD)),
        Span::raw(format!("  {}  {}  {} at {}  ", s.run_id, s.mode, s.market, p.speed)),
        Span::styled(crate::out::short_time(&s.to), BOLD),
        recording(p),
    ]);
    let age = p.view.markets.iter().filter_map(|m| m.age_ns).min().map_or("-".into(), |n| nanos(n.max(0) as u64));
    let l = &s.step_latency_ns;
    let second = format!(
        " inputs {} ({}/s)   feed age {age}   step p50 {} p99 {}   orders sent {} filled {} open {}",
        s.events_in,
        p.rate,
        nanos(l.p50),
        nanos(l.p99),
        s.orders.sent,
        s.orders.filled,
        s.open_orders
    );
    let gates: Vec<String> = s.denied_by.iter().map(|(gate, n)| format!("{gate} {n}")).collect();
    let gates = if gates.is_empty() { "none".into() } else { gates.join(", ") };
    let latches: Vec<String> = p.view.latches.iter().map(|l| l.latch.reason.clone()).collect();
    let latches = if latches.is_empty() { String::new() } else { format!("   latched: {}", latches.join("; ")) };
    let third = format!(" denied by gates: {gates}   alarms {}{latches}", s.alarms);
    frame.render_widget(Paragraph::new(vec![first, Line::raw(second), Line::raw(third)]), area);
}

/// Whether the market is recorded.
fn recording(p: &Picture) -> Span<'static> {
    let of = p.view.live.as_ref().and_then(|l| l.recording.as_ref());
    match of.map(|r| (r.on, r.markets.iter().any(|m| m.fault.is_some()))) {
        Some((_, true)) => Span::styled("  RECORDING FAILED", Style::new().fg(Color::Red)),
        Some((true, false)) => Span::styled("  REC", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)),
        Some((false, false)) | None => Span::raw(""),
    }
}

fn worth(frame: &mut Frame, area: Rect, p: &Picture) {
    let outer = block(" equity and profit ");
    let inner = outer.inner(area);
    frame.render_widget(outer, area);
    let s = &p.view.summary;
    let mut lines = Vec::new();
    for (account, all) in &s.equity {
        for (currency, e) in all {
            let change = e.end.checked_sub(e.start).unwrap_or_default();
            lines.push(Line::from(vec![
                Span::raw(format!("{account}  ")),
                Span::styled(format!("{} {currency}  ", money(e.end)), BOLD),
                coloured(signed(change), change.signum()),
            ]));
        }
    }
    let total: Decimal = s.realized_pnl.values().copied().chain(s.unrealized_pnl.values().copied()).sum();
    lines.push(Line::from(vec![
        coloured(
            format!("realized {}  unrealized {}", amounts(&s.realized_pnl, signed), amounts(&s.unrealized_pnl, signed)),
            total.signum(),
        ),
        Span::raw(format!("  fees {}", amounts(&s.fees, money))),
    ]));
    lines.push(Line::raw(format!("fills {}  volume {}", s.fills, amounts(&s.volume, money))));
    let rows = (lines.len() as u16).min(inner.height);
    let [text, curve] = Layout::vertical([Constraint::Length(rows), Constraint::Min(0)]).areas(inner);
    frame.render_widget(Paragraph::new(lines), text);
    if curve.height > 0 {
        let points = scaled(&p.curve, curve.width as usize);
        frame.render_widget(Sparkline::default().data(&points).style(Style::new().fg(Color::Cyan)), curve);
    }
}

/// The last `width` points, stretched over the height.
fn scaled(curve: &[f64], width: usize) -> Vec<u64> {
    let shown = &curve[curve.len().saturating_sub(width)..];
    let (lo, hi) = shown.iter().fold((f64::MAX, f64::MIN), |(lo, hi), v| (lo.min(*v), hi.max(*v)));
    let span = hi - lo;
    let point = |v: &f64| if span > 0.0 { 1 + ((v - lo) / span * 999.0) as u64 } else { 1 };
    shown.iter().map(point).collect()
}

fn list(
    frame: &mut Frame,
    area: Rect,
    title: &str,
    head: &[&'static str],
    widths: &[Constraint],
    rows: Vec<Row<'static>>,
) {
    let table = Table::new(rows, widths.to_vec()).header(Row::new(head.to_vec()).style(DIM)).block(block(title));
    frame.render_widget(table, area);
}

fn side_style(side: &str) -> Style {
    Style::new().fg(if side == "buy" { Color::Green } else { Color::Red })
}

fn positions(frame: &mut Frame, area: Rect, p: &Picture) {
    let row = |x: &ctos_runtime::summary::PositionSummary| {
        let color = coloured(signed(x.unrealized_pnl), x.unrealized_pnl.signum()).style;
        Row::new([x.symbol.clone(), x.qty.to_string(), price(x.avg_px), price(x.mark), signed(x.unrealized_pnl)])
            .style(color)
    };
    let widths =
        [Constraint::Fill(3), Constraint::Fill(2), Constraint::Fill(2), Constraint::Fill(2), Constraint::Fill(2)];
    let rows = p.view.positions.iter().map(row).collect();
    list(frame, area, " positions ", &["symbol", "size", "average", "mark", "unrealized"], &widths, rows);
}

fn orders(frame: &mut Frame, area: Rect, p: &Picture) {
    let mut open: Vec<_> = p.view.orders.iter().collect();
    open.sort_by(|a, b| (&a.symbol, b.price, &a.id).cmp(&(&b.symbol, a.price, &b.id)));
    let row = |o: &&ctos_runtime::view::OrderView| {
        let side = if o.side == ctos_types::Side::Buy { "buy" } else { "sell" };
        let cells = [
            o.strategy.clone(),
            o.symbol.clone(),
            side.into(),
            price(o.price.or(o.trigger)),
            o.qty.to_string(),
            o.filled.to_string(),
        ];
        Row::new(cells).style(side_style(side))
    };
    let widths = [
        Constraint::Fill(2),
        Constraint::Fill(3),
        Constraint::Length(4),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Fill(2),
    ];
    let title = format!(" open orders ({}) ", open.len());
    list(
        frame,
        area,
        &title,
        &["strategy", "symbol", "side", "price", "size", "filled"],
        &widths,
        open.iter().map(row).collect(),
    );
}

fn markets(frame: &mut Frame, area: Rect, p: &Picture) {
    let row = |m: &ctos_runtime::view::MarketView| {
        let book = if m.book_valid { "book ok" } else { "no book" };
        Row::new([
            m.symbol.clone(),
            price(m.bid),
            price(m.ask),
            price(m.last),
            price(m.mark),
            m.age_ns.map_or("no data".into(), |n| nanos(n.max(0) as u64)),
            book.into(),
        ])
    };
    let widths = [
        Constraint::Fill(3),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Length(8),
        Constraint::Length(7),
    ];
    let rows = p.view.markets.iter().map(row).collect();
    list(frame, area, " markets ", &["symbol", "bid", "ask", "last", "mark", "age", ""], &widths, rows);
}

fn fills(frame: &mut Frame, area: Rect, p: &Picture) {
    let row = |f: &ctos_server::model::FillLine| {
        let time = crate::out::short_time(&f.at);
        let clock = time.split_once(' ').map_or(time.as_str(), |(_, clock)| clock).to_owned();
        let realized = f.realized_pnl.map_or("-".into(), signed);
        Row::new([clock, f.symbol.clone(), f.side.clone(), f.qty.to_string(), f.price.to_string(), realized])
            .style(side_style(&f.side))
    };
    let widths = [
        Constraint::Length(12),
        Constraint::Fill(3),
        Constraint::Length(4),
        Constraint::Fill(2),
        Constraint::Fill(2),
        Constraint::Fill(2),
    ];
    list(
        frame,
        area,
        " last fills ",
        &["time", "symbol", "side", "size", "price", "realized"],
        &widths,
        p.fills.iter().map(row).collect(),
    );
}

fn logs(frame: &mut Frame, area: Rect, p: &Picture) {
    let room = area.height.saturating_sub(2) as usize;
    let lines: Vec<Line> = p.log.iter().skip(p.log.len().saturating_sub(room)).map(|l| Line::raw(l.clone())).collect();
    frame.render_widget(Paragraph::new(lines).alignment(Alignment::Left).block(block(" log ")), area);
}
