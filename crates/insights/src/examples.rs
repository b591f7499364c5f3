//! Example files in the types of the API.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::brief::Brief;
use crate::classification::Classification;
use crate::ingest_status::IngestStatus;
use crate::review::ReviewStatus;
use crate::roi::Roi;
use crate::settings::InsightSettings;

/// The file with the classes of the day.
pub const CLASSIFICATION_FILE: &str = "classify_today.json";
/// The file with the other responses.
pub const RUNTIME_FILE: &str = "runtime.json";
/// The beginning of the names of files with a brief.
const BRIEF_PREFIX: &str = "brief_";
/// The maximum size of an example file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// The maximum number of example files.
pub const FILES_MAX: usize = 1_000;

/// The responses of the insights endpoints, read from files.
#[derive(Debug, Clone)]
pub struct Examples {
    /// The response of `GET /classify/today`.
    pub classification: Classification,
    /// The briefs by id.
    pub briefs: BTreeMap<String, Brief>,
    /// The response of `GET /ingest/status`.
    pub ingest_status: IngestStatus,
    /// The response of `GET /roi/today`.
    pub roi_today: Roi,
    /// The response of `GET /config`.
    pub settings: InsightSettings,
    /// The response of `GET /review/status`.
    pub review_status: ReviewStatus,
}

/// The other responses, as their file contains them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuntimeFile {
    ingest_status: IngestStatus,
    roi_today: Roi,
    config: InsightSettings,
    review_status: ReviewStatus,
}

/// A reason why example files cannot be used.
#[derive(Debug, Error)]
pub enum ExamplesError {
    /// A required file is missing.
    #[error("the example file {name} is missing")]
    Missing {
        /// The name of the missing file.
        name: &'static str,
    },
    /// A file is not in the types of the API.
    #[error("{name}:{line}:{column}: {reason}")]
    Invalid {
        /// The name of the invalid file.
        name: String,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The problem without its place.
        reason: String,
    },
    /// Two files contain briefs with the same id.
    #[error("{name}: another file has a brief with the id `{id}`")]
    DuplicateBrief {
        /// The name of the second file.
        name: String,
        /// The id of both briefs.
        id: String,
    },
}

/// Whether a file of this name is an example file.
#[must_use]
pub fn is_example(name: &str) -> bool {
    let is_brief = name.starts_with(BRIEF_PREFIX) && name.ends_with(".json");
    is_brief || name == CLASSIFICATION_FILE || name == RUNTIME_FILE
}

impl Examples {
    /// Reads the files of a folder, as pairs of name and text; other files are ignored.
    ///
    /// # Errors
    /// [`ExamplesError`], which names the file and the place in it.
    pub fn parse(files: &BTreeMap<String, String>) -> Result<Self, ExamplesError> {
        let required = |name: &'static str| files.get(name).ok_or(ExamplesError::Missing { name });
        let classification = read(CLASSIFICATION_FILE, required(CLASSIFICATION_FILE)?)?;
        let RuntimeFile { ingest_status, roi_today, config, review_status } =
            read(RUNTIME_FILE, required(RUNTIME_FILE)?)?;
        let mut briefs = BTreeMap::new();
        for (name, text) in files.iter().filter(|(name, _)| name.starts_with(BRIEF_PREFIX) && is_example(name)) {
            let brief: Brief = read(name, text)?;
            let id = brief.id.clone();
            if briefs.insert(id.clone(), brief).is_some() {
                return Err(ExamplesError::DuplicateBrief { name: name.clone(), id });
            }
        }
        Ok(Self { classification, briefs, ingest_status, roi_today, settings: config, review_status })
    }
}

fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, ExamplesError> {
    serde_json::from_str(text).map_err(|error| {
        let line = error.line();
        let column = error.column();
        let reason = error.to_string();
        let place = format!(" at line {line} column {column}");
        let reason = reason.strip_suffix(&place).unwrap_or(&reason).to_owned();
        ExamplesError::Invalid { name: name.to_owned(), line, column, reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSIFICATION: &str = include_str!("../../../examples/insights/classify_today.json");
    const BRIEF: &str = include_str!("../../../examples/insights/brief_test.json");
    const RUNTIME: &str = include_str!("../../../examples/insights/runtime.json");

    fn files(changes: &[(&str, Option<&str>)]) -> BTreeMap<String, String> {
        let all = [(CLASSIFICATION_FILE, CLASSIFICATION), ("brief_test.json", BRIEF), (RUNTIME_FILE, RUNTIME)];
        let mut files: BTreeMap<String, String> = all.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        for (name, text) in changes {
            match text {
                Some(text) => files.insert((*name).to_owned(), (*text).to_owned()),
                None => files.remove(*name),
            };
        }
        files
    }

    #[test]
    fn the_examples_of_the_repository_are_read_and_written_without_change() {
        let examples = Examples::parse(&files(&[])).unwrap();
        assert_eq!(examples.briefs["test-001"].id, "test-001");
        let same = |text: &str, value: serde_json::Value| {
            let read: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(read, value);
        };
        same(BRIEF, serde_json::to_value(&examples.briefs["test-001"]).unwrap());
        same(CLASSIFICATION, serde_json::to_value(&examples.classification).unwrap());
        let runtime = serde_json::json!({"ingest_status": examples.ingest_status, "roi_today": examples.roi_today,
            "config": examples.settings, "review_status": examples.review_status});
        same(RUNTIME, runtime);
    }

    #[test]
    fn a_bad_file_is_named_with_its_line_and_column() {
        for (name, text, expected) in [
            ("brief_a.json", Some("{\n  \"id\": 7}"), "brief_a.json:2:9: invalid type: integer `7`, expected a string"),
            ("brief_a.json", Some("{"), "brief_a.json:1:1: EOF while parsing an object"),
            ("brief_a.json", Some(BRIEF), "brief_test.json: another file has a brief with the id `test-001`"),
            (RUNTIME_FILE, None, "the example file runtime.json is missing"),
            (CLASSIFICATION_FILE, None, "the example file classify_today.json is missing"),
        ] {
            let error = Examples::parse(&files(&[(name, text)])).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let unknown = BRIEF.replacen("\"headline\"", "\"headlines\"", 1);
        let error = Examples::parse(&files(&[("brief_test.json", Some(&unknown))])).unwrap_err().to_string();
        assert!(error.starts_with("brief_test.json:4:") && error.contains("headlines"), "{error}");
        // A deeply nested file is refused by the parser's own bound.
        let deep = "[".repeat(100_000);
        assert!(Examples::parse(&files(&[("brief_test.json", Some(&deep))])).is_err());
    }
}
