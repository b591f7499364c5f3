//! Fuzz targets for every parser of untrusted bytes.
//!
//! A target is one function over bytes that panics if a property is violated. The driver of this crate runs the targets
//! with a seeded mutator over `corpus/` on stable Rust, libFuzzer runs them (`cargo-fuzz/`), and `make test` runs them
//! over `corpus/` and `findings/`. docs/fuzzing.md is the guide.
//!
//! Reading order: [`targets`] (the properties), [`random`] (choices that depend on the bytes alone), [`driver`] (the
//! inputs).
#![expect(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a target fails by panicking")]

pub mod driver;
pub mod random;
pub mod targets;

pub use targets::FuzzTarget;
