//! The configuration file.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use config::{ConfigError, Environment, Flags, LoadedConfig, Place, Sources, load};
use tempfile::TempDir;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "\n",
    "  ",
    "- ",
    ": ",
    ":",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!tag ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "\\x41",
    "#",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "~",
    "null",
    "true",
    "? ",
    "\t",
    "\u{feff}",
    "\u{2028}",
    "\u{85}",
    "é",
    "${SECRET}",
    "${UNSET}",
    "${UNSET:-x}",
    "${",
    "brand",
    "name",
    "key_prefix",
    "listen",
    "address",
    "control",
    "connections",
    "max",
    "per_address",
    "drain",
    "delay",
    "timeout",
    "log",
    "format",
    "level",
    "modules",
    "store",
    "url",
    "migrate",
    "stale_for",
    "spool",
    "max_size",
    "durability",
    "timeouts",
    "connect",
    "first_byte",
    "idle",
    "total",
    "sizes",
    "headers",
    "body",
    "buffered",
    "providers",
    "kind",
    "openai",
    "base_url",
    "credential",
    "models",
    "credits",
    "targets",
    "provider",
    "model",
    "prices",
    "input",
    "output",
    "ai",
    "enabled",
    "prefix",
    "plans",
    "credits_per_day",
    "requests_per_minute",
    "upstreams",
    "backends",
    "weight",
    "routes",
    "path",
    "methods",
    "auth",
    "type",
    "events",
    "5s",
    "10MiB",
    "127.0.0.1:8080",
    "http://127.0.0.1:9001",
];

/// A value that no name can contain, because error messages show names.
const SECRET: &str = "S3CRET 0f9\u{e9}8d";

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// Loads the file or refuses it: places are inside the file, problems are bounded, and the value of the variable is not
/// shown.
pub fn configuration(bytes: &[u8]) {
    // Values can refer to files, which are not part of the input.
    if bytes.windows(5).any(|window| window == b"file:") {
        return;
    }
    match loaded(bytes) {
        Ok(LoadedConfig { snapshot, notes, .. }) => {
            assert!(!snapshot.process.listen.is_empty());
            notes.iter().for_each(|note| assert!(!note.to_string().contains(SECRET), "{note}"));
            let debug = format!("{:?}", (&snapshot.traffic.providers, &snapshot.process.store));
            assert!(!debug.contains(SECRET), "`Debug` prints a credential");
        }
        Err(error) => refused(bytes, &error),
    }
}

/// Loads `bytes` as a file; the environment contains `SECRET` only.
pub fn loaded(bytes: &[u8]) -> Result<LoadedConfig, ConfigError> {
    let environment = Environment::from_variables([("SECRET", SECRET)]);
    let path = write(bytes);
    load(Sources { file: Some(&path), environment: &environment, flags: Flags::default() })
}

fn write(bytes: &[u8]) -> PathBuf {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().unwrap());
        let path = folder.path().join("c.yaml");
        File::create(&path).unwrap().write_all(bytes).unwrap();
        path
    })
}

fn refused(bytes: &[u8], error: &ConfigError) {
    assert!(!error.problems.is_empty() && error.problems.len() <= settings::error::PROBLEMS_MAX);
    let shown = error.to_string();
    assert!(!shown.contains(SECRET), "an error repeats the value of a variable:\n{shown}");
    assert!(shown.len() < (1 + error.problems.len()) * (bytes.len() + 8 * 1024), "an error of {} bytes", shown.len());
    let source = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = source.strip_prefix('\u{feff}').unwrap_or(&source).split(['\n', '\r']).collect();
    for problem in &error.problems {
        for place in problem.place.into_iter().chain(problem.first) {
            inside(&lines, place);
        }
    }
}

fn inside(lines: &[&str], place: Place) {
    let Place { line, column, width } = place;
    assert!(line > 0 && column > 0 && width > 0, "{place:?}");
    // The end of a file may be reported as the line after the last.
    assert!(line as usize <= lines.len() + 1, "{place:?} is outside of the {} lines", lines.len());
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(column as usize <= longest + 2, "{place:?} is outside of the longest line ({longest})");
}
