//! A crossing of two averages computed as one straight line: read the file, walk the bars, write down the fills.
//! Never: a word of ctos's own code. Rules come from the documents: `docs/data.md` for fills, the heads of
//! `strategies/src/mover.rs` and `sizing.rs` for what is ordered.

use std::path::Path;

/// Prices count thousandths, sizes ten-millionths: what the file's digits imply. Amounts count 10^-14.
pub const PX_PLACES: u32 = 3;
pub const QTY_PLACES: u32 = 7;
pub const PLACES: u32 = 14;
const MINUTE: i64 = 60_000_000_000;
const MS: i64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Nanoseconds since 1970.
    pub open_time: i64,
    pub open: i128,
    pub high: i128,
    pub low: i128,
    pub close: i128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// When the strategy hears of it.
    pub at: i64,
    pub buy: bool,
    pub px: i128,
    pub qty: i128,
    pub fee: i128,
    /// Before fees.
    pub realized: i128,
}

/// A position from its opening to its closing, each at one moment: the parts of their fills that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    pub entry: Fill,
    pub exit: Fill,
}

impl Trade {
    pub fn fees(&self) -> i128 {
        self.entry.fee + self.exit.fee
    }
    pub fn net(&self) -> i128 {
        self.exit.realized - self.fees()
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub fast: usize,
    pub slow: usize,
    pub shorts: bool,
    pub slippage: i128,
    /// Milliseconds from the venue to us, to the venue, and back with its answer; the first is not the longest.
    pub feed: i64,
    pub order: i64,
    pub response: i64,
}

#[derive(Debug)]
pub struct Outcome {
    pub fills: Vec<Fill>,
    pub trades: Vec<Trade>,
    /// Unsigned value of all fills.
    pub volume: i128,
    pub fees: i128,
    pub realized: i128,
    pub unrealized: i128,
}

/// The digits of a number as an integer of `places` decimal places; digits beyond must be zero.
pub fn number(text: &str, places: u32) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (kept, rest) = fraction.split_at(fraction.len().min(places as usize));
    assert!(rest.bytes().all(|b| b == b'0'), "{text} has more than {places} places");
    let all = format!("{whole}{kept:0<width$}", width = places as usize);
    sign * all.parse::<i128>().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// `2021-12-31 23:01:00.000000` or `2021-12-31T23:25:00.005000000Z`, counted day by day.
pub fn time(text: &str) -> i64 {
    let n = |range: std::ops::Range<usize>| text[range].parse::<i64>().unwrap_or_else(|e| panic!("{text}: {e}"));
    let (year, month, day) = (n(0..4), n(5..7), n(8..10));
    let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let before: i64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = before + months[..month as usize - 1].iter().sum::<i64>() + day - 1;
    let seconds = days * 86_400 + n(11..13) * 3_600 + n(14..16) * 60 + n(17..19);
    let fraction = text[19..].trim_start_matches('.').trim_end_matches('Z');
    seconds * 1_000_000_000 + format!("{fraction:0<9}").parse::<i64>().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The file's bars, with what its digits say about the grid checked.
pub fn bars(path: &Path) -> Vec<Bar> {
    let text = std::fs::read_to_string(path).expect("readable");
    let (mut bars, mut px_places, mut volume_places, mut highest) = (Vec::new(), 0, 0, 0);
    let places = |text: &str| text.split_once('.').map_or(0, |(_, f)| f.trim_end_matches('0').len());
    for line in text.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let [open, high, low, close] = [1, 2, 3, 4].map(|k| {
            px_places = px_places.max(places(f[k]));
            number(f[k], PX_PLACES)
        });
        // Whoever wrote the file kept volumes as doubles: beyond 15 digits they say nothing.
        let volume: f64 = f[5].parse().expect("a number");
        let digits = 15 - f[5].split('.').next().map_or(0, str::len);
        volume_places = volume_places.max(places(&format!("{volume:.digits$}")));
        highest = highest.max(high);
        // No bar is too thin for a thousand dollars' worth of coins.
        assert!(volume > 1.0, "{line}");
        bars.push(Bar { open_time: time(f[0]), open, high, low, close });
    }
    assert_eq!(px_places, PX_PLACES as usize, "the tick is the finest place of a price");
    // The lot is the finest place of a volume, or finer where one such lot would be worth more than a cent.
    let cent = |places: u32| highest * 100 <= 10i128.pow(PX_PLACES + places);
    assert!(volume_places <= QTY_PLACES as usize && cent(QTY_PLACES) && !cent(QTY_PLACES - 1));
    bars
}

/// An exponential average as textbooks have it: the mean of the first `n`, then a step of `2 / (n + 1)`.
fn ema(closes: &[f64], n: usize) -> Vec<Option<f64>> {
    let k = 2.0 / (n as f64 + 1.0);
    let mut value = closes[..n].iter().sum::<f64>() / n as f64;
    let mut all = vec![None; n - 1];
    all.push(Some(value));
    for x in &closes[n..] {
        value += k * (x - value);
        all.push(Some(value));
    }
    all
}

struct Order {
    buy: bool,
    qty: i128,
    arrives: i64,
}

pub fn run(bars: &[Bar], rules: &Rules) -> Outcome {
    let closes: Vec<f64> = bars.iter().map(|b| b.close as f64 / 1e3).collect();
    let (fast, slow) = (ema(&closes, rules.fast), ema(&closes, rules.slow));
    let (mut above, mut goal, mut held, mut entry) = (None, 0i128, 0i128, 0i128);
    let mut opening = false;
    let mut open: Option<Fill> = None;
    let mut pending: Option<Order> = None;
    let (mut fills, mut trades) = (Vec::<Fill>::new(), Vec::new());
    let mut volume = 0;
    for (n, bar) in bars.iter().enumerate() {
        let closed = bar.open_time + MINUTE;
        // At the exchange: at the open what was there by then, at the close what came during the bar.
        let met = pending.take_if(|o| o.arrives <= closed).map(|o| {
            let point = if o.arrives <= bar.open_time { bar.open } else { bar.close };
            let worse = if o.buy { point + rules.slippage } else { point - rules.slippage };
            (o, worse.clamp(bar.low, bar.high))
        });
        // The strategy hears of the bar, and decides. While an order is out it only remembers what it wants.
        let mut aimed = false;
        if let (Some(f), Some(s)) = (fast[n], slow[n])
            && f != s
        {
            let is = f > s;
            if above.replace(is).is_some_and(|was| was != is) {
                let wanted = if is { 1 } else { -i128::from(rules.shorts) };
                aimed = wanted != goal;
                (goal, opening) = if aimed { (wanted, wanted != 0) } else { (goal, opening) };
            }
        }
        let decide = |held: i128, opening: &mut bool, now: i64| -> Option<Order> {
            let arrives = now + rules.order * MS;
            // A thousand dollars at the last price, in whole lots.
            let opens = if *opening { 1_000 * 10i128.pow(PX_PLACES + QTY_PLACES) / bar.close } else { 0 };
            // One order takes away what is not wanted and opens what is.
            let closes = if held.signum() == goal { 0 } else { held.abs() };
            let buy = if held != 0 && held.signum() != goal { held < 0 } else { goal > 0 };
            (closes + opens > 0).then_some(Order { buy, qty: closes + opens, arrives })
        };
        if aimed && pending.is_none() && met.is_none() {
            pending = decide(held, &mut opening, closed + rules.feed * MS);
        }
        // Then of the fill.
        if let Some((order, px)) = met {
            let (at, side) = (closed + rules.response * MS, if order.buy { 1 } else { -1 });
            // The run ends with the last bar: what comes after it is heard by nobody.
            if n + 1 == bars.len() && rules.response > rules.feed {
                break;
            }
            // A rate of five ten-thousandths; places 3 + 7 + 4.
            let fee = px * order.qty * 5;
            volume += px * order.qty;
            let realized = if held == 0 { 0 } else { (px - entry) * held * 10i128.pow(PLACES - 10) };
            let fill = Fill { at, buy: order.buy, px, qty: order.qty, fee, realized };
            // What of the fill belongs to the trade that ends with it, and to the one that begins.
            let part = |qty: i128, realized: i128| Fill { qty, fee: px * qty * 5, realized, ..fill.clone() };
            if let Some(entry) = open.take() {
                trades.push(Trade { entry, exit: part(held.abs(), realized) });
            }
            held += side * order.qty;
            if held != 0 {
                entry = px;
                open = Some(part(held.abs(), 0));
                opening &= held.signum() != goal;
            }
            fills.push(fill);
            pending = decide(held, &mut opening, at);
        }
    }
    let last = bars.last().expect("a bar").close;
    Outcome {
        volume: volume * 10i128.pow(PLACES - 10),
        fees: fills.iter().map(|f| f.fee).sum(),
        realized: fills.iter().map(|f| f.realized).sum(),
        unrealized: if held == 0 { 0 } else { (last - entry) * held * 10i128.pow(PLACES - 10) },
        fills,
        trades,
    }
}
