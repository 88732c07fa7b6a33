//! The strategies a program knows: the built-in ones, and those of a crate that brings its own.
//! Never: a strategy under two entries. An own one that bears a built-in's name stands in its place.

use crate::params::{Args, ParamError, ParamSpec, suggestion};
use crate::registry;
use ctos_kernel::Strategy;
use ctos_types::{InstrumentId, Instruments};
use std::collections::BTreeMap;

/// What a user needs to know to run a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrategyInfo {
    /// How it is named on the command line and in settings: lower case, words joined by `_`.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    pub params: &'static [ParamSpec],
    /// A command line that runs it.
    pub example: &'static str,
}

impl StrategyInfo {
    /// The parameters that the example sets.
    pub fn example_params(&self) -> BTreeMap<String, String> {
        let pairs = self.example.split("--set ").skip(1).filter_map(|part| part.trim().split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    /// The parameters as a Markdown table.
    pub fn params_table(&self) -> String {
        let mut table = String::from("| parameter | takes | default | meaning |\n|---|---|---|---|\n");
        for p in self.params {
            let range = p.range.to_string();
            let takes = if range.is_empty() { p.kind.to_string() } else { format!("{}, {range}", p.kind) };
            let default = p.default.map_or(String::new(), |d| format!("`{d}`"));
            table += &format!("| `{}` | {takes} | {default} | {} |\n", p.name, p.doc);
        }
        table
    }
}

/// A strategy that can be chosen by its name.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    pub info: StrategyInfo,
    /// Reads its parameters and makes one. Names that `info` does not list have been refused before.
    pub build: fn(&Args<'_>) -> Result<Box<dyn Strategy>, ParamError>,
}

/// Where the strategies of a run come from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Catalog {
    own: &'static [Program],
}

impl Catalog {
    /// The strategies that ctos brings along.
    pub const BUILT_IN: Catalog = Catalog { own: &[] };

    /// The built-in strategies and `own` ones.
    pub const fn with(own: &'static [Program]) -> Catalog {
        Catalog { own }
    }

    fn programs(self) -> impl Iterator<Item = &'static Program> + Clone {
        let hidden = move |p: &&Program| !self.own.iter().any(|own| own.info.name == p.info.name);
        registry::PROGRAMS.iter().filter(hidden).chain(self.own)
    }

    fn find(self, name: &str) -> Result<&'static Program, ParamError> {
        self.programs().find(|p| p.info.name == name).ok_or_else(|| {
            let hint = suggestion(name, "the strategies are", self.programs().map(|p| p.info.name));
            ParamError::new(format!("there is no strategy {name}"), hint)
        })
    }

    /// Every strategy: the built-in ones by name, then the own ones as they are given.
    pub fn list(self) -> impl Iterator<Item = &'static StrategyInfo> + Clone {
        self.programs().map(|p| &p.info)
    }

    /// One strategy's entry. An unknown name is an error that names the nearest and lists all.
    pub fn info(self, name: &str) -> Result<&'static StrategyInfo, ParamError> {
        Ok(&self.find(name)?.info)
    }

    /// Builds a strategy from its parameters as text. Absent ones take their defaults; `default_symbols` are what the
    /// run trades, in its order. Unknown, malformed, out-of-range and inconsistent parameters are errors.
    pub fn build(
        self,
        name: &str,
        params: &BTreeMap<String, String>,
        instruments: &Instruments,
        default_symbols: &[InstrumentId],
    ) -> Result<Box<dyn Strategy>, ParamError> {
        let program = self.find(name)?;
        let info = &program.info;
        (program.build)(&Args::new(info.name, info.params, params, instruments, default_symbols)?)
    }
}
