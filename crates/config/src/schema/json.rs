//! The JSON Schema of the configuration, with which editors check and complete a file.

use serde_json::Value as Json;
use settings::documents::json_lines::json_lines;
use settings::section::section_input::SectionInput;

use super::RootInput;

/// Returns the JSON Schema of a configuration file.
#[must_use]
pub fn document() -> Json {
    settings::documents::json::document(RootInput::SPEC, "Configuration of Tollgate")
}

/// The text of the schema, with a line for each key of a section.
///
/// # Errors
/// The schema has no form in JSON.
pub fn text() -> serde_json::Result<String> {
    json_lines(&document(), 7)
}
