//! The job that reads how much can still be written to the data folder and to the log.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jobs::{Job, JobError, JobSpec, NextRun};
use rustix::fs::{FileType, StatVfs, fstat, fstatvfs, statvfs};
use telemetry::Metrics;
use telemetry::metrics::FolderLabels;
use tokio::sync::Semaphore;

pub(super) const SPEC: JobSpec = JobSpec::every("disk_space", Duration::from_secs(10));

/// The folder of logs of the system: the journal, and the files of containers.
const LOG_FOLDER: &str = "/var/log";

/// The job for the data folder of this process.
#[derive(Clone)]
pub(super) struct DiskWatch {
    data: PathBuf,
    metrics: Arc<Metrics>,
    /// One thread at most: a disk that does not respond keeps it.
    reading: Arc<Semaphore>,
}

/// The space of a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DiskSpace {
    free: i64,
    size: i64,
}

impl From<StatVfs> for DiskSpace {
    fn from(read: StatVfs) -> Self {
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(read.f_frsize)).unwrap_or(i64::MAX);
        Self { free: bytes(read.f_bavail), size: bytes(read.f_blocks) }
    }
}

impl DiskWatch {
    pub(super) fn new(data: PathBuf, metrics: Arc<Metrics>) -> Self {
        Self { data, metrics, reading: Arc::new(Semaphore::new(1)) }
    }

    fn show(&self, folder: &'static str, space: DiskSpace) {
        let labels = FolderLabels { folder };
        self.metrics.disk.free.get_or_create(&labels).set(space.free);
        self.metrics.disk.size.get_or_create(&labels).set(space.size);
    }
}

/// Reads the space below a folder.
fn space_of(folder: &Path) -> io::Result<DiskSpace> {
    Ok(statvfs(folder)?.into())
}

/// Reads the space for the log: that of the file to which stderr is redirected, or else of [`LOG_FOLDER`], if it exists.
fn space_of_log(stderr: impl AsFd, folder: &Path) -> Option<DiskSpace> {
    let is_file = fstat(&stderr).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    if is_file { fstatvfs(&stderr).ok().map(Into::into) } else { space_of(folder).ok() }
}

impl Job for DiskWatch {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        let Ok(place) = self.reading.clone().try_acquire_owned() else {
            return Err("the disk does not respond to the earlier read".into());
        };
        let data = self.data.clone();
        let read = tokio::task::spawn_blocking(move || {
            let spaces = (space_of(&data), space_of_log(io::stderr(), Path::new(LOG_FOLDER)));
            drop(place);
            spaces
        });
        let (data, log) = read.await?;
        if let Some(space) = log {
            self.show("log", space);
        }
        self.show("data", data?);
        Ok(NextRun::Period)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn shown(metrics: &Metrics, series: &str) -> Option<i64> {
        let text = metrics.encode();
        text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
    }

    #[tokio::test]
    async fn the_free_and_the_whole_space_of_the_data_folder_are_shown() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        DiskWatch::new(folder.path().to_owned(), metrics.clone()).run().await.unwrap();
        let free = shown(&metrics, "tollgate_disk_free_bytes{folder=\"data\"}").unwrap();
        let size = shown(&metrics, "tollgate_disk_size_bytes{folder=\"data\"}").unwrap();
        assert!(0 < free && free < size, "{free} of {size}");
    }

    #[tokio::test]
    async fn a_folder_that_is_missing_fails_the_job_and_shows_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let mut watch = DiskWatch::new(folder.path().join("missing"), metrics.clone());
        watch.run().await.unwrap_err();
        assert_eq!(shown(&metrics, "tollgate_disk_free_bytes{folder=\"data\"}"), None);
    }

    #[tokio::test]
    async fn a_disk_that_does_not_respond_keeps_one_thread() {
        let folder = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let mut watch = DiskWatch::new(folder.path().to_owned(), metrics);
        let earlier = watch.reading.clone().try_acquire_owned().unwrap();
        let error = watch.run().await.unwrap_err();
        assert_eq!(error.to_string(), "the disk does not respond to the earlier read");
        drop(earlier);
        watch.run().await.unwrap();
    }

    #[test]
    fn the_log_has_the_space_of_its_file_or_of_the_folder_of_logs() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("log")).unwrap();
        let null = File::open("/dev/null").unwrap();
        assert!(space_of_log(&file, Path::new("/missing")).is_some());
        assert!(space_of_log(&null, folder.path()).is_some());
        assert_eq!(space_of_log(&null, Path::new("/missing")), None);
    }
}
