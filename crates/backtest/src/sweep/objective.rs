//! What makes one trial better than another.
//! Never: a score from a run that failed or traded less than was asked for.

use super::trial::{Figures, TrialResult};
use serde::{Deserialize, Serialize};

/// The figure that is made as large as possible; a drawdown as small as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    Sharpe,
    Sortino,
    Calmar,
    TotalReturn,
    AnnualReturn,
    ProfitFactor,
    Expectancy,
    WinRate,
    MaxDrawdown,
    Volatility,
}

impl Objective {
    pub const ALL: [(&'static str, Objective); 10] = [
        ("sharpe", Objective::Sharpe),
        ("sortino", Objective::Sortino),
        ("calmar", Objective::Calmar),
        ("total_return", Objective::TotalReturn),
        ("annual_return", Objective::AnnualReturn),
        ("profit_factor", Objective::ProfitFactor),
        ("expectancy", Objective::Expectancy),
        ("win_rate", Objective::WinRate),
        ("max_drawdown", Objective::MaxDrawdown),
        ("volatility", Objective::Volatility),
    ];

    pub fn name(self) -> &'static str {
        Objective::ALL[self as usize].0
    }

    /// Whether a smaller figure is the better one.
    pub fn is_minimised(self) -> bool {
        matches!(self, Objective::MaxDrawdown | Objective::Volatility)
    }

    /// The figure itself.
    pub fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Objective::Sharpe => figures.sharpe,
            Objective::Sortino => figures.sortino,
            Objective::Calmar => figures.calmar,
            Objective::TotalReturn => figures.total_return,
            Objective::AnnualReturn => figures.annual_return,
            Objective::ProfitFactor => figures.profit_factor,
            Objective::Expectancy => figures.expectancy,
            Objective::WinRate => figures.win_rate,
            Objective::MaxDrawdown => figures.max_drawdown,
            Objective::Volatility => figures.volatility,
        }
    }
}

/// How trials are scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scoring {
    pub objective: Objective,
    /// Fewer closed trades give no score: one lucky trade is not a strategy.
    pub min_trades: u64,
}

impl Scoring {
    /// Higher is better; `None` ranks behind everything.
    pub fn score(&self, result: &TrialResult) -> Option<f64> {
        if result.failed.is_some() || result.figures.trades < self.min_trades {
            return None;
        }
        let value = self.objective.of(&result.figures).filter(|v| v.is_finite())?;
        Some(if self.objective.is_minimised() { -value } else { value })
    }

    /// The figure that a score stands for.
    pub fn shown(&self, score: f64) -> f64 {
        // Zero, not minus zero, for people.
        if self.objective.is_minimised() { 0.0 - score } else { score }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_agree() {
        for (name, objective) in Objective::ALL {
            assert_eq!(objective.name(), name);
            assert_eq!(serde_json::to_value(objective).unwrap(), name);
        }
    }

    #[test]
    fn what_counts() {
        let figures =
            Figures { sharpe: Some(2.0), max_drawdown: Some(0.25), calmar: None, trades: 5, ..Figures::default() };
        let run = TrialResult { figures, ..TrialResult::default() };
        let score = |objective, min_trades, run: &TrialResult| Scoring { objective, min_trades }.score(run);
        assert_eq!(score(Objective::Sharpe, 0, &run), Some(2.0));
        assert_eq!(score(Objective::MaxDrawdown, 5, &run), Some(-0.25));
        assert_eq!(Scoring { objective: Objective::MaxDrawdown, min_trades: 0 }.shown(-0.25), 0.25);
        assert_eq!(score(Objective::Calmar, 0, &run), None);
        assert_eq!(score(Objective::Sharpe, 6, &run), None);
        let failed = TrialResult { failed: Some("panicked".into()), ..run };
        assert_eq!(score(Objective::Sharpe, 0, &failed), None);
    }
}
