//! New files under their final names, durably.
//! Never: a name whose bytes could still be lost.

use crate::error::CatalogError;
use crate::layout::Catalog;
use ctos_storage::fs::{Fs, RealFs};
use std::fs::File;
use std::path::{Path, PathBuf};

/// Everything is on the disk before the first name changes; each name changes at once.
pub fn put_in_place(catalog: &Catalog, moves: &[(PathBuf, PathBuf)]) -> Result<(), CatalogError> {
    sync(catalog, moves.iter().map(|(from, _)| from.as_path()).collect())?;
    let mut dirs = std::collections::BTreeSet::new();
    for (from, to) in moves {
        let dir = to.parent().unwrap_or(Path::new("."));
        RealFs.create_dir_all(dir).map_err(|e| CatalogError::io("create", dir, &e))?;
        RealFs.rename(from, to).map_err(|e| CatalogError::io("rename into", to, &e))?;
        // New directories are names in the one above.
        dirs.extend(dir.ancestors().take(5).filter(|d| d.starts_with(catalog.dir())));
    }
    sync(catalog, dirs.into_iter().collect())
}

/// More files than this are synced by one call for the whole disk, where the system has it.
const SYNC_ALL: usize = 100;

fn sync(catalog: &Catalog, files: Vec<&Path>) -> Result<(), CatalogError> {
    #[cfg(target_os = "linux")]
    if files.len() > SYNC_ALL {
        let fail = |e: std::io::Error| CatalogError::io("sync", catalog.dir(), &e);
        let dir = File::open(catalog.dir()).map_err(fail)?;
        return rustix::fs::syncfs(&dir).map_err(|e| fail(e.into()));
    }
    for file in files {
        let synced = File::open(file).and_then(|f| f.sync_all());
        synced.map_err(|e| CatalogError::io("sync", file, &e))?;
    }
    Ok(())
}
