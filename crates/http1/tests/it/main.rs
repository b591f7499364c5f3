//! Messages as a connection delivers them: tables of accepted and refused heads, every split, and comparison with httparse.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod generated;
mod httparse_agrees;
mod incremental;
mod reader;
mod requests;
mod requests_refused;
mod responses;
mod responses_refused;
