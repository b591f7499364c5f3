//! The books with the settings that are in force, which a change of the configuration replaces.

use std::fmt;
use std::sync::Arc;

use super::Books;

/// The source of the books while billing may be turned on and off. Clones share it.
///
/// A request and a run of a job read the books once, so that all of their amounts follow from the same settings.
#[derive(Clone)]
pub struct LiveBooks(Arc<dyn Fn() -> Option<Books> + Send + Sync>);

impl LiveBooks {
    /// Returns a source of books.
    #[must_use]
    pub fn new(read: impl Fn() -> Option<Books> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Returns the books; `None` while billing is off.
    #[must_use]
    pub fn current(&self) -> Option<Books> {
        (self.0)()
    }
}

impl From<Books> for LiveBooks {
    /// Returns books whose settings never change.
    fn from(books: Books) -> Self {
        Self::new(move || Some(books.clone()))
    }
}

impl Default for LiveBooks {
    /// Returns the source of a process without billing.
    fn default() -> Self {
        Self::new(|| None)
    }
}

impl fmt::Debug for LiveBooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LiveBooks")
    }
}
