//! The memory that an edit may use.

use crate::json_error::JsonError;

/// Memory is requested in pieces of this size. An edit that needs no more than one requests none.
const PIECE_BYTES: usize = 64 * 1024;

/// The memory that an edit may use besides its text.
pub struct Room<'m> {
    /// Requests more bytes; `false` refuses them. `None` means that the memory has no bound.
    more: Option<&'m mut dyn FnMut(usize) -> bool>,
    used: usize,
    granted: usize,
}

impl<'m> Room<'m> {
    /// Returns room that is requested of `more` before it is used.
    pub fn new(more: &'m mut dyn FnMut(usize) -> bool) -> Self {
        Self { more: Some(more), used: 0, granted: PIECE_BYTES }
    }

    /// Returns room without a bound.
    #[must_use]
    pub const fn unbounded() -> Self {
        Self { more: None, used: 0, granted: usize::MAX }
    }

    /// Counts bytes that are about to be used.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), JsonError> {
        self.used = self.used.saturating_add(bytes);
        if self.used <= self.granted {
            return Ok(());
        }
        let needed = (self.used - self.granted).max(PIECE_BYTES);
        if self.more.as_mut().is_some_and(|more| !more(needed)) {
            return Err(JsonError::Memory);
        }
        self.granted = self.granted.saturating_add(needed);
        Ok(())
    }

    /// Notes that bytes are free again. The memory that was requested for them remains for later values.
    pub(crate) const fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

impl std::fmt::Debug for Room<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Room").field("used", &self.used).field("granted", &self.granted).finish_non_exhaustive()
    }
}
