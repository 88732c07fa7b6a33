//! What the catalog can fail with: one line what failed, one line what to try.

use crate::import::ImportError;
use std::fmt;
use std::path::Path;

/// Something the user can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError {
    pub message: String,
    /// Without the `hint:` in front.
    pub hint: String,
}

impl CatalogError {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> CatalogError {
        CatalogError { message: message.into(), hint: hint.into() }
    }

    /// The disk or its permissions.
    pub fn io(doing: &str, path: &Path, source: &std::io::Error) -> CatalogError {
        CatalogError::new(
            format!("cannot {doing} {}: {source}", path.display()),
            "check the path, its permissions and the free space of the disk",
        )
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CatalogError {}

impl From<ImportError> for CatalogError {
    fn from(e: ImportError) -> CatalogError {
        CatalogError::new(e.to_string(), e.hint)
    }
}
