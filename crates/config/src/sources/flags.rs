//! The flags of the command line that override settings.

use std::path::PathBuf;

use tls::ListenAddress;

use crate::snapshot::LogFormat;

/// Flags of `tollgate serve`. An absent flag keeps the value of the environment or the file.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--data`: the data folder.
    pub data: Option<PathBuf>,
    /// `--listen`: the proxy's only address.
    pub listen: Option<ListenAddress>,
    /// `--addr`: the control listener's address.
    pub addr: Option<ListenAddress>,
    /// `--examples`: the folder of example files.
    pub examples_dir: Option<PathBuf>,
    /// `--mock`: the mock instead of every provider.
    pub mock: bool,
    /// `--workers`: the number of the proxy's workers, from 1 to [`crate::snapshot::WORKERS_MAX`].
    pub workers: Option<u32>,
    /// `--log`: the format of logs.
    pub log: Option<LogFormat>,
}
