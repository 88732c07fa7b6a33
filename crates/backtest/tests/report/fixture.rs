//! Runs to make pages of: generated, but with prices, orders, costs and worth that fit together.
//! Never: draws an unseeded random number.

use ctos_backtest::log::*;
use ctos_types::*;
use std::borrow::Cow;

pub struct Shape {
    pub seed: u64,
    pub hours: usize,
    pub symbols: Vec<&'static str>,
    pub fast: f64,
    pub slow: f64,
    /// Share of the traded value.
    pub fee: f64,
    pub slip: f64,
    pub strategy: &'static str,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            seed: 7,
            hours: 10_000,
            symbols: vec!["binance:BTC-USDT-PERP", "binance:ETH-USDT-PERP"],
            fast: 12.0,
            slow: 60.0,
            fee: 0.0004,
            slip: 0.0001,
            strategy: "trend",
        }
    }
}

/// 2022-01-01.
const START: i64 = 1_640_995_200;

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed ^ 0x9E37_79B9_7F4A_7C15)
    }
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    /// About normal, with fatter tails now and then.
    fn shock(&mut self) -> f64 {
        let sum: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        if self.unit() < 0.02 { sum * 4.0 } else { sum }
    }
}

pub fn decimal(v: f64) -> Decimal {
    format!("{v:.8}").parse().unwrap()
}

pub fn instrument(symbol: &str) -> Instrument {
    let base = symbol.split(':').next_back().unwrap().split('-').next().unwrap();
    Instrument {
        id: InstrumentId(0),
        version: 1,
        symbol: Symbol::new(symbol),
        kind: InstrumentKind::Perpetual(Settlement::Linear),
        base: Currency::new(base).unwrap(),
        quote: Currency::new("USDT").unwrap(),
        price_decimals: 2,
        qty_decimals: 3,
        tick: Price(1),
        lot: Qty(1),
        min_qty: Qty(1),
        max_qty: Qty(1_000_000_000),
        min_notional: Decimal::ZERO,
        contract_value: Decimal::ONE,
        multiplier: Decimal::ONE,
        initial_margin: decimal(0.05),
        maintenance_margin: decimal(0.025),
        maker_fee: decimal(0.0002),
        taker_fee: decimal(0.0004),
    }
}

fn strategy(shape: &Shape, number: usize) -> StrategyFacts {
    StrategyFacts {
        id: if number == 1 { shape.strategy.into() } else { format!("{}-{number}", shape.strategy) },
        name: "ma_cross".into(),
        params: vec![("fast".into(), shape.fast.to_string()), ("slow".into(), shape.slow.to_string())],
        account: AccountId(0),
    }
}

#[derive(Default)]
struct Book {
    qty: i64,
    entry: f64,
    realized: f64,
}

fn at(half: usize) -> UnixNanos {
    UnixNanos::from_secs(START + half as i64 * 1_800)
}

fn facts(shape: &Shape) -> Facts {
    let list = shape.symbols.iter().map(|s| instrument(s)).collect();
    let usdt = Currency::new("USDT").unwrap();
    Facts {
        run_id: format!("bt-20260101-{:06}", shape.seed),
        from: at(0),
        to: at(shape.hours * 2),
        instruments: Instruments::new(list).unwrap(),
        accounts: vec![AccountFacts { name: "paper".into(), reporting: usdt, start_equity: decimal(100_000.0) }],
        strategies: (1..=shape.symbols.len()).map(|i| strategy(shape, i)).collect(),
        assumptions: vec![
            ("Fills".into(), "market orders at the best opposite price of the next event".into()),
            ("Queue".into(), "behind everything that rested before; trades at the price move it up".into()),
            ("Latency".into(), format!("{} ms to the venue, 5 ms back", if shape.slip > 0.0003 { 250 } else { 25 })),
            ("Fees".into(), format!("taker {} %", shape.fee * 100.0)),
            ("Slippage".into(), format!("{} %", shape.slip * 100.0)),
        ],
        data_quality: vec!["binance:BTC-USDT-PERP: 3 gaps, 47 minutes in all, first at 2022-03-04T11:13:00Z".into()],
    }
}

