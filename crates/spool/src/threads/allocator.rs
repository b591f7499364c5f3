//! A thread that preallocates the next segments of each partition, so that no worker waits for the file system. It
//! keeps room for the close of every open request, plus three quarters of a segment.
//!
//! The thread is an optimization: a writer that finds no preallocated segment creates one itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::disk;
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::partition::Partition;

/// Time until the next try after the spool or the disk was full.
const RETRY: Duration = Duration::from_millis(100);

/// The thread's handle. The thread ends when the last writer and the reader are dropped.
#[derive(Debug)]
pub(crate) struct SegmentAllocator {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SegmentAllocator {
    pub(crate) fn start(folder: Arc<Folder>, partitions: Vec<Arc<Partition>>) -> Result<Self, SpoolError> {
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopping);
        let at = folder.dir.clone();
        let thread = thread::Builder::new()
            .name("spool-allocator".to_owned())
            .spawn(disk::inherit_disk(move || run(&folder, &partitions, &stop)))
            .map_err(SpoolError::io("start a thread for", &at))?;
        Ok(Self { stopping, thread: Some(thread) })
    }

    /// Wakes the thread after a segment was taken or removed.
    pub(crate) fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for SegmentAllocator {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread; writers then create their segments themselves.
            let _ = thread.join();
        }
    }
}

fn run(folder: &Folder, partitions: &[Arc<Partition>], stopping: &AtomicBool) {
    while !stopping.load(Ordering::Acquire) {
        let mut all_preallocated = true;
        for partition in partitions {
            match partition.preallocate(folder) {
                Ok(()) => {}
                Err(SpoolError::Full { .. }) => all_preallocated = false,
                Err(error) => {
                    all_preallocated = false;
                    folder.record_failure(error);
                }
            }
            partition.note_room(folder);
        }
        if all_preallocated {
            thread::park();
        } else {
            thread::park_timeout(RETRY);
        }
    }
}
