//! What a result depends on besides the data: said in words, and made worse for comparison.

use ctos_runtime::config::{LatencySetting, QueueSetting, Settings, StrategySettings};
use ctos_strategies::Catalog;
use ctos_types::Nanos;

/// Requests of the pessimistic run take at least this long each way.
const SLOW: Nanos = Nanos::from_millis(250);
const TIMES_SLOWER: i64 = 3;

/// The same settings where what cannot be known turns out badly: orders wait at the end of their queue and are not
/// filled by a touch, requests are slow, and a market order on bars pays one tick more than twice the slippage.
pub fn worse(settings: &Settings) -> Settings {
    let mut worse = settings.clone();
    let v = &mut worse.venue;
    v.queue = QueueSetting::Conservative;
    v.bar_touch_fills = false;
    v.bar_slippage_ticks = v.bar_slippage_ticks.saturating_mul(2).saturating_add(1);
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
    let touch = if v.bar_touch_fills { "when a bar touches its price" } else { "when a bar trades through its price" };
    let mut all = vec![
        ("Queue".to_string(), queue.to_string()),
        ("Limit order on bars fills".into(), touch.into()),
        ("Slippage of market orders on bars".into(), format!("{} ticks", v.bar_slippage_ticks)),
        ("Feed latency".into(), v.latency.feed.to_string()),
        ("Order latency".into(), v.latency.order.to_string()),
        ("Response latency".into(), v.latency.response.to_string()),
    ];
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