/// A moving-average cross, long and short, on each symbol; equity every half hour.
pub fn run(shape: &Shape) -> RunLog {
    let usdt = Currency::new("USDT").unwrap();
    let mut log = RunLog { facts: facts(shape), ..RunLog::default() };
    let mut random = Random::new(shape.seed);
    let mut cash = 100_000.0;
    let mut points: Vec<EquityPoint> = Vec::new();
    let mut prices: Vec<f64> = (0..shape.symbols.len()).map(|i| [42_000.0, 2_900.0, 310.0][i % 3]).collect();
    let mut averages: Vec<(f64, f64)> = prices.iter().map(|p| (*p, *p)).collect();
    let mut books: Vec<Book> = prices.iter().map(|_| Book::default()).collect();
    let mut lines: Vec<PriceLine> =
        (0..prices.len()).map(|i| PriceLine { instrument: InstrumentId(i as u32), bars: Vec::new() }).collect();
    let mut plots: Vec<PlotLine> = (0..prices.len())
        .flat_map(|i| ["fast", "slow"].map(|name| (i, name)))
        .map(|(i, name)| PlotLine {
            strategy: StrategyId(i as u16),
            instrument: InstrumentId(i as u32),
            name: Cow::Borrowed(name),
            points: Vec::new(),
        })
        .collect();
    let mut trend = 0.0;
    for half in 0..shape.hours * 2 {
        trend = trend * 0.99 + random.shock() * 0.00004;
        for (i, line) in lines.iter_mut().enumerate() {
            let before = prices[i];
            prices[i] *= (random.shock() * 0.0035 + trend).exp();
            let price = prices[i];
            let grid = |v: f64| Price((v * 100.0).round() as i64);
            if half % 2 == 0 {
                let (high, low) = (price.max(before) * 1.0015, price.min(before) * 0.9985);
                line.bars.push(Bar {
                    interval: Interval::from_secs(3600).unwrap(),
                    open_time: at(half),
                    open: grid(before),
                    high: grid(high),
                    low: grid(low),
                    close: grid(price),
                    volume: Qty(1_000),
                });
            } else if let Some(bar) = line.bars.last_mut() {
                bar.close = grid(price);
                bar.high = bar.high.max(grid(price));
                bar.low = bar.low.min(grid(price));
                let (fast, slow) = &mut averages[i];
                *fast += (price - *fast) * 2.0 / (shape.fast + 1.0);
                *slow += (price - *slow) * 2.0 / (shape.slow + 1.0);
                plots[2 * i].points.push((at(half + 1), *fast));
                plots[2 * i + 1].points.push((at(half + 1), *slow));
                let want = if *fast > *slow { 1 } else { -1 } * (20_000_000.0 / price) as i64;
                if half > 80 && (want > 0) != (books[i].qty > 0) {
                    let place = Place { instrument: i as u32, at: at(half + 1), mid: price };
                    cash += trade(shape, &mut log, &mut books[i], place, want);
                }
            }
        }
        let worth = |low: bool| {
            let open = |(b, p): (&Book, &f64)| b.qty as f64 / 1000.0 * (p * if low { 0.999 } else { 1.0 } - b.entry);
            cash + books.iter().zip(&prices).map(open).sum::<f64>()
        };
        let (close, low) = (worth(false), worth(true).min(worth(false)));
        let open = points.last().map_or(decimal(100_000.0), |p| p.close);
        let (close, low) = (decimal(close), decimal(low));
        let exposure: f64 = books.iter().zip(&prices).map(|(b, p)| b.qty.unsigned_abs() as f64 / 1000.0 * p).sum();
        points.push(EquityPoint {
            at: at(half),
            open,
            high: open.max(close),
            low: open.min(low),
            close,
            fall: Decimal::ZERO,
            fall_ratio: 0.0,
            exposure: Some(decimal(exposure)),
        });
        if half % 16 == 15 {
            for (i, book) in books.iter_mut().enumerate().filter(|(_, b)| b.qty != 0) {
                let amount = -(book.qty as f64) / 1000.0 * prices[i] * 0.00004;
                cash += amount;
                let row = FundingRow {
                    at: at(half),
                    account: AccountId(0),
                    instrument: InstrumentId(i as u32),
                    amount: decimal(amount),
                    currency: usdt,
                };
                log.funding.push(row);
            }
        }
    }
    log.equity = vec![EquityLine {
        account: Some(AccountId(0)),
        currency: usdt,
        bucket: Interval::from_secs(1800).unwrap(),
        points,
    }];
    log.prices = lines;
    log.plots = plots;
    log.count();
    log
}

struct Place {
    instrument: u32,
    at: UnixNanos,
    mid: f64,
}

/// Closes what is held and opens `want` the other way, with one order each. Returns what it brought in cash.
fn trade(shape: &Shape, log: &mut RunLog, book: &mut Book, place: Place, want: i64) -> f64 {
    let Place { at, mid, .. } = place;
    let (account, instrument) = (AccountId(0), InstrumentId(place.instrument));
    let mut cash = 0.0;
    for lots in [-book.qty, want].into_iter().filter(|lots| *lots != 0) {
        let side = if lots > 0 { Side::Buy } else { Side::Sell };
        let px = (mid * (1.0 + shape.slip * side.sign() as f64) * 100.0).round() / 100.0;
        let fee = px * lots.abs() as f64 / 1000.0 * shape.fee;
        let gross = book.qty as f64 / 1000.0 * (px - book.entry);
        cash += gross - fee;
        log.fills.push(FillRow {
            seq: log.fills.len() as u64,
            at,
            account,
            strategy: StrategyId(place.instrument as u16),
            instrument,
            order: None,
            side,
            leg: Leg::Net,
            price: Price((px * 100.0).round() as i64),
            qty: Qty(lots.abs()),
            liquidity: Liquidity::Taker,
            fee: decimal(fee),
            fee_currency: Currency::new("USDT").unwrap(),
            fee_value: Some(decimal(fee)),
            realized: decimal(gross),
            mid_at_send: Some(decimal(mid)),
        });
        book.qty += lots;
        book.entry = if book.qty == 0 { 0.0 } else { px };
        book.realized += gross;
        let (qty, avg_px) = (Qty(book.qty), (book.qty != 0).then(|| decimal(px)));
        log.positions.push(PositionRow {
            at,
            account,
            instrument,
            leg: Leg::Net,
            qty,
            avg_px,
            realized: decimal(book.realized),
        });
    }
    cash
}
