//! The location of a store.

use std::path::Path;

use access::{Clock, Secret};

/// Location of the store, and how to open it.
#[derive(Debug)]
pub struct Options<'a> {
    /// URL of a PostgreSQL server (`postgres://…`); `None` is SQLite in the data folder.
    pub url: Option<&'a Secret>,
    /// The data folder. For SQLite it is created if it is missing; PostgreSQL needs none until a node joins.
    pub data: &'a Path,
    /// Whether missing migrations are run.
    pub migrate: bool,
    /// Source of all times in the store.
    pub clock: Clock,
}
