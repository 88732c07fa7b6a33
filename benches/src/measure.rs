//! One result, and the arithmetic of its samples.
//! Never: drops an outlier.

use crate::alone::Alone;
use serde::Serialize;

/// What was measured. The spread is that of the samples; `note` says what one sample is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    pub name: &'static str,
    /// `ns`, `x`, `MB`, or so many a second.
    pub unit: &'static str,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub samples: usize,
    /// Latencies only.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub percentiles: Option<Percentiles>,
    /// What it held in a process of its own, where that was measured and the system says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<PeakMemory>,
    /// Sweeps only: what two processes that share nothing get done in the time of one, in the same rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_speedup: Option<f64>,
    /// The data it was measured on, where there is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How it was measured.
    pub note: String,
    pub machine: String,
}

/// In the unit of the result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
}

/// The most memory a process held.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PeakMemory {
    pub bytes: u64,
    /// What it loaded: market events; of a catalog's books the level changes.
    pub events: u64,
    pub bytes_per_event: f64,
}

/// Measured values in ascending order; at least one.
#[derive(Clone, Debug)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Takes the values in any order. Panics without any: every measurement takes at least one.
    pub fn new(mut values: Vec<f64>) -> Samples {
        assert!(!values.is_empty(), "a measurement takes samples");
        values.sort_by(f64::total_cmp);
        Samples(values)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The value that `share` (0 to 1) of all do not exceed.
    pub fn at(&self, share: f64) -> f64 {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    pub fn min(&self) -> f64 {
        self.0[0]
    }

    pub fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    pub fn percentiles(&self) -> Percentiles {
        Percentiles { p50: self.at(0.5), p99: self.at(0.99), p999: self.at(0.999) }
    }

    /// A result without percentiles and source.
    pub fn measure(&self, name: &'static str, unit: &'static str, machine: &str, note: String) -> Measure {
        Measure {
            name,
            unit,
            median: rounded(self.at(0.5)),
            min: rounded(self.min()),
            max: rounded(self.max()),
            samples: self.len(),
            percentiles: None,
            peak_memory: None,
            machine_speedup: None,
            source: None,
            note,
            machine: machine.into(),
        }
    }
}

/// A tenth is more than any of the clocks can tell; of numbers below ten, ratios above all, a hundredth matters.
fn rounded(value: f64) -> f64 {
    let parts = if value.abs() < 10.0 { 100.0 } else { 10.0 };
    (value * parts).round() / parts
}

impl Measure {
    pub fn with_percentiles(self, p: Percentiles) -> Measure {
        let p = Percentiles { p50: rounded(p.p50), p99: rounded(p.p99), p999: rounded(p.p999) };
        Measure { percentiles: Some(p), ..self }
    }

    /// Nothing where the system does not say.
    pub fn with_peak(self, told: Alone) -> Measure {
        let Alone { bytes: Some(bytes), events } = told else { return self };
        let bytes_per_event = rounded(bytes as f64 / events.max(1) as f64);
        let note = format!("{}; peak memory {:.0} MB with {events} events", self.note, bytes as f64 / 1e6);
        Measure { peak_memory: Some(PeakMemory { bytes, events, bytes_per_event }), note, ..self }
    }

    pub fn on(self, source: impl Into<String>) -> Measure {
        Measure { source: Some(source.into()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank() {
        let s = Samples::new((1..=1000).rev().map(f64::from).collect());
        assert_eq!((s.min(), s.at(0.5), s.at(0.99), s.at(0.999), s.max()), (1.0, 500.0, 990.0, 999.0, 1000.0));
        let one = Samples::new(vec![7.0]);
        assert_eq!((one.at(0.0), one.at(0.5), one.at(1.0)), (7.0, 7.0, 7.0));
    }

    #[test]
    fn shape_of_the_json() {
        let s = Samples::new(vec![1.26, 3.0, 2.0]);
        let rate = serde_json::to_value(s.measure("a", "frames/s", "m", "n".into()).on("s")).unwrap();
        assert_eq!(rate["median"], 2.0);
        assert_eq!((&rate["min"], rounded(12.26)), (&serde_json::json!(1.26), 12.3));
        assert_eq!((&rate["source"], rate.get("p50"), rate.get("peak_memory")), (&serde_json::json!("s"), None, None));
        let time =
            serde_json::to_value(s.measure("a", "ns", "m", "n".into()).with_percentiles(s.percentiles())).unwrap();
        assert_eq!(
            (&time["p50"], &time["p999"], time.get("source")),
            (&serde_json::json!(2.0), &serde_json::json!(3.0), None)
        );
    }
    #[test]
    fn memory_is_told_where_it_is_known() {
        let measure = || Samples::new(vec![1.0]).measure("a", "events/s", "m", "n".into());
        let told = measure().with_peak(Alone { bytes: Some(30_000_000), events: 2_000_000 });
        let value = serde_json::to_value(&told).unwrap();
        assert_eq!(
            value["peak_memory"],
            serde_json::json!({"bytes": 30_000_000, "events": 2_000_000, "bytes_per_event": 15.0})
        );
        assert_eq!(told.note, "n; peak memory 30 MB with 2000000 events");
        assert_eq!(measure().with_peak(Alone { bytes: None, events: 5 }), measure());
    }
}
