//! Evidence: zip files whose manifest lists the digest of each file, and whose comment signs every byte before it.
//!
//! This crate does not know the content of the files. It writes to memory, so that the caller streams the bytes, and reads from
//! any seekable source.
//!
//! Reading order: [`manifest`], [`signing_key`], [`writer`] (the zip), then [`mod@verify`] with `directory` (reading the zip),
//! and [`exported_file`], which reads a file in parts.

mod directory;
pub mod exported_file;
pub mod hex;
mod layout;
pub mod manifest;
pub mod signing_key;
pub mod verify;
pub mod writer;

pub use exported_file::ExportedFile;
pub use manifest::{Manifest, ManifestFile};
pub use signing_key::{SigningKey, SigningKeyError};
pub use verify::{VerifiedExport, VerifyError, read_file, verify};
pub use writer::{EvidenceWriter, WriteEvidenceError};
