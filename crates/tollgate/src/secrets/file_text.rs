//! The secret in a file.

use std::fs::File;
use std::io::Read;

use access::Secret;

/// Maximum size of a file that contains a secret.
const FILE_BYTES_MAX: u64 = 4_096;

/// Reads a file without its final line end.
pub(super) fn read(file: File) -> std::io::Result<Secret> {
    let mut text = String::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(std::io::Error::other("the file is too large for a secret"));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(Secret::new(text))
}
