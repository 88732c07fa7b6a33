//! The API token: 32 random bytes of the operating system, as hexadecimal text in a file only the owner can read.
//! Never: shows the token in `Debug`, or compares it in time that depends on it.

use super::{HomeError, Result};
use crate::fs::{Fs, RealFs, parent, temp_name};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

const BYTES: usize = 32;

/// The secret that a client of the control API must present.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken(String);

impl ApiToken {
    /// The token's text, 64 hexadecimal digits.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is the token; takes the same time for every text of the right length.
    pub fn matches(&self, presented: &str) -> bool {
        let (a, b) = (self.0.as_bytes(), presented.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(***)")
    }
}

pub(super) fn read_or_make(path: &Path, may_make: bool) -> Result<ApiToken> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound && may_make => return make(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(HomeError::NoToken { path: path.into() }),
        Err(e) => return Err(HomeError::io("open", path, e)),
    };
    let mode = file.metadata().map_err(|e| HomeError::io("look up", path, e))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(HomeError::TokenMode { path: path.into(), mode });
    }
    let mut text = String::new();
    (&mut file).take(1024).read_to_string(&mut text).map_err(|e| HomeError::io("read", path, e))?;
    let text = text.trim_end();
    if text.len() != 2 * BYTES || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(HomeError::Damaged { path: path.into(), why: "not an API token".into() });
    }
    Ok(ApiToken(text.into()))
}

fn make(path: &Path) -> Result<ApiToken> {
    let random = Path::new("/dev/urandom");
    let mut bytes = [0; BYTES];
    File::open(random).and_then(|mut f| f.read_exact(&mut bytes)).map_err(|e| HomeError::io("read", random, e))?;
    let token = ApiToken(crate::hex(&bytes));
    write_private(path, &format!("{}\n", token.0)).map_err(|e| HomeError::io("write", path, e))?;
    Ok(token)
}

/// The mode is there from the file's first moment, and the name only once the content is durable.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let temp = temp_name(path);
    // A leftover of a crash would keep its own mode.
    match RealFs.remove(&temp) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temp)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    RealFs.rename(&temp, path)?;
    RealFs.sync_dir(parent(path))
}
