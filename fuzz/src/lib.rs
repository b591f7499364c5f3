//! Every parser of bytes from outside, under bytes that nobody thought of.
//!
//! A target is one function over bytes that panics where a property does not hold; the same functions are run by the driver
//! here (stable Rust, a seeded mutator over `corpus/`), by libFuzzer (`cargo-fuzz/`), and, over what is in `corpus/` and
//! `findings/`, by `make test`. docs/fuzzing.md says how they are used.
//!
//! Read in this order: [`targets`] (what is held to what), [`random`] (cuts and choices that depend on the bytes alone),
//! [`driver`] (who makes the bytes).
#![expect(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a target fails by panicking")]

pub mod driver;
pub mod random;
pub mod targets;

pub use targets::FuzzTarget;
