//! Settings: from YAML, the environment and a `.env` to checked values of declared keys, with their places, their
//! documents and a JSON Schema. The crate does not know what the keys are for.
//!
//! It uses no network and no clock, and reads no environment: the caller passes it in. It reads a `.env`, and files that
//! `file:/…` names.
//!
//! Reading order: [`declaration`] (the macro [`section!`], which declares keys), [`field`] (keys: defaults, lists, nested
//! sections), [`form`] (single values), [`plain`] (structs of plain values), [`mod@section`] (reads a mapping and reports
//! its problems), [`overlay`] (settings from the environment), [`setting`] (lists the effective settings), [`json`] (the
//! JSON Schema), with [`spec`] and [`yaml`] below them.

pub mod ascii_spelling;
mod boolean_words;
pub mod declaration;
pub mod env_file;
pub mod environment;
pub mod error;
mod excerpt;
pub mod field;
pub mod form;
pub mod input;
pub mod json;
pub mod json_lines;
pub mod near;
mod near_key;
pub mod overlay;
pub mod place;
pub mod plain;
mod range;
pub mod secret_text;
pub mod section;
pub mod section_input;
pub mod setting;
pub mod spec;
pub mod substitute;
pub mod unit;
pub mod variable;
pub mod yaml;
