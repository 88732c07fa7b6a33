//! A disk in memory that loses power and fails on command, repeatably from a seed. For tests of any crate.
//! Never: touches a real file, or is kinder than a disk: what was not synced may be lost, kept or torn page by page.

mod inode;
#[cfg(test)]
mod tests;

use crate::fs::{Fs, FsFile};
use inode::Inode;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// Unit in which unsynced content is lost, kept or torn. Smaller than a real page, so that small files tear too.
pub const PAGE: usize = 512;

/// Shared handle of one simulated disk: clones see the same files.
#[derive(Clone, Debug)]
pub struct SimFs(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    rng: Xoshiro256PlusPlus,
    files: BTreeMap<u64, Inode>,
    next_inode: u64,
    names: Names,
    durable_names: Names,
    /// Changes of names not yet made durable, oldest first.
    pending: Vec<NameChange>,
    faults: Faults,
    /// Counts crashes: handles opened before the last one are dead.
    boot: u64,
}

type Names = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Debug)]
enum NameChange {
    Put(PathBuf, Node),
    Remove(PathBuf),
    Rename { from: PathBuf, to: PathBuf, node: Node },
}

#[derive(Debug, Default)]
struct Faults {
    capacity: Option<u64>,
    read_only: bool,
    fail_write_in: Option<u64>,
    fail_sync_in: Option<u64>,
    power_off_in: Option<u64>,
    writes: u64,
    syncs: u64,
}

fn eio(what: &str) -> io::Error {
    io::Error::other(format!("simulated EIO: {what}"))
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} not found", path.display()))
}

impl SimFs {
    /// An empty disk. The seed decides what each crash loses.
    pub fn new(seed: u64) -> SimFs {
        SimFs(Arc::new(Mutex::new(Disk {
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
            files: BTreeMap::new(),
            next_inode: 0,
            names: Names::new(),
            durable_names: Names::new(),
            pending: Vec::new(),
            faults: Faults::default(),
            boot: 0,
        })))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Power loss and restart: unsynced content and names are lost, kept or torn, open files are dead, faults are
    /// cleared except read-only and capacity.
    pub fn crash(&self) {
        self.disk().crash();
    }

    /// Room for file contents in bytes; a write beyond it lands in part and fails with `StorageFull`.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk().faults.capacity = bytes;
    }

    /// Bytes that files hold now.
    pub fn used(&self) -> u64 {
        self.disk().used()
    }

    /// Every change fails with `ReadOnlyFilesystem`.
    pub fn set_read_only(&self, yes: bool) {
        self.disk().faults.read_only = yes;
    }

    /// The `n`-th content write from now (1: the next) lands in part and fails with EIO.
    pub fn fail_write(&self, n: u64) {
        self.disk().faults.fail_write_in = Some(n);
    }

    /// The `n`-th content sync from now (1: the next) fails with EIO and loses the dirty pages: reads still see them,
    /// the disk never gets them, and the next sync succeeds. Linux behaves so.
    pub fn fail_sync(&self, n: u64) {
        self.disk().faults.fail_sync_in = Some(n);
    }

    /// Power goes off during the `n`-th change from now: a write lands in part, everything after fails until
    /// [`SimFs::crash`] restarts the disk.
    pub fn power_off_in(&self, n: u64) {
        self.disk().faults.power_off_in = Some(n);
    }

    /// Content writes and content syncs so far.
    pub fn counts(&self) -> (u64, u64) {
        let disk = self.disk();
        (disk.faults.writes, disk.faults.syncs)
    }

    /// Flips bits of one durable byte, as a rotting disk would.
    pub fn corrupt(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        let mut disk = self.disk();
        let inode = disk.inode_of(path)?;
        let at = usize::try_from(offset).map_err(|_| not_found(path))?;
        inode.corrupt(at, mask);
        Ok(())
    }
}

impl Disk {
    fn used(&self) -> u64 {
        let files = self.names.values().filter_map(|n| match n {
            Node::File(id) => self.files.get(id),
            Node::Dir => None,
        });
        files.map(|f| f.cached.len() as u64).sum()
    }

    fn inode_of(&mut self, path: &Path) -> io::Result<&mut Inode> {
        match self.names.get(path) {
            Some(Node::File(id)) => self.files.get_mut(id).ok_or_else(|| not_found(path)),
            Some(Node::Dir) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(not_found(path)),
        }
    }

