//! State that all partitions share: the folder, its maximum size and its owner.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use uuid::Uuid;

use crate::disk;
use crate::error::SpoolError;
use crate::mutex::lock;
use crate::records::segment::{self, Segment, SegmentSpec};
use crate::retained::RetainedSegments;

/// The file that contains the id of the node that owns the folder.
const OWNER: &str = "owner";
const OWNER_NEW: &str = "owner.new";
const OWNER_BYTES_MAX: usize = 64;
/// The room that is reserved for the close of each open request, the record's header included. A longer close uses free
/// room, and is shortened without it.
pub const CLOSE_BYTES_MAX: u32 = 4 * 1024;

/// The failures that an appended record survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpoolDurability {
    /// The death of the process. A power cut loses records that the kernel has not written yet.
    #[default]
    Process,
    /// A power cut as well, once the record is synced ([`crate::Writer::durable`]). The reader sees only synced
    /// records.
    Power,
}

/// State that all partitions share.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) dir: PathBuf,
    pub(crate) segment_bytes: u32,
    pub(crate) durability: SpoolDurability,
    size_bytes_max: u64,
    /// Bytes of all segments that exist or are being created.
    allocated: AtomicU64,
    last_failure: Mutex<Option<SpoolError>>,
    /// The segments that the export has not read yet; `None` without an export.
    pub(crate) retained: Option<Arc<RetainedSegments>>,
}

impl Folder {
    pub(crate) const fn new(
        dir: PathBuf,
        segment_bytes: u32,
        size_bytes_max: u64,
        durability: SpoolDurability,
    ) -> Self {
        let allocated = AtomicU64::new(0);
        let last_failure = Mutex::new(None);
        Self { dir, segment_bytes, durability, size_bytes_max, allocated, last_failure, retained: None }
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Adds the bytes of existing segments, even above the maximum.
    pub(crate) fn add_existing(&self, bytes: u64) {
        self.allocated.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Subtracts the bytes of removed segments.
    pub(crate) fn subtract_removed(&self, bytes: u64) {
        self.allocated.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The room that is reserved for a close: [`CLOSE_BYTES_MAX`], or less in very small segments.
    pub(crate) fn close_bytes(&self) -> u32 {
        self.segment_bytes.saturating_sub(segment::FRAME_BYTES).min(CLOSE_BYTES_MAX)
    }

    /// Returns the number of closes that fit into `bytes` bytes of one segment.
    pub(crate) fn closes_in(&self, bytes: u32) -> u32 {
        bytes.checked_div(self.close_bytes()).unwrap_or(0)
    }

    /// Returns the number of closes that fit into a new segment.
    pub(crate) fn closes_in_new_segment(&self) -> u32 {
        self.closes_in(self.segment_bytes.saturating_sub(segment::FRAME_BYTES))
    }

    /// Removes an ingested segment, or moves it into the folder of the export.
    pub(crate) fn remove_ingested(&self, partition: u32, number: u32) -> Result<(), SpoolError> {
        if self.retained.as_ref().is_some_and(|retained| retained.retain(&self.dir, partition, number)) {
            return Ok(());
        }
        let path = segment::path(&self.dir, partition, number);
        disk::remove(&path).map_err(SpoolError::io("remove", &path))
    }

    /// Creates a segment, unless the spool would exceed its maximum size.
    pub(crate) fn create(&self, spec: SegmentSpec) -> Result<Segment, SpoolError> {
        let more = |allocated: u64| {
            let next = allocated.saturating_add(spec.bytes.into());
            (next <= self.size_bytes_max).then_some(next)
        };
        self.allocated
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .map_err(|_| SpoolError::Full { size_bytes_max: self.size_bytes_max })?;
        Segment::create(&self.dir, spec).inspect_err(|_| self.subtract_removed(spec.bytes.into()))
    }

    /// Syncs the names of the folder's files under [`SpoolDurability::Power`].
    pub(crate) fn sync(&self) -> Result<(), SpoolError> {
        match self.durability {
            SpoolDurability::Process => Ok(()),
            SpoolDurability::Power => disk::sync_folder(&self.dir).map_err(SpoolError::io("sync", &self.dir)),
        }
    }

    /// Records `node` as the owner of a folder that has none. The records of another node's folder would be ingested
    /// twice, or never.
    pub(crate) fn claim(&self, node: Uuid) -> Result<(), SpoolError> {
        let path = self.dir.join(OWNER);
        match read_bounded(&path) {
            Ok(text) => match Uuid::try_parse(text.trim()) {
                Ok(found) if found == node => Ok(()),
                Ok(found) => Err(SpoolError::OtherNode { folder: self.dir.clone(), found, node }),
                Err(_) => Err(SpoolError::Corrupt { file: path, offset: 0 }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let new = self.dir.join(OWNER_NEW);
                let file = disk::create(&new).map_err(SpoolError::io("create", &new))?;
                disk::write_at(&file, format!("{node}\n").as_bytes(), 0).map_err(SpoolError::io("write", &new))?;
                if self.durability == SpoolDurability::Power {
                    disk::sync(&file).map_err(SpoolError::io("sync", &new))?;
                }
                disk::rename(&new, &path).map_err(SpoolError::io("rename", &new))?;
                self.sync()
            }
            Err(error) => Err(SpoolError::io("read", &path)(error)),
        }
    }

    /// Checks that files can be created in the folder, before the spool is used. A full disk is accepted: its records
    /// can be read, and ingest frees space.
    pub(crate) fn check_writable(&self) -> Result<(), SpoolError> {
        let probe = self.dir.join(OWNER_NEW);
        match disk::create(&probe) {
            Ok(_) => disk::remove(&probe).map_err(SpoolError::io("write into", &self.dir)),
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => Ok(()),
            Err(error) => Err(SpoolError::io("write into", &self.dir)(error)),
        }
    }

    /// Stores the last failure of a background thread.
    pub(crate) fn record_failure(&self, error: SpoolError) {
        *lock(&self.last_failure) = Some(error);
    }

    pub(crate) fn take_failure(&self) -> Option<SpoolError> {
        lock(&self.last_failure).take()
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    io::Read::read_to_string(&mut io::Read::take(file, OWNER_BYTES_MAX as u64), &mut text)?;
    Ok(text)
}
