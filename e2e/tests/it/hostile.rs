//! Hostile bytes: what was written to be read in two senses, and what was sent to use us up.

mod answers;
mod backpressure;
mod crowd;
mod descriptors;
mod inflation;
mod judge;
mod requests;
mod shares;
mod table;

/// A figure, for who runs the test with `--nocapture`.
#[expect(clippy::print_stdout, reason = "the test harness shows it where somebody asks for it, or a test failed")]
fn say(figure: &str) {
    println!("{figure}");
}
