//! Reads a file of the configuration.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use settings::yaml::{self, Kind};

/// Largest configuration file, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Whether a configuration has more than comments and an empty document. Invalid YAML counts: its error is that of a load.
#[must_use]
pub fn has_key(text: &str) -> bool {
    match yaml::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).map(|root| root.kind) {
        Ok(Kind::Null) => false,
        Ok(Kind::Map(entries)) => !entries.is_empty(),
        Ok(Kind::Scalar(_) | Kind::List(_)) | Err(_) => true,
    }
}

/// Reads a file of at most the size of a configuration file.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_a_key_in_every_style_of_yaml() {
        let without =
            ["", "\u{feff}", "# a: b\n---\n...\n", "{}", "{ } # none", "{\n}\n", "--- {}", "null # none", "~"];
        without.into_iter().for_each(|text| assert!(!has_key(text), "{text:?}"));
        let with = [
            "routes: []",
            "routes:",
            "{routes: []}",
            "--- {routes: []}",
            "'routes': []",
            "? routes\n: []",
            "a: [",
            "[]",
        ];
        with.into_iter().for_each(|text| assert!(has_key(text), "{text:?}"));
    }
}
