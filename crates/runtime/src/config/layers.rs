//! Collects the layers above the defaults into one raw tree.
//! Never: checks keys or values (see `resolve`); reads the process environment by itself.

use super::ConfigError;
use super::node::{Node, Origin, Raw};
use super::yaml;
use std::path::Path;

/// Below these keys an environment variable's part keeps its case: the keys there are currency codes.
const CASE_KEPT: [&str; 2] = ["balances", "interest_per_hour"];

/// What was set, whatever the order of the calls: file below environment below flags.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    file: Option<Node>,
    env: Vec<(Vec<String>, Node)>,
    flags: Vec<(Vec<String>, Node)>,
    /// Strategies named by flags: they take the place of the file's list.
    strategies: Vec<Node>,
}

impl Layers {
    /// Nothing set: the defaults.
    pub fn new() -> Layers {
        Layers::default()
    }

    /// The settings file; `name` is what messages call it.
    pub fn file(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        self.file = Some(yaml::parse(name, text)?);
        Ok(())
    }

    /// Takes the variables that start with `CTOS__` and ignores the rest: `CTOS__RISK__MAX_LEVERAGE=3` sets
    /// `risk.max_leverage`. Parts are folded to lower case, currency codes excepted. An empty value means the default.
    /// Keys (`CTOS__SECRETS__MAIN__API_KEY`) are no settings and are left where they are.
    pub fn env<I: IntoIterator<Item = (String, String)>>(&mut self, vars: I) {
        let ours = |name: &str| name.starts_with("CTOS__") && !crate::secrets::is_key_variable(name);
        let mut found: Vec<(String, String)> = vars.into_iter().filter(|(k, _)| ours(k)).collect();
        found.sort();
        self.env = found
            .iter()
            .map(|(name, text)| (env_path(name), Node::text(Origin::Env(name.as_str().into()), text)))
            .collect();
    }

    /// One flag: `name` as the user typed it (`--speed`), `path` the dotted setting (`accounts.0.leverage`). Later
    /// calls win over earlier ones; empty text means the default.
    pub fn flag(&mut self, name: &str, path: &str, text: &str) {
        let path = path.split('.').map(str::to_owned).collect();
        self.flags.push((path, Node::text(Origin::Flag(name.into()), text)));
    }

    /// `--balance CURRENCY=AMOUNT`: a starting balance of the first account.
    pub fn flag_balance(&mut self, currency: &str, amount: &str) {
        let path = ["accounts", "0", "balances", currency].map(str::to_owned).to_vec();
        self.flags.push((path, Node::text(Origin::Flag("--balance".into()), amount)));
    }

    /// `--strategy KIND`. Strategies named by flags replace the file's list.
    pub fn flag_strategy(&mut self, kind: &str) {
        let origin = Origin::Flag("--strategy".into());
        let mut strategy = Node::new(origin.clone(), Raw::Null);
        // An empty map cannot refuse a key.
        let _ = strategy.set(&["name".into()], Node::text(origin, kind));
        self.strategies.push(strategy);
    }

    /// `--set KEY=VALUE`: a parameter of the strategy named by the last `--strategy`, or of the first one configured
    /// when none was named.
    pub fn flag_param(&mut self, key: &str, text: &str) {
        let leaf = Node::text(Origin::Flag("--set".into()), text);
        match self.strategies.last_mut() {
            Some(strategy) => {
                // `params` is only ever made by this call, as a map.
                let _ = strategy.set(&["params".into(), key.into()], leaf);
            }
            None => {
                let path = ["strategies", "0", "params", key].map(str::to_owned).to_vec();
                self.flags.push((path, leaf));
            }
        }
    }

    /// Everything in one tree, upper layers written over lower ones.
    pub(super) fn merged(&self) -> Result<Node, ConfigError> {
        let mut root = self.file.clone().unwrap_or_else(Node::empty_map);
        for (path, leaf) in &self.env {
            root.set(path, leaf.clone())?;
        }
        if let Some(first) = self.strategies.first() {
            let list = Node::new(first.origin.clone(), Raw::List(self.strategies.clone()));
            root.set(&["strategies".into()], list)?;
        }
        for (path, leaf) in &self.flags {
            root.set(path, leaf.clone())?;
        }
        Ok(root)
    }
}

fn env_path(name: &str) -> Vec<String> {
    let mut path: Vec<String> = Vec::new();
    for part in name["CTOS__".len()..].split("__") {
        let kept = path.last().is_some_and(|p| CASE_KEPT.contains(&p.as_str()));
        path.push(if kept { part.into() } else { part.to_lowercase() });
    }
    path
}

/// The text of a settings file, with an error a person can act on.
pub fn read_file(path: &Path) -> Result<String, ConfigError> {
    let shown = path.display();
    if path.is_dir() {
        return Err(ConfigError::new(format!("config file {shown} is a directory"), "name a YAML file"));
    }
    let bytes = std::fs::read(path).map_err(|error| {
        let hint = "check the path given to --config; configs/ctos.example.yaml is a file to start from";
        ConfigError::new(format!("cannot read config file {shown}: {error}"), hint)
    })?;
    String::from_utf8(bytes)
        .map_err(|_| ConfigError::new(format!("config file {shown} is not UTF-8 text"), "save it as UTF-8"))
}
