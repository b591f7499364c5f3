//! The keys of the configuration: each key is declared once, with its type, default, bounds and meaning.
//!
//! [`section!`] turns a declaration into a struct of checked values, its reader, its listing for `config show`, and a
//! [`SectionSpec`](settings::spec::SectionSpec). The environment's variables, the errors of unknown keys, the tables of
//! the documentation and the JSON Schema come from the specifications.
//!
//! Reading order: [`process`] and [`traffic`] (the declarations), [`json`] (the JSON Schema). The forms of values and the
//! fields of sections are those of the crate `settings`.

mod color;
pub(crate) mod json;
pub(crate) mod listen;
mod name;
mod network;
pub(crate) mod price;
pub(crate) mod process;
pub(crate) mod traffic;

use settings::section;

use process::ProcessInput;
use traffic::TrafficInput;

section! {
    /// All keys of a configuration file.
    RootInput {
        ..process: ProcessInput;
        ..traffic: TrafficInput;
    }
}

#[cfg(test)]
pub(crate) mod tests;
