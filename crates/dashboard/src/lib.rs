//! The files of the dashboard, embedded by the build script.
//!
//! This crate contains no page and serves nothing. A build without `make dashboard` embeds no files.

#[cfg(test)]
#[path = "../build/manifest.rs"]
mod manifest;

/// One file of the dashboard, and its compressed forms.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// The path in the built folder, such as `dashboard/keys.html`.
    pub path: &'static str,
    /// The value of `Content-Type`.
    pub media_type: &'static str,
    /// A hash of the content, in hexadecimal digits.
    pub hash: &'static str,
    /// The CSP hashes of the page's inline scripts, such as `sha256-…`.
    pub scripts: &'static [&'static str],
    /// The content without compression.
    pub plain: &'static [u8],
    /// The content compressed by Brotli.
    pub br: Option<&'static [u8]>,
    /// The content compressed by gzip.
    pub gzip: Option<&'static [u8]>,
}

/// A set of files, sorted by path.
#[derive(Debug, Clone, Copy)]
pub struct Files(&'static [File]);

/// The files that the build script found.
static EMBEDDED: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

impl Files {
    /// The files of this binary.
    #[must_use]
    pub const fn embedded() -> Self {
        Self(EMBEDDED)
    }

    /// A set of other files, which must be sorted by path.
    #[must_use]
    pub const fn new(sorted: &'static [File]) -> Self {
        Self(sorted)
    }

    /// Finds a file by its path.
    #[must_use]
    pub fn find(self, path: &str) -> Option<&'static File> {
        let at = self.0.binary_search_by(|file| file.path.cmp(path)).ok()?;
        self.0.get(at)
    }

    /// Whether the binary was built without the dashboard.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_files_are_all_found_by_their_paths() {
        assert_eq!(Files::embedded().is_empty(), EMBEDDED.is_empty());
        for file in EMBEDDED {
            assert_eq!(Files::embedded().find(file.path).map(|found| found.hash), Some(file.hash), "{}", file.path);
        }
        assert!(Files::embedded().find("none").is_none() && Files::new(&[]).is_empty());
    }
}
