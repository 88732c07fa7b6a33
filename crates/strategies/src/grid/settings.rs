//! The grid's parameters: their table, and reading them with every inconsistency told before anything trades.

use super::ladder::{Extent, Mode};
use crate::params::{Args, ParamError, ParamKind, ParamSpec, Range};
use crate::sizing::{OrderAmount, check_minimum, order_amount};
use ctos_types::{Decimal, InstrumentId};

pub(crate) const PARAMS: &[ParamSpec] = &[
    ParamSpec {
        name: "symbol",
        kind: ParamKind::Symbol,
        default: None,
        doc: "What to trade. Default: the run's first symbol.",
        range: Range::Any,
    },
    ParamSpec {
        name: "center",
        kind: ParamKind::Price,
        default: None,
        doc: "Middle of the grid. Default: the first mid price.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "spacing",
        kind: ParamKind::Percent,
        default: Some("0.05"),
        doc: "Distance of neighbouring levels around the centre. To earn, it must exceed two maker fees.",
        range: Range::AboveUpTo("0", "50"),
    },
    ParamSpec {
        name: "lower",
        kind: ParamKind::Price,
        default: None,
        doc: "Lowest level; with `upper`, instead of `center` and `spacing`.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "upper",
        kind: ParamKind::Price,
        default: None,
        doc: "Highest level; with `lower`.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "levels",
        kind: ParamKind::Integer,
        default: Some("10"),
        doc: "Levels on each side; the grid has twice as many orders.",
        range: Range::Between("1", "200"),
    },
    ParamSpec {
        name: "order_amount",
        kind: ParamKind::Amount,
        default: None,
        doc: "Worth of one order. Default: 100, or the venue's minimum where that is more.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "mode",
        kind: ParamKind::Choice(&["arithmetic", "geometric"]),
        default: None,
        doc: "Equal distances or equal ratios. Default: arithmetic with `lower` and `upper`, else geometric.",
        range: Range::Any,
    },
    ParamSpec {
        name: "max_inventory",
        kind: ParamKind::Amount,
        default: None,
        doc: "No order that could take the position beyond this worth. Default: two orders for every level of one side.",
        range: Range::Above("0"),
    },
    ParamSpec {
        name: "recenter",
        kind: ParamKind::Integer,
        default: None,
        doc: "Move the grid to the market when that is this many spacings outside; 0: never. Default: 1 when the centre \
              is the market's, else 0.",
        range: Range::Between("0", "1000"),
    },
    ParamSpec {
        name: "sell_owned",
        kind: ParamKind::Flag,
        default: Some("true"),
        doc: "Spot: whether coins the account owns at the start may be sold at the levels above.",
        range: Range::Any,
    },
];

/// Where the user wants the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Between { lower: Decimal, upper: Decimal },
    At(Decimal),
    Market,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub instrument: InstrumentId,
    pub place: Place,
    /// As a fraction of the price.
    pub spacing: Decimal,
    pub levels: usize,
    pub amount: OrderAmount,
    pub mode: Mode,
    /// Quote currency.
    pub max_inventory: Option<Decimal>,
    /// Spacings; 0: never.
    pub recenter: u32,
    pub sell_owned: bool,
}

impl Settings {
    pub fn read(args: &Args<'_>) -> Result<Settings, ParamError> {
        let place = place(args)?;
        let fixed = matches!(place, Place::Between { .. });
        let mode = match args.choice("mode")? {
            Some("arithmetic") => Mode::Arithmetic,
            Some(_) => Mode::Geometric,
            None if fixed => Mode::Arithmetic,
            None => Mode::Geometric,
        };
        let levels = args.integer("levels")? as usize;
        let percent = args.number("spacing")?;
        let spacing =
            percent.mul_ratio(1, 100, ctos_types::Rounding::HalfEven).map_err(|e| args.error("spacing", e))?;
        let amount = order_amount(args, Decimal::from_int(100))?;
        let settings = Settings {
            instrument: args.symbol("symbol")?,
            place,
            spacing,
            levels,
            amount,
            mode,
            max_inventory: args.decimal("max_inventory")?,
            recenter: args.optional_integer("recenter")?.unwrap_or(u32::from(place == Place::Market)),
            sell_owned: args.flag("sell_owned")?,
        };
        check_minimum(args, amount, settings.instrument)?;
        settings.check(args)?;
        Ok(settings)
    }

    fn check(&self, args: &Args<'_>) -> Result<(), ParamError> {
        if let Some(most) = self.max_inventory.filter(|most| *most < self.amount.quote) {
            let why = format_args!("{most} is less than one order of {}", self.amount.quote);
            return Err(args.error("max_inventory", why));
        }
        let instrument = args.instruments.get(self.instrument);
        let (lower, upper) = match self.place {
            Place::Between { lower, upper } => (lower, upper),
            Place::At(center) => (center, center),
            Place::Market => return Ok(()),
        };
        if instrument.price_rounded(upper, ctos_types::Rounding::HalfEven).is_err() {
            return Err(args.error("center", format_args!("{upper} is beyond the prices of {}", instrument.symbol)));
        }
        let steps = Decimal::from_int(2 * self.levels as i64);
        let room = instrument.price_decimal(instrument.tick).mul(steps, ctos_types::Rounding::Up);
        if lower < upper && room.is_ok_and(|room| upper - lower < room) {
            let tick = instrument.price_text(instrument.tick);
            let why =
                format_args!("{steps} steps of at least one tick ({tick}) do not fit between {lower} and {upper}");
            return Err(args.error("levels", why));
        }
        Ok(())
    }

    /// Where the grid lies when the market is at `mid`.
    pub fn extent(&self, mid: Decimal, moved: bool) -> Extent {
        let spacing = self.spacing;
        match self.place {
            Place::Between { lower, upper } if !moved => Extent::Between { lower, upper },
            Place::Between { lower, upper } => {
                // Keeps its width as a share of the price.
                let half = (upper - lower).div(upper + lower, ctos_types::Rounding::HalfEven).unwrap_or(spacing);
                let step = half.mul_ratio(1, self.levels as i64, ctos_types::Rounding::HalfEven).unwrap_or(spacing);
                Extent::Around { center: mid, spacing: step }
            }
            Place::At(center) if !moved => Extent::Around { center, spacing },
            Place::At(_) | Place::Market => Extent::Around { center: mid, spacing },
        }
    }
}

fn place(args: &Args<'_>) -> Result<Place, ParamError> {
    let (lower, upper, center) = (args.decimal("lower")?, args.decimal("upper")?, args.decimal("center")?);
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower >= upper => {
            Err(args.error("lower", format_args!("{lower} is not below upper, which is {upper}")))
        }
        (Some(_), Some(_)) if center.is_some() || args.is_given("spacing") => {
            let name = if center.is_some() { "center" } else { "spacing" };
            Err(args.error(name, "it cannot go together with lower and upper"))
        }
        (Some(lower), Some(upper)) => Ok(Place::Between { lower, upper }),
        (Some(_), None) => Err(args.error("upper", "lower needs an upper beside it")),
        (None, Some(_)) => Err(args.error("lower", "upper needs a lower beside it")),
        (None, None) => Ok(center.map_or(Place::Market, Place::At)),
    }
}
