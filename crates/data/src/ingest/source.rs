//! Which file an import is of: its bytes, their checksum, and whether it stayed as it was.
//! Never: looks at what the bytes mean.

use super::manifest::SourceFile;
use super::{Progress, Stage};
use crate::error::CatalogError;
use crate::import::ImportOptions;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Size and modification time: whether a file changed under us.
pub type Stamp = (u64, Option<std::time::SystemTime>);

pub fn stamp_of(path: &Path) -> Result<Stamp, CatalogError> {
    let meta = std::fs::metadata(path).map_err(|e| CatalogError::io("read", path, &e))?;
    Ok((meta.len(), meta.modified().ok()))
}

/// Reads the file once.
pub fn digest(path: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(SourceFile, Stamp), CatalogError> {
    let fail = |e: std::io::Error| CatalogError::io("read", path, &e);
    let stamp = stamp_of(path)?;
    let mut file = File::open(path).map_err(fail)?;
    let (mut digest, mut piece, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut piece).map_err(fail)? {
            0 => break,
            n => {
                digest.update(&piece[..n]);
                bytes += n as u64;
                progress(Progress { stage: Stage::Checksum, bytes, total: stamp.0.max(bytes), rows: 0 });
            }
        }
    }
    let sha256 = crate::hex(&digest.finalize());
    Ok((SourceFile { path: path.display().to_string(), bytes, sha256 }, stamp))
}

/// The same bytes with the same options are the same import.
pub fn import_id(file: &SourceFile, options: &ImportOptions) -> String {
    let digest = Sha256::digest(format!("1\n{}\n{}", file.sha256, options.text()));
    crate::hex(&digest[..8])
}
