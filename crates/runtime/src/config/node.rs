//! The raw settings tree: maps, lists and text, each with where it was written.
//! Never: knows what a key means.

use super::ConfigError;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    File {
        name: Arc<str>,
        line: usize,
    },
    /// The environment variable's name.
    Env(Arc<str>),
    /// The flag as the user typed it, for example `--speed`.
    Flag(Arc<str>),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.pad("default"),
            Origin::File { name, line } => f.pad(&format!("{name}:{line}")),
            Origin::Env(name) => f.pad(&format!("environment {name}")),
            Origin::Flag(name) => f.pad(&format!("flag {name}")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub origin: Origin,
    pub value: Raw,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw {
    /// Written without a value: the default applies.
    Null,
    Text(String),
    List(Vec<Node>),
    Map(BTreeMap<String, Node>),
}

impl Node {
    pub fn new(origin: Origin, value: Raw) -> Node {
        Node { origin, value }
    }

    /// Text from outside the file; nothing at all means "as if not set".
    pub fn text(origin: Origin, text: &str) -> Node {
        let value = if text.is_empty() { Raw::Null } else { Raw::Text(text.into()) };
        Node { origin, value }
    }

    pub fn empty_map() -> Node {
        Node { origin: Origin::Default, value: Raw::Map(BTreeMap::new()) }
    }

    /// What kind of thing this is, for messages.
    pub fn what(&self) -> String {
        match &self.value {
            Raw::Null => "nothing".into(),
            Raw::Text(text) => quoted(text),
            Raw::List(_) => "a list".into(),
            Raw::Map(_) => "a section".into(),
        }
    }

    /// Puts `leaf` at `path`, making the sections and lists on the way. A list is addressed by position; the position
    /// after the last one adds to it.
    pub fn set(&mut self, path: &[String], leaf: Node) -> Result<(), ConfigError> {
        self.descend(path, path, leaf)
    }

    fn descend(&mut self, path: &[String], whole: &[String], leaf: Node) -> Result<(), ConfigError> {
        let Some((key, rest)) = path.split_first() else {
            *self = leaf;
            return Ok(());
        };
        let position = key.parse::<usize>().ok();
        if self.value == Raw::Null {
            let value = if position.is_some() { Raw::List(Vec::new()) } else { Raw::Map(BTreeMap::new()) };
            *self = Node::new(leaf.origin.clone(), value);
        }
        let fresh = || Node::new(leaf.origin.clone(), Raw::Null);
        let next = match &mut self.value {
            Raw::Map(map) => map.entry(key.clone()).or_insert_with(fresh),
            Raw::List(list) => {
                let at = position.filter(|at| *at <= list.len()).ok_or_else(|| {
                    ConfigError::new(
                        format!("{}: {}: no item {key:?} in a list of {}", leaf.origin, dotted(whole), list.len()),
                        format!("items count from 0; {} adds one at the end", list.len()),
                    )
                })?;
                if at == list.len() {
                    list.push(fresh());
                }
                &mut list[at]
            }
            Raw::Null | Raw::Text(_) => {
                return Err(ConfigError::new(
                    format!(
                        "{}: cannot set {}: there is {} at {} where a section is needed",
                        leaf.origin,
                        dotted(whole),
                        self.what(),
                        self.origin
                    ),
                    "remove that value, or write a section of keys there",
                ));
            }
        };
        next.descend(rest, whole, leaf)
    }
}

fn dotted(path: &[String]) -> String {
    path.join(".")
}

/// Outside text for a message: in quotes, control characters escaped, cut when long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut: String = text.chars().take(SHOWN).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{:?}{more}", cut)
}
