//! The manifest: the files with their digests, and the key that signs.

use serde::{Deserialize, Serialize};

/// The version of the manifest that this crate writes.
pub const FORMAT_VERSION: u32 = 1;

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this format.
    pub format_version: u32,
    /// The installation that wrote the files.
    pub installation: String,
    /// The id of the exported figures.
    pub id: String,
    /// The version of the figures.
    pub figures_version: u64,
    /// Whether the figures are complete.
    pub complete: bool,
    /// The time of the export, as RFC 3339.
    pub created_at: String,
    /// The public key of the signature, as hex digits.
    pub public_key: String,
    /// The days of a receipt whose requests are not part of it; absent in other exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days_without_requests: Vec<String>,
    /// The files in the order of the zip, without the manifest.
    pub files: Vec<ManifestFile>,
}

/// One file of the zip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// The name of the file in the zip.
    pub name: String,
    /// The number of bytes before compression.
    pub size: u64,
    /// The SHA-256 digest of the bytes before compression, as hex digits.
    pub sha256: String,
}