    /// Called before each change. `Ok(true)`: power goes off in the middle of this very change.
    fn before_change(&mut self) -> io::Result<bool> {
        let mut off_now = false;
        if let Some(n) = self.faults.power_off_in {
            if n == 0 {
                return Err(eio("power is off"));
            }
            self.faults.power_off_in = Some(n - 1);
            off_now = n == 1;
        }
        if self.faults.read_only {
            return Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
        }
        Ok(off_now)
    }

    fn require_parent(&self, path: &Path) -> io::Result<()> {
        let dir = crate::fs::parent(path);
        let root = dir == Path::new(".") || dir == Path::new("/");
        if root || self.names.get(dir) == Some(&Node::Dir) { Ok(()) } else { Err(not_found(dir)) }
    }

    fn create_file(&mut self, path: &Path) -> io::Result<u64> {
        self.require_parent(path)?;
        match self.names.get(path) {
            Some(Node::File(id)) => return Ok(*id),
            Some(Node::Dir) => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => {}
        }
        if self.before_change()? {
            return Err(eio("power went off"));
        }
        let id = self.next_inode;
        self.next_inode += 1;
        self.files.insert(id, Inode::default());
        self.change(NameChange::Put(path.into(), Node::File(id)));
        Ok(id)
    }

    fn change(&mut self, change: NameChange) {
        apply(&mut self.names, &change);
        self.pending.push(change);
    }

    fn write_at(&mut self, id: u64, offset: usize, bytes: &[u8]) -> io::Result<()> {
        let off_now = self.before_change()?;
        self.faults.writes += 1;
        let failing = count_down(&mut self.faults.fail_write_in);
        let part = if off_now || failing { self.pick(bytes.len() + 1) } else { bytes.len() };
        let end = self.files.get(&id).map_or(0, |f| f.cached.len());
        let grows = (offset + part).saturating_sub(end) as u64;
        let room = self.faults.capacity.map_or(u64::MAX, |c| c.saturating_sub(self.used()));
        let fits = if grows > room { part - (grows - room) as usize } else { part };
        let inode = self.files.get_mut(&id).ok_or_else(|| eio("no such inode"))?;
        inode.put(offset, &bytes[..fits]);
        match () {
            () if off_now => Err(eio("power went off during a write")),
            () if failing => Err(eio("write")),
            () if fits < part => Err(io::Error::from(io::ErrorKind::StorageFull)),
            () => Ok(()),
        }
    }

    fn sync(&mut self, id: u64) -> io::Result<()> {
        let off_now = self.before_change()?;
        self.faults.syncs += 1;
        let failing = count_down(&mut self.faults.fail_sync_in);
        let inode = self.files.get_mut(&id).ok_or_else(|| eio("no such inode"))?;
        if failing {
            inode.fail_sync();
            return Err(eio("fsync"));
        }
        if off_now {
            return Err(eio("power went off during a sync"));
        }
        inode.sync();
        Ok(())
    }

    fn pick(&mut self, below: usize) -> usize {
        (self.rng.next_u64() % below.max(1) as u64) as usize
    }

    fn crash(&mut self) {
        self.boot += 1;
        let faults = &self.faults;
        self.faults = Faults {
            capacity: faults.capacity,
            read_only: faults.read_only,
            writes: faults.writes,
            syncs: faults.syncs,
            ..Faults::default()
        };
        // Journaling file systems order names: some prefix of the unsynced changes survives.
        let keep = self.pick(self.pending.len() + 1);
        for change in self.pending.drain(..).take(keep) {
            apply(&mut self.durable_names, &change);
        }
        let alive: Names = self.durable_names.clone();
        let mut names: Names = Names::new();
        for (path, node) in &alive {
            // A file whose directory did not survive is unreachable.
            let dir = crate::fs::parent(path);
            if dir == Path::new("/") || dir == Path::new(".") || names.get(dir) == Some(&Node::Dir) {
                names.insert(path.clone(), *node);
            }
        }
        self.durable_names = names.clone();
        self.names = names;
        let Disk { files, rng, names, .. } = self;
        let reachable: BTreeSet<u64> =
            names.values().filter_map(|n| if let Node::File(i) = n { Some(*i) } else { None }).collect();
        files.retain(|id, _| reachable.contains(id));
        files.values_mut().for_each(|f| f.crash(rng));
    }
}

