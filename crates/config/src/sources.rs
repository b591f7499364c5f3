//! Sources of the configuration: files, options of the command, and variables.

pub(crate) mod file;
pub(crate) mod flags;
pub(crate) mod overlay;
pub(crate) mod short_forms;
