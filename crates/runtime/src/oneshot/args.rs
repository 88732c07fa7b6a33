//! Arguments of a syscall as they were given, and what they mean.
//! Never: a number through a float, or an argument that nobody reads.

use super::plausible;
use super::syscalls::{SYSCALLS, Syscall, find};
use crate::UserError;
use crate::config::nearest;
use ctos_types::{Decimal, NumberError, UnixNanos};
use std::collections::BTreeMap;
use std::str::FromStr;

/// A syscall with its arguments, each checked for its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args {
    pub syscall: &'static Syscall,
    /// The syscall as it was named: it may have several names.
    called: &'static str,
    given: BTreeMap<&'static str, String>,
}

impl Args {
    /// `given`: `NAME=VALUE`, or bare values for the arguments in their order.
    pub fn parse<'a>(syscall: &str, given: impl IntoIterator<Item = &'a str>) -> Result<Args, UserError> {
        let mut args = Args::of(syscall)?;
        let mut next = 0;
        for text in given {
            let pair =
                text.split_once('=').filter(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            match pair {
                Some((name, value)) => args.set(name, value)?,
                None => {
                    let param = args.syscall.params.iter().skip(next).find(|p| !args.given.contains_key(p.name));
                    let Some(param) = param else {
                        return Err(args.wrong(format!("one value too many: {text:?}")));
                    };
                    next = args.syscall.params.iter().position(|p| p.name == param.name).map_or(next, |n| n + 1);
                    args.set(param.name, text)?;
                }
            }
        }
        args.complete()
    }

    /// From names and values, as the control API has them.
    pub fn named(syscall: &str, given: &BTreeMap<String, String>) -> Result<Args, UserError> {
        let mut args = Args::of(syscall)?;
        for (name, value) in given {
            args.set(name, value)?;
        }
        args.complete()
    }

    /// The arguments by name, for the control API.
    pub fn to_named(&self) -> BTreeMap<String, String> {
        self.given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn of(syscall: &str) -> Result<Args, UserError> {
        let found = find(syscall).ok_or_else(|| {
            let names = SYSCALLS.iter().flat_map(|s| std::iter::once(s.name).chain(s.aliases.iter().copied()));
            // Half a name is nearer to the whole one than any other word is.
            let begun = names.clone().find(|name| syscall.len() > 3 && name.starts_with(syscall));
            let hint = match begun.or_else(|| nearest(syscall, names.clone())) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
            };
            UserError::new(format!("there is no syscall {syscall:?}"), hint)
        })?;
        let called = found.aliases.iter().find(|alias| **alias == syscall).copied().unwrap_or(found.name);
        Ok(Args { syscall: found, called, given: BTreeMap::new() })
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), UserError> {
        let names = || self.syscall.params.iter().map(|p| p.name);
        let Some(known) = names().find(|n| *n == name) else {
            let what = format!("{} takes no argument {name:?}", self.called);
            return Err(match nearest(name, names()) {
                Some(near) => UserError::new(what, format!("did you mean {near}?")),
                None => self.wrong(what),
            });
        };
        if self.given.insert(known, value.trim().to_owned()).is_some() {
            return Err(self.wrong(format!("{name} is given twice")));
        }
        Ok(())
    }

    fn complete(mut self) -> Result<Args, UserError> {
        self.given.retain(|_, value| !value.is_empty());
        if let Some(param) = self.syscall.params.iter().find(|p| p.required && !self.given.contains_key(p.name)) {
            return Err(self.wrong(format!("{} needs {} ({})", self.called, param.name, param.about)));
        }
        plausible::check(&self)?;
        Ok(self)
    }

    /// An error with how the syscall is written.
    pub fn wrong(&self, what: impl Into<String>) -> UserError {
        let mut usage = format!("ctos call {}", self.called);
        for p in self.syscall.params {
            usage += &if p.required { format!(" {}=…", p.name) } else { format!(" [{}=…]", p.name) };
        }
        UserError::new(what, format!("write {usage}"))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.syscall.params.iter().any(|p| p.name == name), "{name} is not in the table");
        self.given.get(name).map(String::as_str)
    }

    /// Of an argument that the table says is required.
    pub fn required(&self, name: &str) -> Result<&str, UserError> {
        self.text(name).ok_or_else(|| self.wrong(format!("{} needs {name}", self.called)))
    }

    /// The value of an argument, or `default`.
    pub fn value<T: FromStr>(&self, name: &str, wanted: &str, default: T) -> Result<T, UserError> {
        Ok(self.opt(name, wanted)?.unwrap_or(default))
    }

    /// The value of an argument, if it was given. `wanted` says what it should be.
    pub fn opt<T: FromStr>(&self, name: &str, wanted: &str) -> Result<Option<T>, UserError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.wrong(format!("{name} is {wanted}, not {text:?}")))
    }

    /// An amount above zero.
    pub fn positive(&self, name: &str) -> Result<Option<Decimal>, UserError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<Decimal>() {
            Ok(value) if value.is_positive() => Ok(Some(value)),
            Ok(_) | Err(NumberError::Malformed(_)) => {
                Err(self.wrong(format!("{name} is an amount above 0, not {text:?}")))
            }
            Err(e) => Err(self.wrong(format!("{name}: {e}"))),
        }
    }

    /// A whole number within these bounds.
    pub fn whole(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, UserError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = text.parse::<u32>().ok().filter(|n| (least..=most).contains(n));
        let wanted = || self.wrong(format!("{name} is a whole number from {least} to {most}, not {text:?}"));
        value.map(Some).ok_or_else(wanted)
    }

    /// A moment: milliseconds since 1970, or a date with or without a time, UTC.
    pub fn time(&self, name: &str) -> Result<Option<UnixNanos>, UserError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bad =
            || self.wrong(format!("{name} is ms since 1970 or a UTC time such as 2026-01-31T00:00:00Z, not {text:?}"));
        if text.bytes().all(|b| b.is_ascii_digit()) {
            let ms: i64 = text.parse().map_err(|_| bad())?;
            return ms.checked_mul(1_000_000).map(|n| Some(UnixNanos(n))).ok_or_else(bad);
        }
        moment(text).map(Some).ok_or_else(bad)
    }

    /// One of a few words, in any case.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, UserError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(format!("{name} is one of {}, not {text:?}", all.join(", ")))
        })
    }

    pub fn truth(&self, name: &str, default: bool) -> Result<bool, UserError> {
        Ok(self.word(name, &[("true", true), ("false", false)])?.unwrap_or(default))
    }
}

/// `2026-01-31`, `2026-01-31T12:30:00Z`, `2026-01-31T12:30:00.123Z`.
pub(super) fn moment(text: &str) -> Option<UnixNanos> {
    let (day, clock) = text.trim_end_matches('Z').split_once(['T', ' ']).unwrap_or((text, "00:00:00"));
    let mut date = day.splitn(3, '-').map(|n| n.parse::<i64>().ok());
    let (y, mo, d) = (date.next()??, date.next()??, date.next()??);
    let mut parts = clock.splitn(3, ':');
    let (h, mi): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let (s, fraction) = parts.next().map_or(("0", ""), |s| s.split_once('.').unwrap_or((s, "")));
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    UnixNanos::from_civil(y, mo, d, h, mi, s.parse().ok()?, nanos)
}