fn count_down(counter: &mut Option<u64>) -> bool {
    match counter {
        Some(n) if *n <= 1 => {
            *counter = None;
            true
        }
        Some(n) => {
            *n -= 1;
            false
        }
        None => false,
    }
}

fn apply(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Put(path, node) => {
            names.insert(path.clone(), *node);
        }
        NameChange::Remove(path) => {
            names.remove(path);
        }
        NameChange::Rename { from, to, node } => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}

#[derive(Debug)]
struct SimFile {
    fs: SimFs,
    id: u64,
    boot: u64,
}

impl SimFile {
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.fs.disk();
        if disk.boot == self.boot { Ok(disk) } else { Err(eio("file was open when power went off")) }
    }
}

impl FsFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk()?;
        let end = disk.files.get(&self.id).map_or(0, |f| f.cached.len());
        disk.write_at(self.id, end, bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| eio("offset"))?;
        self.disk()?.write_at(self.id, offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.disk()?.sync(self.id)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let mut disk = self.disk()?;
        if disk.before_change()? {
            return Err(eio("power went off"));
        }
        let len = usize::try_from(len).map_err(|_| eio("length"))?;
        disk.files.get_mut(&self.id).ok_or_else(|| eio("no such inode"))?.set_len(len);
        Ok(())
    }
}

impl Fs for SimFs {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let mut missing: Vec<PathBuf> = Vec::new();
        for path in dir.ancestors().filter(|p| !p.as_os_str().is_empty() && *p != Path::new("/")) {
            match disk.names.get(path) {
                Some(Node::Dir) => break,
                Some(Node::File(_)) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
                None => missing.push(path.into()),
            }
        }
        for path in missing.into_iter().rev() {
            if disk.before_change()? {
                return Err(eio("power went off"));
            }
            disk.change(NameChange::Put(path, Node::Dir));
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let mut disk = self.disk();
        let id = disk.create_file(path)?;
        let boot = disk.boot;
        drop(disk);
        Ok(Box::new(SimFile { fs: self.clone(), id, boot }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(self.disk().inode_of(path)?.cached.clone())
    }

    fn read_at(&self, path: &Path, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut disk = self.disk();
        let bytes = &disk.inode_of(path)?.cached;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let n = buf.len().min(bytes.len() - from);
        buf[..n].copy_from_slice(&bytes[from..from + n]);
        Ok(n)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk();
        let id = disk.create_file(path)?;
        if let Some(inode) = disk.files.get_mut(&id) {
            inode.set_len(0);
        }
        disk.write_at(id, 0, bytes)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if disk.before_change()? {
            return Err(eio("power went off during a sync"));
        }
        let Disk { pending, durable_names, .. } = &mut *disk;
        // Names of other directories stay at risk: only `dir` was synced.
        pending.retain(|change| {
            let path = match change {
                NameChange::Put(p, _) | NameChange::Remove(p) | NameChange::Rename { to: p, .. } => p,
            };
            let here = crate::fs::parent(path) == dir;
            if here {
                apply(durable_names, change);
            }
            !here
        });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        if crate::fs::parent(from) != crate::fs::parent(to) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "rename across directories"));
        }
        let node = *disk.names.get(from).ok_or_else(|| not_found(from))?;
        if disk.before_change()? {
            return Err(eio("power went off"));
        }
        disk.change(NameChange::Rename { from: from.into(), to: to.into(), node });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.inode_of(path)?;
        if disk.before_change()? {
            return Err(eio("power went off"));
        }
        disk.change(NameChange::Remove(path.into()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        if disk.names.get(dir) != Some(&Node::Dir) {
            return Err(not_found(dir));
        }
        let files = disk.names.iter().filter(|(p, n)| matches!(n, Node::File(_)) && p.parent() == Some(dir));
        Ok(files.filter_map(|(p, _)| p.file_name()?.to_str().map(String::from)).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.disk().names.contains_key(path))
    }

    fn len(&self, path: &Path) -> io::Result<u64> {
        Ok(self.disk().inode_of(path)?.cached.len() as u64)
    }
}
