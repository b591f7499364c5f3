//! Recovery of all partitions on up to as many threads as the machine has cores.

use std::panic;
use std::sync::Mutex;
use std::thread;

use super::{PartitionFiles, RecoveredPartition, RecoveryOptions, recover};
use crate::disk;
use crate::error::SpoolError;
use crate::folder::Folder;
use crate::mutex::lock;

/// Returns the partitions in their order, or the error of the first one that has an error.
pub(crate) fn all(
    folder: &Folder,
    found: Vec<PartitionFiles>,
    options: RecoveryOptions<'_>,
) -> Result<Vec<RecoveredPartition>, SpoolError> {
    let filled = found.iter().filter(|partition| !partition.segments.is_empty()).count();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(filled);
    if threads < 2 {
        return found.into_iter().map(|partition| recover(folder, partition, options)).collect();
    }
    let waiting = Mutex::new(found.into_iter());
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = lock(&waiting).next();
            let Some(partition) = next else { break };
            let number = partition.partition;
            let recovered = recover(folder, partition, options);
            lock(&done).push((number, recovered));
        }
    };
    thread::scope(|scope| {
        let working: Vec<_> = (0..threads).map(|_| scope.spawn(disk::inherit_disk(work))).collect();
        for thread in working {
            if let Err(why) = thread.join() {
                panic::resume_unwind(why);
            }
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, recovered)| recovered).collect()
}
