//! Record batches of an Arrow IPC file, one at a time, each checked before it is decoded: no size that the file claims
//! is believed before it is known to fit.
//! Never: holds more than one batch, or knows what a column means.

use crate::import::ImportError;
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, MessageHeader};
use arrow_schema::SchemaRef;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// In front of the file, and at its end.
pub(in crate::import) const MAGIC: &[u8; 6] = b"ARROW1";
/// Footer length and magic.
const TRAILER: u64 = 10;
const MAX_FOOTER: u64 = 16 << 20;
/// Bytes of one batch on the disk, and of one of its columns unpacked. pandas and pyarrow write 65,536 rows a batch.
const MAX_BATCH: i64 = 256 << 20;
const MAX_COLUMN: i64 = 64 << 20;

pub(super) struct Blocks {
    path: PathBuf,
    file: File,
    /// Of the whole file; batches have the projected columns only.
    pub schema: SchemaRef,
    decoder: Option<FileDecoder>,
    blocks: std::vec::IntoIter<Block>,
    bytes_read: u64,
}

const AGAIN: &str = "the download or copy was cut off: fetch the file again";

impl Blocks {
    /// Reads the footer.
    pub fn open(path: &Path) -> Result<Blocks, ImportError> {
        let io = |e: io::Error| ImportError::io(path, 0, &e);
        let fail = |why: String| ImportError::new(path, 0, why, AGAIN);
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut trailer = [0; TRAILER as usize];
        if length < TRAILER + MAGIC.len() as u64 {
            return Err(fail("not a whole feather file".into()));
        }
        file.seek(SeekFrom::Start(length - TRAILER)).and_then(|_| file.read_exact(&mut trailer)).map_err(io)?;
        let size = read_footer_length(trailer).map_err(|e| fail(format!("not a whole feather file ({e})")))? as u64;
        if size > MAX_FOOTER || size + TRAILER > length {
            return Err(fail("not a whole feather file (its footer is longer than the file)".into()));
        }
        let mut footer = vec![0; size as usize];
        file.seek(SeekFrom::Start(length - TRAILER - size)).and_then(|_| file.read_exact(&mut footer)).map_err(io)?;
        let damaged = |what: String| fail(format!("the feather file's footer is damaged ({what})"));
        let read = || {
            let footer = arrow_ipc::root_as_footer(&footer).map_err(|e| e.to_string())?;
            let schema = footer.schema().ok_or("no schema")?;
            if !schema.endianness().equals_to_target_endianness() {
                return Err("of a machine with another byte order".to_string());
            }
            let schema = Arc::new(arrow_ipc::convert::try_fb_to_schema(schema).map_err(|e| e.to_string())?);
            let blocks: Vec<Block> = footer.recordBatches().into_iter().flatten().copied().collect();
            Ok((schema, footer.version(), blocks))
        };
        let (schema, version, blocks) = guarded(read).map_err(damaged)?;
        for block in &blocks {
            let (start, metadata, body) = (block.offset(), i64::from(block.metaDataLength()), block.bodyLength());
            let end = [start, metadata, body]
                .into_iter()
                .try_fold(0i64, |sum, part| if part < 0 { None } else { sum.checked_add(part) });
            if metadata < 8 || end.is_none_or(|end| end as u64 > length) {
                return Err(fail("a batch of the feather file does not lie within it".into()));
            }
            if metadata + body > MAX_BATCH {
                let why = format!("a batch of {} MiB; 256 are read at once", (metadata + body) >> 20);
                return Err(ImportError::new(path, 0, why, TOO_LARGE));
            }
        }
        let decoder = Some(FileDecoder::new(Arc::clone(&schema), version));
        Ok(Blocks { path: path.into(), file, schema, decoder, blocks: blocks.into_iter(), bytes_read: TRAILER + size })
    }

    /// Reads only these columns from here on.
    pub fn project(&mut self, columns: Vec<usize>) {
        self.decoder = self.decoder.take().map(|decoder| decoder.with_projection(columns));
    }

    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next batch; `place` is the last row before it.
    pub fn next(&mut self, place: u64) -> Result<Option<RecordBatch>, ImportError> {
        let (Some(block), Some(decoder)) = (self.blocks.next(), &self.decoder) else { return Ok(None) };
        let size = (i64::from(block.metaDataLength()) + block.bodyLength()) as usize;
        let mut bytes = vec![0; size];
        let read =
            self.file.seek(SeekFrom::Start(block.offset() as u64)).and_then(|_| self.file.read_exact(&mut bytes));
        read.map_err(|e| ImportError::io(&self.path, place, &e))?;
        self.bytes_read += size as u64;
        let fail = |why: String, hint: &str| ImportError::new(&self.path, place + 1, why, hint);
        let checked = guarded(|| check(&bytes, block.metaDataLength() as usize));
        checked
            .map_err(|why| fail(format!("a batch is damaged ({why})"), AGAIN))?
            .map_err(|why| fail(why, TOO_LARGE))?;
        let buffer = Buffer::from_vec(bytes);
        let read = guarded(|| decoder.read_record_batch(&block, &buffer).map_err(|e| e.to_string()));
        read.map_err(|why| fail(format!("a batch is damaged ({why})"), AGAIN))
    }
}

const TOO_LARGE: &str = "write the file again in smaller batches: df.to_feather(path) of pandas does";

/// The decoder is made for files that are whole; what it asserts on others becomes an error here.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("it contradicts itself".into()))
}

/// Whether buffers lie within the batch. The inner error: what is in there, unpacked, would take too much memory.
fn check(bytes: &[u8], metadata: usize) -> Result<Result<(), String>, String> {
    // A continuation marker, a length, the message.
    let (head, body) = bytes.split_at_checked(metadata).ok_or("too short")?;
    let message = match head {
        [0xff, 0xff, 0xff, 0xff, _, _, _, _, message @ ..] => message,
        [_, _, _, _, message @ ..] => message,
        _ => return Err("too short".into()),
    };
    let message = arrow_ipc::root_as_message(message).map_err(|e| e.to_string())?;
    if message.header_type() != MessageHeader::RecordBatch {
        return Err("no record batch where the footer says one is".into());
    }
    let batch = message.header_as_record_batch().ok_or("no record batch")?;
    let rows = batch.length();
    if !(0..=MAX_COLUMN / 8).contains(&rows) {
        return Ok(Err(format!("a batch of {rows} rows; {} are read at once", MAX_COLUMN / 8)));
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let range = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let bytes = range.and_then(|range| body.get(range)).ok_or("a column lies outside of it")?;
        let packed = batch.compression().is_some() && !bytes.is_empty();
        let unpacked = match bytes.first_chunk::<8>() {
            Some(prefix) if packed => i64::from_le_bytes(*prefix),
            None if packed => return Err("a column has no length".into()),
            _ => 0,
        };
        if unpacked > MAX_COLUMN {
            return Ok(Err(format!("a column of {} MiB; 64 are read at once", unpacked >> 20)));
        }
    }
    Ok(Ok(()))
}
