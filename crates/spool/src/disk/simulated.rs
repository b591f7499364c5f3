//! A simulated disk that fails at the n-th call, has no free space, or loses its power.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::{CallOutcome, DiskCall};

const SECTOR_BYTES: usize = 512;

thread_local! {
    static DISK: RefCell<Option<Arc<SimulatedDisk>>> = const { RefCell::new(None) };
}

/// The disk of this thread and of the threads that it starts, until the thread ends or another disk is installed.
#[derive(Debug, Default)]
pub(crate) struct SimulatedDisk {
    state: Mutex<DiskState>,
}

#[derive(Debug, Default)]
struct DiskState {
    calls: u32,
    failing: Option<u32>,
    allocations: u32,
    full_from: Option<u32>,
    read_only: bool,
    dead: bool,
    unsynced: Option<UnsyncedChanges>,
}

/// Pairs of an offset and the bytes written there.
type Writes = Vec<(u64, Vec<u8>)>;

/// The changes that a power cut may undo.
#[derive(Debug, Default)]
struct UnsyncedChanges {
    /// By inode: the file's synced content, and the writes since then.
    files: HashMap<u64, (Vec<u8>, Writes)>,
    names: Vec<NameChange>,
}

#[derive(Debug)]
enum NameChange {
    Created(PathBuf),
    Renamed { from: PathBuf, to: PathBuf },
    Removed(PathBuf, Vec<u8>),
}

impl SimulatedDisk {
    /// Installs a disk without faults in this thread.
    pub(crate) fn install() -> Arc<Self> {
        let disk = Arc::new(Self::default());
        DISK.set(Some(Arc::clone(&disk)));
        disk
    }

    /// Makes the `n`-th call from now on fail once (0 is the next call).
    pub(crate) fn fail(&self, n: u32) {
        let mut state = self.state.lock().unwrap();
        state.failing = Some(state.calls + n);
    }

    /// Returns whether that call has failed.
    pub(crate) fn failed(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.failing.is_some_and(|n| n < state.calls)
    }

    /// Makes every allocation fail from the `n`-th on (0 is the next one).
    pub(crate) fn fill(&self, n: u32) {
        let mut state = self.state.lock().unwrap();
        state.full_from = Some(state.allocations + n);
    }

    /// Returns whether an allocation has failed for lack of space.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.full_from.is_some_and(|n| n < state.allocations)
    }

    /// Ends [`Self::fill`]: allocations succeed again.
    pub(crate) fn free_space(&self) {
        self.state.lock().unwrap().full_from = None;
    }

    /// Makes every call fail as on a read-only file system.
    pub(crate) fn make_read_only(&self) {
        self.state.lock().unwrap().read_only = true;
    }

    /// Allows a power cut to undo all later changes that are not synced.
    pub(crate) fn make_volatile(&self) {
        self.state.lock().unwrap().unsynced = Some(UnsyncedChanges::default());
    }

    /// Cuts the power: every call fails until [`SimulatedDisk::restart`].
    pub(crate) fn cut(&self) {
        self.state.lock().unwrap().dead = true;
    }

    /// Restores the power. Each unsynced change to the files of `dir` survives or not at random; `random(n)` returns a
    /// number below `n`.
    pub(crate) fn restart(&self, dir: &Path, mut random: impl FnMut(usize) -> usize) {
        let mut state = self.state.lock().unwrap();
        state.dead = false;
        let Some(UnsyncedChanges { files, names }) = state.unsynced.take() else { return };
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if let Some((durable, writes)) = files.get(&fs::metadata(&path).unwrap().ino()) {
                let image = surviving_bytes(durable, writes, &mut random);
                fs::write(&path, image).unwrap();
            }
        }
        let surviving = random(names.len() + 1);
        for name in names.into_iter().skip(surviving).rev() {
            match name {
                NameChange::Created(path) => fs::remove_file(path).unwrap(),
                NameChange::Renamed { from, to } => fs::rename(to, from).unwrap(),
                NameChange::Removed(path, content) => fs::write(path, content).unwrap(),
            }
        }
        state.unsynced = Some(UnsyncedChanges::default());
    }

    fn intercept(&self, call: DiskCall<'_>) -> io::Result<CallOutcome> {
        let mut state = self.state.lock().unwrap();
        if state.dead {
            return Err(io::Error::other("no power"));
        }
        if state.read_only {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        let n = state.calls;
        state.calls += 1;
        if state.failing == Some(n) {
            if let DiskCall::Write { file, bytes, offset } = call {
                let half = &bytes[..bytes.len() / 2];
                state.note(DiskCall::Write { file, bytes: half, offset })?;
                file.write_all_at(half, offset)?;
            }
            return Err(io::ErrorKind::StorageFull.into());
        }
        if matches!(call, DiskCall::Allocate | DiskCall::Create(_)) {
            state.allocations += 1;
            if state.full_from.is_some_and(|n| n < state.allocations) {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        state.note(call)?;
        Ok(CallOutcome(true))
    }
}

impl DiskState {
    fn note(&mut self, call: DiskCall<'_>) -> io::Result<()> {
        let Some(unsynced) = &mut self.unsynced else { return Ok(()) };
        match call {
            DiskCall::Write { file, bytes, offset } => {
                let inode = file.metadata()?.ino();
                if let std::collections::hash_map::Entry::Vacant(entry) = unsynced.files.entry(inode) {
                    entry.insert((whole(file)?, Vec::new()));
                }
                unsynced.files.entry(inode).or_default().1.push((offset, bytes.to_vec()));
            }
            DiskCall::Sync(file) => drop(unsynced.files.remove(&file.metadata()?.ino())),
            DiskCall::Create(path) if path.exists() => {}
            DiskCall::Create(path) => unsynced.names.push(NameChange::Created(path.to_owned())),
            DiskCall::Rename { from, to } => {
                unsynced.names.push(NameChange::Renamed { from: from.to_owned(), to: to.to_owned() });
            }
            DiskCall::Remove(path) => {
                if let Ok(content) = fs::read(path) {
                    unsynced.files.remove(&fs::metadata(path)?.ino());
                    unsynced.names.push(NameChange::Removed(path.to_owned(), content));
                }
            }
            DiskCall::SyncFolder => unsynced.names.clear(),
            DiskCall::Allocate => {}
        }
        Ok(())
    }
}

fn whole(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Returns a file's bytes after a power cut: each write survives whole, in some of its sectors, or not at all.
fn surviving_bytes(durable: &[u8], writes: &[(u64, Vec<u8>)], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut image = durable.to_vec();
    for (offset, bytes) in writes {
        let from = usize::try_from(*offset).unwrap();
        let fate = random(3);
        let mut at = from;
        while at < from + bytes.len() {
            let until = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(from + bytes.len());
            if fate == 0 || (fate == 1 && random(2) == 0) {
                if image.len() < until {
                    image.resize(until, 0);
                }
                image[at..until].copy_from_slice(&bytes[at - from..until - from]);
            }
            at = until;
        }
    }
    image
}

pub(super) fn intercept(call: DiskCall<'_>) -> io::Result<CallOutcome> {
    let disk = DISK.with_borrow(Option::clone);
    disk.map_or(Ok(CallOutcome(false)), |disk| disk.intercept(call))
}

/// Returns `work` so that it uses the simulated disk of the current thread.
pub(crate) fn inherit_disk<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let disk = DISK.with_borrow(Option::clone);
    move || {
        DISK.set(disk);
        work()
    }
}
