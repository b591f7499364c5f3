//! Fuzz targets for every parser of untrusted bytes.
//!
//! A target is one function over bytes that panics if a property is violated. The driver of this crate runs the targets
//! with a seeded mutator over `corpus/` on stable Rust, libFuzzer runs them (`cargo-fuzz/`), and `make test` runs them
//! over `corpus/` and `findings/`.
//!
//! ```sh
//! make fuzz SECONDS=3600                               # all targets, an hour together
//! cargo run --profile fuzz -p fuzz -- run tap --seconds 60 --seed 7
//! cargo run -p fuzz -- replay tap fuzz/findings/tap/*  # run findings again
//! ```
//!
//! A finding is an input in `fuzz/findings/TARGET/` that panics, takes 1 GiB of memory or 3 seconds of CPU. It is committed
//! with the fix. A new parser needs a function in `src/targets/`, an entry in `src/targets.rs`, a `[[bin]]` and its file in
//! `cargo-fuzz/`, and seeds in `corpus/NAME/`; tests fail until all exist.
//!
//! Reading order: [`targets`] (the properties), [`random`] (choices that depend on the bytes alone), [`driver`] (the
//! inputs).
#![expect(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "a target fails by panicking")]

pub mod driver;
pub mod random;
pub mod targets;

pub use targets::FuzzTarget;
