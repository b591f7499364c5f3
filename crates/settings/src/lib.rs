//! Settings: from YAML, the environment and a `.env` to checked values of declared keys, with their places, their
//! documents and a JSON Schema. The crate does not know what the keys are for.
//!
//! It uses no network and no clock, and reads no environment: the caller passes it in. It reads a `.env`, and files that
//! `file:/…` names.
//!
//! Reading order: [`declaration`] (the macro [`section!`], which declares keys), [`field`] (keys: defaults, lists, nested
//! sections), [`form`] (single values), [`plain`] (structs of plain values), [`mod@section`] (reads a mapping, reports its
//! problems, and lists the effective settings), [`overlay`] (settings from the environment), [`documents`] (the JSON Schema),
//! with [`spec`] and [`yaml`] below them.

pub mod declaration;
pub mod documents;
pub mod environment;
pub mod error;
mod excerpt;
pub mod field;
pub mod form;
pub mod input;
pub mod overlay;
pub mod place;
pub mod plain;
pub mod secret_text;
pub mod section;
pub mod spec;
pub mod spelling;
pub mod substitute;
pub mod suggestion;
pub mod variables;
pub mod yaml;
