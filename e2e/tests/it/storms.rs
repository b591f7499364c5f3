//! Servers that are killed, cut off, or run out of disk or power under load.
//!
//! These tests use the whole machine, so `make test` runs them separately: beside them, clients of other tests would
//! exceed timeouts of half a second.

mod dice;
mod fallback;
mod fleet;
mod full;
mod leap;
mod midnight;
pub(crate) mod noon;
mod nth;
mod power;
mod rounds;
mod soak;
mod tally;
mod torn;
