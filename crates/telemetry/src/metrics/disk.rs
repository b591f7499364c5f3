//! Metrics of the disks on which the process writes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::family::{Family, MetricLabels, OTHER};

/// Maximum number of folders with series of their own.
const FOLDERS_MAX: usize = 8;

/// Metrics of the disks on which the process writes.
#[derive(Debug, Clone)]
pub struct DiskMetrics {
    /// `tollgate_disk_free_bytes`: bytes that the process can still write.
    pub free: Family<FolderLabels, Gauge>,
    /// `tollgate_disk_size_bytes`: bytes of the whole file system.
    pub size: Family<FolderLabels, Gauge>,
}

/// The use of a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub struct FolderLabels {
    /// What the process writes there: `data` or `log`.
    pub folder: &'static str,
}

impl MetricLabels for FolderLabels {
    fn overflow(&self) -> Self {
        Self { folder: OTHER }
    }
}

impl DiskMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let disk = Self { free: Family::new(FOLDERS_MAX), size: Family::new(FOLDERS_MAX) };
        registry.register("tollgate_disk_free_bytes", "Bytes that can still be written to a folder", disk.free.clone());
        registry.register("tollgate_disk_size_bytes", "Bytes of the file system of a folder", disk.size.clone());
        disk
    }
}
