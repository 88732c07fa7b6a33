//! Reads a YAML file into the raw tree. Scalars stay the text they were written as.
//! Never: follows anchors, aliases or tags, merges documents, or lets a later duplicate key win.

use super::ConfigError;
use super::node::{Node, Origin, Raw, quoted};
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Settings are small; more than this is the wrong file.
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 32;

/// The tree of one document. An empty file is an empty section. `name` is what messages call the file.
pub(crate) fn parse(name: &str, text: &str) -> Result<Node, ConfigError> {
    let mut reader = Reader { name: name.into(), parser: Parser::new_from_str(text) };
    if text.len() > MAX_BYTES {
        return Err(reader.fail(1, "larger than 1 MiB", "is this the right file?"));
    }
    reader.document()
}

struct Reader<'a> {
    name: Arc<str>,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
}

impl<'a> Reader<'a> {
    fn fail(&self, line: usize, what: impl std::fmt::Display, hint: &str) -> ConfigError {
        ConfigError::new(format!("{}:{line}: {what}", self.name), hint)
    }

    fn origin(&self, line: usize) -> Origin {
        Origin::File { name: self.name.clone(), line }
    }

    fn next(&mut self) -> Result<(Event<'a>, usize), ConfigError> {
        match self.parser.next_event() {
            Some(Ok((event, Span { start, .. }))) => Ok((event, start.line())),
            Some(Err(error)) => Err(self.scan_error(&error)),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn scan_error(&self, error: &ScanError) -> ConfigError {
        let hint = "check indentation (spaces, no tabs), colons and quotes on this line and the one before";
        self.fail(error.marker().line(), format!("not valid YAML: {}", error.info()), hint)
    }

    fn document(&mut self) -> Result<Node, ConfigError> {
        let mut root = None;
        loop {
            let (event, line) = self.next()?;
            match event {
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(self.fail(line, "a second document", "keep all settings above the second ---"));
                }
                Event::DocumentStart(_) => {}
                other => root = Some(self.node(other, line, 0)?),
            }
        }
        match root {
            None => Ok(Node::empty_map()),
            Some(Node { value: Raw::Null, .. }) => Ok(Node::empty_map()),
            Some(node @ Node { value: Raw::Map(_), .. }) => Ok(node),
            Some(other) => {
                let hint = "write settings as `key: value` lines";
                Err(ConfigError::new(format!("{}: expected settings, got {}", other.origin, other.what()), hint))
            }
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, ConfigError> {
        if depth > MAX_DEPTH {
            return Err(self.fail(line, "nested too deeply", "settings are at most a few levels deep"));
        }
        let value = match event {
            Event::Scalar(text, style, 0, None) => scalar(&text, style),
            Event::SequenceStart(0, None) => self.list(depth)?,
            Event::MappingStart(0, None) => self.map(depth)?,
            Event::Alias(_) => return Err(self.fail(line, "aliases (*name) are not supported", REPEAT)),
            Event::Scalar(_, _, 0, _) | Event::SequenceStart(0, _) | Event::MappingStart(0, _) => {
                return Err(self.fail(line, "tags (!name) are not supported", "remove the tag; quote text as \"...\""));
            }
            _ => return Err(self.fail(line, "anchors (&name) are not supported", REPEAT)),
        };
        Ok(Node::new(self.origin(line), value))
    }

    fn list(&mut self, depth: usize) -> Result<Raw, ConfigError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Raw::List(items)),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Raw, ConfigError> {
        let mut map: BTreeMap<String, Node> = BTreeMap::new();
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Raw::Map(map));
            }
            let key = match self.node(event, line, depth + 1)?.value {
                Raw::Text(key) => key,
                _ => return Err(self.fail(line, "a key must be plain text", "write settings as `key: value` lines")),
            };
            if let Some(first) = map.get(&key) {
                let what = format!("duplicate key {}, first given at {}", quoted(&key), first.origin);
                return Err(self.fail(line, what, "keep one of the two"));
            }
            let (event, at) = self.next()?;
            let mut node = self.node(event, at, depth + 1)?;
            // A section is found where its key stands, not where its first entry does.
            node.origin = self.origin(line);
            map.insert(key, node);
        }
    }
}

const REPEAT: &str = "write the value out where it is needed";

fn scalar(text: &str, style: ScalarStyle) -> Raw {
    match (style, text) {
        (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Raw::Null,
        _ => Raw::Text(text.into()),
    }
}
