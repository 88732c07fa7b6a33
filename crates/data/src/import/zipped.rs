//! The one file inside a zip archive, as a stream that is checked against the archive's own checksum.
//! Never: unpacks into memory or onto the disk, or hands out a last byte before length and checksum were right.

use super::ImportError;
use super::text::Counted;
use crc32fast::Hasher;
use flate2::read::DeflateDecoder;
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use zip::{CompressionMethod, ZipArchive};

/// The name of the file inside `path` and its bytes. Bytes read from the disk are added to `taken`.
///
/// # Errors
/// Not a whole zip; encrypted; compressed in a way that archives of market data are not; not exactly one file in it.
pub(super) fn open(path: &Path, taken: &Arc<AtomicU64>) -> Result<(String, Box<dyn Read + Send>), ImportError> {
    let fail = |why: String, hint: &str| ImportError::new(path, 0, why, hint);
    let io = |e: io::Error| ImportError::io(path, 0, &e);
    let file = File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| {
        fail(format!("not a whole zip file ({e})"), "the download was cut off or is no zip: fetch it again")
    })?;
    let index = only_file(path, &archive)?;
    let broken = |e: zip::result::ZipError| fail(format!("the zip file is damaged ({e})"), "fetch the file again");
    let member = archive.by_index_raw(index).map_err(broken)?;
    let name = member.name().map_err(broken)?.into_owned();
    if member.encrypted() {
        return Err(fail(
            format!("{name:?} in the zip is encrypted"),
            "unpack it with its password and import the file that comes out",
        ));
    }
    let method = member.compression();
    let (packed, size, crc) = (member.compressed_size(), member.size(), member.crc32());
    let start = member.data_start().filter(|start| start.checked_add(packed).is_some_and(|end| end <= length));
    let Some(start) = start else {
        return Err(fail(format!("{name:?} does not end within the zip file"), "fetch the file again"));
    };
    drop(member);
    let mut file = archive.into_inner().into_inner();
    file.seek(SeekFrom::Start(start)).map_err(io)?;
    let packed = Counted::new(file, taken).take(packed);
    let check = Check { crc: Hasher::new(), seen: 0, want_size: size, want_crc: crc };
    let stream: Box<dyn Read + Send> = match method {
        CompressionMethod::Stored => Box::new(Checked { inner: packed, check }),
        CompressionMethod::Deflated => Box::new(Checked { inner: DeflateDecoder::new(packed), check }),
        other => {
            return Err(fail(
                format!("{name:?} is compressed as {other}, which is not read here"),
                "unpack the zip and import the file that comes out",
            ));
        }
    };
    Ok((name, stream))
}

/// Folders and what macOS adds do not count.
fn only_file<R: Read + Seek>(path: &Path, archive: &ZipArchive<R>) -> Result<usize, ImportError> {
    let is_file = |name: &str| !name.ends_with('/') && !name.starts_with("__MACOSX/");
    let named = |name: Result<Cow<'_, str>, _>| name.map_or_else(|_| "a name that is no text".into(), Cow::into_owned);
    let mut files = archive.file_names().map(named).enumerate().filter(|(_, name)| is_file(name));
    match (files.next(), files.next()) {
        (Some((index, _)), None) => Ok(index),
        (None, _) => Err(ImportError::new(path, 0, "the zip holds no file", "check that this is the file you meant")),
        (Some((_, one)), Some((_, two))) => Err(ImportError::new(
            path,
            0,
            format!("the zip holds several files ({one}, {two}, ...)"),
            "unpack it and import the files one by one",
        )),
    }
}

struct Check {
    crc: Hasher,
    seen: u64,
    want_size: u64,
    want_crc: u32,
}

struct Checked<R> {
    inner: R,
    check: Check,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let n = self.inner.read(into)?;
        let check = &mut self.check;
        check.seen += n as u64;
        let damaged = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
        if n > 0 {
            check.crc.update(&into[..n]);
            return if check.seen > check.want_size { damaged("longer than the zip says") } else { Ok(n) };
        }
        match check.crc.clone().finalize() == check.want_crc && check.seen == check.want_size {
            true => Ok(0),
            false => damaged("length or checksum is not what the zip says"),
        }
    }
}
