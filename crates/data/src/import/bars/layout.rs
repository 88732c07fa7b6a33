//! Which column of a generic bar file is what: by its usual names, or as the caller maps it.
//! Never: guesses a column that the caller mapped.

use crate::import::ImportOptions;

/// What a bar is made of. `Time` to `Close` must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Time,
    Open,
    High,
    Low,
    Close,
    Volume,
    QuoteVolume,
    Trades,
    TakerBuyVolume,
    Symbol,
}

pub const FIELDS: usize = 10;

pub const NAMES: [(Field, &str); FIELDS] = [
    (Field::Time, "time"),
    (Field::Open, "open"),
    (Field::High, "high"),
    (Field::Low, "low"),
    (Field::Close, "close"),
    (Field::Volume, "volume"),
    (Field::QuoteVolume, "quote_volume"),
    (Field::Trades, "trades"),
    (Field::TakerBuyVolume, "taker_buy_volume"),
    (Field::Symbol, "symbol"),
];

impl Field {
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// By its own name, as `--map` gives it.
    pub fn by_name(text: &str) -> Option<Field> {
        NAMES.iter().find(|(_, name)| *name == text).map(|(field, _)| *field)
    }

    /// By the header of a file, in any case, with `_`, `-` or a space between words.
    pub fn by_header(header: &str) -> Option<Field> {
        let name: String =
            header.trim().chars().map(|c| if c == ' ' || c == '-' { '_' } else { c.to_ascii_lowercase() }).collect();
        Some(match name.as_str() {
            "timestamp" | "open_time" | "opentime" | "date" | "datetime" | "time" | "ts" | "t" | "unix"
            | "candle_begin_time" => Field::Time,
            "open" | "o" | "open_price" => Field::Open,
            "high" | "h" | "high_price" => Field::High,
            "low" | "l" | "low_price" => Field::Low,
            "close" | "c" | "close_price" => Field::Close,
            "volume" | "v" | "vol" | "base_volume" | "volume_base" => Field::Volume,
            "quote_volume" | "volume_quote" | "quote_asset_volume" | "turnover" => Field::QuoteVolume,
            "trades" | "count" | "number_of_trades" | "trade_count" => Field::Trades,
            "taker_buy_volume" | "taker_buy_base_asset_volume" => Field::TakerBuyVolume,
            "symbol" | "pair" | "ticker" | "instrument" | "market" => Field::Symbol,
            _ => return None,
        })
    }
}

/// In which column each field is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout(pub [Option<usize>; FIELDS]);

impl Layout {
    /// The first column of a name counts. A mapped column counts before all others; an empty map means the usual names.
    pub fn new<'a>(
        headers: impl Iterator<Item = &'a str>,
        options: &ImportOptions,
    ) -> Result<Layout, (String, String)> {
        let headers: Vec<&str> = headers.collect();
        let mut layout = Layout::default();
        for (column, field) in &options.map {
            let words = || NAMES.map(|(_, name)| name).join(", ");
            let field = Field::by_name(field).ok_or_else(|| {
                (format!("--map {column}={field}: no field {field:?}"), format!("fields are {}", words()))
            })?;
            let at = headers.iter().position(|h| h == column).ok_or_else(|| {
                (format!("--map: the file has no column {column:?}"), format!("it has {}", headers.join(", ")))
            })?;
            if layout.0[field as usize].replace(at).is_some_and(|before| before != at) {
                return Err((format!("--map: {} is mapped twice", field.name()), "map each field once".into()));
            }
        }
        for (at, header) in headers.iter().enumerate() {
            if options.map.iter().any(|(column, _)| column == header) {
                continue;
            }
            if let Some(field) = Field::by_header(header) {
                layout.0[field as usize].get_or_insert(at);
            }
        }
        let missing = NAMES[..5].iter().filter(|(f, _)| layout.0[*f as usize].is_none()).map(|(_, name)| *name);
        let missing: Vec<&str> = missing.collect();
        if !missing.is_empty() {
            let why = format!("no column for {} among {}", missing.join(", "), headers.join(", "));
            return Err((why, format!("name it, for example --map NAME={}", missing[0])));
        }
        Ok(layout)
    }

    /// How many fields the headers name, for finding the header.
    pub fn count<'a>(headers: impl Iterator<Item = &'a str>) -> usize {
        headers.filter(|h| Field::by_header(h).is_some()).count()
    }
}
