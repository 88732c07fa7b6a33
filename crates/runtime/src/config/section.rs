//! Reads one section of the raw tree: known keys only, each value checked, each result noted for `explain`.
//! Never: decides what a key means (see `resolve`).

use super::node::{Node, Origin, Raw, quoted};
use super::values::{Expected, Show};
use super::{ConfigError, keys};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One resolved setting for `ctos config show --resolved`: its path, its value as text, where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    pub path: String,
    pub value: String,
    pub origin: Origin,
}

pub(super) type Trace = RefCell<Vec<Explained>>;

/// Notes a resolved value. Order is the order of reading, which is fixed.
pub(super) fn note(trace: &Trace, path: &str, value: String, origin: &Origin) {
    trace.borrow_mut().push(Explained { path: path.into(), value, origin: origin.clone() });
}

pub(super) struct Section<'a> {
    path: String,
    keys: &'static [&'static str],
    map: Option<&'a BTreeMap<String, Node>>,
    trace: &'a Trace,
    /// An override section notes only what it changes.
    inherits: bool,
}

/// Whether `node` says anything at all.
fn given(node: &&Node) -> bool {
    node.value != Raw::Null
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.into() } else { format!("{path}.{key}") }
}

/// The entries of a section node; nothing for an absent one.
fn map_of<'a>(path: &str, node: Option<&'a Node>) -> Result<Option<&'a BTreeMap<String, Node>>, ConfigError> {
    match node.filter(given) {
        None => Ok(None),
        Some(Node { value: Raw::Map(map), .. }) => Ok(Some(map)),
        Some(other) => Err(ConfigError::new(
            format!("{}: {path}: expected a section of keys, got {}", other.origin, other.what()),
            format!("write {path}: and its keys indented below it"),
        )),
    }
}

impl<'a> Section<'a> {
    /// Fails on the first unknown key, in order of the text's position.
    pub fn open(
        path: String,
        keys: &'static [&'static str],
        node: Option<&'a Node>,
        trace: &'a Trace,
    ) -> Result<Section<'a>, ConfigError> {
        let map = map_of(&path, node)?;
        let unknown = map.into_iter().flatten().filter(|(key, _)| !keys.contains(&key.as_str()));
        let line = |node: &Node| match node.origin {
            Origin::File { line, .. } => line,
            _ => usize::MAX,
        };
        if let Some((key, node)) = unknown.min_by_key(|(_, node)| line(node)) {
            let message = format!("{}: unknown key {}", node.origin, quoted(&join(&path, key)));
            return Err(ConfigError::new(message, keys::hint(keys, key)));
        }
        Ok(Section { path, keys, map, trace, inherits: false })
    }

    /// For a section whose absent keys come from another one.
    pub fn inheriting(mut self) -> Section<'a> {
        self.inherits = true;
        self
    }

    pub fn path(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// What was given for `key`, if anything.
    pub fn node(&self, key: &str) -> Option<&'a Node> {
        debug_assert!(self.keys.contains(&key), "{key} is missing in the key table of {}", self.path);
        self.map?.get(key).filter(given)
    }

    pub fn section(&self, key: &str, keys: &'static [&'static str]) -> Result<Section<'a>, ConfigError> {
        Section::open(self.path(key), keys, self.node(key), self.trace)
    }

    /// The value of `key`, or `default`.
    pub fn read<T: Show>(
        &self,
        key: &str,
        default: T,
        parse: impl Fn(&str) -> Result<T, Expected>,
    ) -> Result<T, ConfigError> {
        let Some(node) = self.node(key) else {
            if !self.inherits {
                note(self.trace, &self.path(key), default.show(), &Origin::Default);
            }
            return Ok(default);
        };
        let value = value(&self.path(key), node, parse)?;
        note(self.trace, &self.path(key), value.show(), &node.origin);
        Ok(value)
    }

    /// The value of `key`, if it was given.
    pub fn read_opt<T: Show>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, Expected>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(node) = self.node(key) else {
            note(self.trace, &self.path(key), "unset".into(), &Origin::Default);
            return Ok(None);
        };
        let value = value(&self.path(key), node, parse)?;
        note(self.trace, &self.path(key), value.show(), &node.origin);
        Ok(Some(value))
    }

    /// The entries of a section whose keys are names: currency codes, parameters, ids.
    pub fn entries(&self, key: &str) -> Result<Vec<(&'a str, &'a Node)>, ConfigError> {
        let map = map_of(&self.path(key), self.node(key))?;
        Ok(map.into_iter().flatten().map(|(k, n)| (k.as_str(), n)).collect())
    }

    /// The items of a list, `None` when it was not given.
    pub fn list(&self, key: &str) -> Result<Option<&'a [Node]>, ConfigError> {
        match self.node(key) {
            None => Ok(None),
            Some(Node { value: Raw::List(items), .. }) => Ok(Some(items)),
            Some(other) => Err(ConfigError::new(
                format!("{}: {}: expected a list, got {}", other.origin, self.path(key), other.what()),
                format!("write {}: and one `- ` line for each item below it", self.path(key)),
            )),
        }
    }

    /// A list of texts: YAML items, or one text with commas. `None` when it was not given.
    pub fn texts(&self, key: &str) -> Result<Option<(Vec<String>, Origin)>, ConfigError> {
        let Some(node) = self.node(key) else { return Ok(None) };
        let items = match &node.value {
            Raw::Text(text) => text.split(',').map(|t| t.trim().to_owned()).collect(),
            _ => {
                let items = self.list(key)?.unwrap_or_default();
                items.iter().map(|n| text(&self.path(key), n).map(str::to_owned)).collect::<Result<_, _>>()?
            }
        };
        Ok(Some((items, node.origin.clone())))
    }

    pub fn trace(&self) -> &'a Trace {
        self.trace
    }
}

/// The text of a node that must be a single value.
pub(super) fn text<'a>(path: &str, node: &'a Node) -> Result<&'a str, ConfigError> {
    match &node.value {
        Raw::Text(text) => Ok(text),
        _ => Err(ConfigError::new(
            format!("{}: {path}: expected a single value, got {}", node.origin, node.what()),
            format!("write {path}: VALUE"),
        )),
    }
}

/// The parsed value of a node, with a message that says what was expected, what came, and where.
pub(super) fn value<T>(path: &str, node: &Node, parse: impl Fn(&str) -> Result<T, Expected>) -> Result<T, ConfigError> {
    let Raw::Text(text) = &node.value else {
        // Let the parser say what it wants; no value of ours is empty text.
        let wanted = parse("").err().map_or("a single value".into(), |e| e.what);
        let message = format!("{}: {path}: expected {wanted}, got {}", node.origin, node.what());
        return Err(ConfigError::new(message, format!("write {path}: VALUE")));
    };
    parse(text).map_err(|e| {
        ConfigError::new(
            format!("{}: {path}: expected {}, got {}", node.origin, e.what, quoted(text)),
            format!("write for example {}", e.example),
        )
    })
}
