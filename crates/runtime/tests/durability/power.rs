//! A disk whose power takes the process with it: what the simulated disk reports as power loss ends the run at once.
//! Never: lets code go on after the power went off, as code on a machine without power would not.

use ctos_storage::fs::{Fs, FsFile};
use ctos_storage::sim_fs::SimFs;
use std::io;
use std::panic::resume_unwind;
use std::path::Path;

/// What unwinds when the power goes off.
pub struct PowerOff;

#[derive(Debug)]
pub struct PoweredFs(pub SimFs);

#[derive(Debug)]
struct PoweredFile(Box<dyn FsFile>);

fn alive<T>(result: io::Result<T>) -> io::Result<T> {
    match result {
        // Without the panic hook: this is what the test is about, not a failure of it.
        Err(e) if e.to_string().contains("power") => resume_unwind(Box::new(PowerOff)),
        other => other,
    }
}

impl Fs for PoweredFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        alive(self.0.create_dir_all(dir))
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        Ok(Box::new(PoweredFile(alive(self.0.open(path))?)))
    }
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.read(path)
    }
    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(path, offset, buf)
    }
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        alive(self.0.write(path, bytes))
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        alive(self.0.sync_dir(dir))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        alive(self.0.rename(from, to))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        alive(self.0.remove(path))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }
    fn len(&self, path: &Path) -> io::Result<u64> {
        self.0.len(path)
    }
}

impl FsFile for PoweredFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        alive(self.0.append(bytes))
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        alive(self.0.write_at(offset, bytes))
    }
    fn sync_data(&mut self) -> io::Result<()> {
        alive(self.0.sync_data())
    }
    fn set_len(&mut self, len: u64) -> io::Result<()> {
        alive(self.0.set_len(len))
    }
}
