//! Hostile input: requests with ambiguous boundaries (request smuggling), and input that exhausts resources.

mod addresses;
mod answers;
mod backend;
mod backpressure;
mod built;
mod crowd;
mod descriptors;
mod inflation;
mod judge;
mod requests;
mod shares;
mod spike;
mod table;

/// Prints a measurement for runs with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the test harness shows it where somebody asks for it, or a test failed")]
pub(crate) fn say(figure: &str) {
    println!("{figure}");
}
