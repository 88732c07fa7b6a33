//! What a result depends on besides the data: said in words, and made worse for comparison.

use ctos_runtime::config::{LatencySetting, QueueSetting, Settings, StrategySettings, VenueSettings};
use ctos_strategies::Catalog;
use ctos_types::Nanos;

/// Requests of the pessimistic run take at least this long each way.
const SLOW: Nanos = Nanos::from_millis(250);
const TIMES_SLOWER: i64 = 3;
/// On bars, this share of each bar's range is lost by whoever takes, and must be passed for whoever rests. Percent.
const RANGE_PCT: u32 = 10;

/// The same settings where what cannot be known turns out badly: orders wait at the end of their queue and are not
/// filled by a touch, requests are slow. On bars, which do not tell what stood in the book, a market order pays a tick
/// more than twice the slippage and a tenth of the bar's range, a limit order is filled only where prices go beyond it by
/// as much, and everything pays the taker's fee.
pub fn worse(settings: &Settings) -> Settings {
    let mut worse = settings.clone();
    let v = &mut worse.venue;
    v.queue = QueueSetting::Conservative;
    v.bar_touch_fills = false;
    v.bar_slippage_ticks = v.bar_slippage_ticks.saturating_mul(2).saturating_add(1);
    v.bar_slippage_range_pct = v.bar_slippage_range_pct.saturating_mul(2).clamp(RANGE_PCT, 100);
    v.bar_taker_fees = true;
    v.latency.order = slower(v.latency.order);
    v.latency.response = slower(v.latency.response);
    worse
}

fn slower(latency: LatencySetting) -> LatencySetting {
    let times = |span: Nanos| Nanos(span.0.saturating_mul(TIMES_SLOWER).max(SLOW.0));
    match latency {
        LatencySetting::Constant(span) => LatencySetting::Constant(times(span)),
        LatencySetting::Uniform { min, max } => LatencySetting::Uniform { min: times(min), max: times(max) },
        LatencySetting::LogNormal { median, sigma, max } => {
            LatencySetting::LogNormal { median: times(median), sigma, max: times(max) }
        }
    }
}

/// Name and value of each assumption, for people.
pub fn list(settings: &Settings) -> Vec<(String, String)> {
    let v = &settings.venue;
    let queue = match v.queue {
        QueueSetting::Conservative => "conservative: only trades at our price move us forward",
        QueueSetting::Proportional => "proportional: cancels ahead of us count in part",
    };
    let mut all = vec![("Queue".to_string(), queue.to_string())];
    all.extend(on_bars(v));
    all.extend([
        ("Feed latency".into(), v.latency.feed.to_string()),
        ("Order latency".into(), v.latency.order.to_string()),
        ("Response latency".into(), v.latency.response.to_string()),
    ]);
    for a in &settings.accounts {
        let fees = match a.fees {
            Some(f) => format!("maker {}, taker {}", f.maker, f.taker),
            None => "each instrument's own rates".into(),
        };
        all.push((format!("Fees of {}", a.id), fees));
        all.push((format!("Leverage of {}", a.id), a.leverage.to_string()));
    }
    all.push(("Market impact".into(), "what we take is gone until the data shows it again; bars have none".into()));
    all
}

/// How bars fill orders.
pub fn on_bars(v: &VenueSettings) -> [(String, String); 3] {
    let (ticks, share) = (v.bar_slippage_ticks, v.bar_slippage_range_pct);
    let ticks = if ticks == 1 { "1 tick".to_string() } else { format!("{ticks} ticks") };
    let slippage = match share {
        0 => ticks,
        _ => format!("{ticks} and {share} % of the bar's range"),
    };
    let touch = match (v.bar_touch_fills, share) {
        (true, _) => "when a bar touches its price".to_string(),
        (false, 0) => "when a bar trades through its price by a tick".to_string(),
        (false, _) => format!("when a bar trades through its price by {share} % of its range, and a tick at least"),
    };
    let fee = if v.bar_taker_fees { "the taker's" } else { "the maker's" };
    [
        ("Limit order on bars fills".to_string(), touch),
        ("Limit order that rested on bars pays".to_string(), fee.to_string()),
        ("Slippage of market orders on bars".to_string(), slippage),
    ]
}

/// A strategy's parameters, those left at their default included.
pub fn params(catalog: Catalog, s: &StrategySettings) -> Vec<(String, String)> {
    let given = |name: &str| s.params.get(name).cloned();
    let known = catalog.info(&s.name).map_or(&[][..], |info| info.params);
    let mut all: Vec<(String, String)> = known
        .iter()
        .filter_map(|p| Some((p.name.to_string(), given(p.name).or_else(|| p.default.map(str::to_string))?)))
        .collect();
    all.extend(
        s.params
            .iter()
            .filter(|(k, _)| known.iter().all(|p| p.name != k.as_str()))
            .map(|(k, v)| (k.clone(), v.clone())),
    );
    all
}
