//! Writes the JSON of replies and frames, with keys in the order the venue sends them.
//! Never: reads JSON, or knows what a field means.

use std::fmt::Write;

/// A JSON object under construction.
#[derive(Clone, Debug)]
pub(crate) struct Obj(String);

impl Obj {
    pub fn new() -> Obj {
        Obj("{".into())
    }

    fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
    }

    /// A text value.
    pub fn str(mut self, key: &str, value: &str) -> Obj {
        self.key(key);
        quote(&mut self.0, value);
        self
    }

    pub fn int(mut self, key: &str, value: i64) -> Obj {
        self.key(key);
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{value}");
        self
    }

    pub fn bool(self, key: &str, value: bool) -> Obj {
        self.raw(key, if value { "true" } else { "false" })
    }

    pub fn null(self, key: &str) -> Obj {
        self.raw(key, "null")
    }

    /// A value that is JSON already.
    pub fn raw(mut self, key: &str, json: &str) -> Obj {
        self.key(key);
        self.0.push_str(json);
        self
    }

    /// `add` when `on`, else unchanged.
    pub fn when(self, on: bool, add: impl FnOnce(Obj) -> Obj) -> Obj {
        if on { add(self) } else { self }
    }

    pub fn done(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A JSON array of values that are JSON already.
pub(crate) fn array<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let mut out = String::from("[");
    for item in items {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(item.as_ref());
    }
    out.push(']');
    out
}

/// `value` as a JSON text.
pub(crate) fn text(value: &str) -> String {
    let mut out = String::new();
    quote(&mut out, value);
    out
}

fn quote(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_is_kept() {
        let o = Obj::new().str("z", "1").int("a", -2).bool("b", true).null("n").raw("l", &array(["1", "2"])).done();
        assert_eq!(o, r#"{"z":"1","a":-2,"b":true,"n":null,"l":[1,2]}"#);
    }

    proptest! {
        #[test]
        fn any_text_survives(value in any::<String>()) {
            let json = Obj::new().str("k", &value).done();
            let back: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back["k"].as_str().unwrap(), value);
        }
    }
}
