//! JSON: the schema of the configuration, and values on lines.

pub mod json;
pub mod json_lines;
