//! The file-system seam: what the journal and the snapshots need of a disk, and the real disk behind it.
//! Never: buffers, retries or hides an error; nothing here is durable before the matching sync has returned.

use crate::crash;
use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A disk. Implementations are [`RealFs`] and, for tests of faults, [`crate::sim_fs::SimFs`].
///
/// What survives a power loss: file contents after [`FsFile::sync_data`], names (created, renamed, removed) after
/// [`Fs::sync_dir`] of the directory that holds them. Everything else may be lost, kept or torn.
pub trait Fs: Send + Sync + Debug {
    /// Creates the directory and its missing parents; no error when it exists.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Opens for appending and overwriting, creating the file when it is missing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>>;
    /// The whole content.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Fills `buf` from `offset` on; returns how many bytes there were (fewer only at the end of the file).
    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize>;
    /// Creates or replaces the file with `bytes`. Neither content nor name is durable.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes the names in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Renames within one directory, replacing `to`. Atomic for readers; durable after [`Fs::sync_dir`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the plain files in `dir`, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Whether a file or directory of this name is there.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Size of a file in bytes.
    fn len(&self, path: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait FsFile: Send + Debug {
    /// Writes all of `bytes` at the end. After an error any prefix of them may have been written; cut the file back
    /// with [`FsFile::set_len`] before going on.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Writes all of `bytes` from `offset` on. After an error any part of them may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes content and length durable. After an error nothing written since the last success may be counted on,
    /// even when a later call succeeds.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file; appends go on from there.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

#[derive(Debug)]
struct RealFile {
    file: File,
    /// Where the next append goes: asking the system each time would cost a call per write.
    end: u64,
}

impl Fs for RealFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let _op = crash::op();
        std::fs::create_dir_all(dir)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        // Not O_APPEND: Linux would send positioned writes to the end as well.
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let end = file.metadata()?.len();
        Ok(Box::new(RealFile { file, end }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = File::open(path)?;
        let mut done = 0;
        while done < buf.len() {
            match file.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(done)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let op = crash::op();
        std::fs::write(path, &bytes[..op.torn(bytes.len()).unwrap_or(bytes.len())])
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let _op = crash::op();
        File::open(if dir.as_os_str().is_empty() { Path::new(".") } else { dir })?.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _op = crash::op();
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let _op = crash::op();
        std::fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }
}

impl FsFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_at(self.end, bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let op = crash::op();
        self.file.write_all_at(&bytes[..op.torn(bytes.len()).unwrap_or(bytes.len())], offset)?;
        drop(op);
        self.end = self.end.max(offset + bytes.len() as u64);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let _op = crash::op();
        self.file.sync_data()
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let _op = crash::op();
        self.file.set_len(len)?;
        self.end = len;
        Ok(())
    }
}

/// The directory that holds `path`; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

/// Creates `dir` so that it survives a power loss: every directory that was made is synced into its parent.
pub fn create_dir_durably(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    let mut made: Vec<&Path> = Vec::new();
    let mut at = Some(dir);
    while let Some(path) = at.filter(|p| !p.as_os_str().is_empty()) {
        if fs.exists(path)? {
            break;
        }
        made.push(path);
        at = path.parent();
    }
    fs.create_dir_all(dir)?;
    for path in made.into_iter().rev() {
        fs.sync_dir(parent(path))?;
    }
    Ok(())
}

/// Puts `bytes` at `path` so that after any crash the file is whole: the old one or the new one. The caller's
/// `path` must be on a file system that renames atomically. Leaves no temporary file behind after an error.
pub fn write_atomic(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomic_with(fs, path, |out| out.write_all(bytes))
}

/// [`write_atomic`] of what `content` writes, a block at a time: the whole is never in memory.
pub fn write_atomic_with(
    fs: &dyn Fs,
    path: &Path,
    content: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    let temp = temp_name(path);
    let write = || {
        fs.write(&temp, &[])?;
        let mut out = io::BufWriter::with_capacity(BLOCK, Appending(fs.open(&temp)?));
        content(&mut out)?;
        out.flush()?;
        out.get_mut().0.sync_data()?;
        fs.rename(&temp, path)
    };
    if let Err(error) = write() {
        // The first error is the one to report; the leftover is harmless and is replaced by the next attempt.
        let _ = fs.remove(&temp);
        return Err(error);
    }
    fs.sync_dir(parent(path))
}

/// Calls `take` with the file's content from byte `at` on, a block at a time.
pub fn read_blocks(fs: &dyn Fs, path: &Path, mut at: u64, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        let n = fs.read_at(path, at, &mut block)?;
        take(&block[..n]);
        at += n as u64;
        if n < BLOCK {
            return Ok(());
        }
    }
}

const BLOCK: usize = 64 << 10;

struct Appending(Box<dyn FsFile>);

impl io::Write for Appending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `name` → `name.tmp` in the same directory.
pub(crate) fn temp_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_files() {
        let dir = tempfile::tempdir().unwrap();
        let fs = RealFs;
        let sub = dir.path().join("a/b");
        create_dir_durably(&fs, &sub).unwrap();
        create_dir_durably(&fs, &sub).unwrap();
        let path = sub.join("f");
        let mut file = fs.open(&path).unwrap();
        file.append(b"hello ").unwrap();
        file.append(b"world").unwrap();
        file.write_at(0, b"J").unwrap();
        file.sync_data().unwrap();
        let mut buf = [0; 64];
        assert_eq!(fs.read_at(&path, 6, &mut buf).unwrap(), 5);
        assert_eq!(&buf[..5], b"world");
        file.set_len(5).unwrap();
        file.append(b"!").unwrap();
        assert_eq!(fs.read(&path).unwrap(), b"Jello!");
        write_atomic(&fs, &path, b"new").unwrap();
        assert_eq!(fs.list(&sub).unwrap(), ["f"]);
        assert_eq!(fs.len(&path).unwrap(), 3);
        fs.remove(&path).unwrap();
        assert!(!fs.exists(&path).unwrap());
    }
}
