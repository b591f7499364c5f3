//! Damaged files of the spool.

mod damage;
mod scratch;
mod segment;

pub use damage::folder;
pub use segment::records;

/// The value of [`super::FuzzTarget::words`].
pub const WORDS: &[&str] = &[
    "\u{1}\u{2e}\u{0}",
    "\u{2}\u{20}\u{0}",
    "\u{5}",
    "\u{3}",
    "\u{0}",
    "\u{1}",
    "users",
    "gpt-5",
    "\u{10}",
    "\u{7f}",
    "\u{5}\u{20}\u{0}",
    "\u{3}\u{8}\u{0}",
    "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}",
    "\u{1}\u{5}\u{4}user",
    "\u{2}\u{1}\u{0}",
    "\u{7}\u{3}new",
    "\u{7f}\u{0}",
];
