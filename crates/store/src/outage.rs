//! One log line when a loop begins to fail, one when it works again.

use std::error::Error;

#[derive(Debug)]
pub(crate) struct Outage {
    part: &'static str,
    failing: bool,
}

impl Outage {
    /// `part` names the loop in the log.
    pub(crate) const fn new(part: &'static str) -> Self {
        Self { part, failing: false }
    }

    /// Notes how an attempt ended.
    pub(crate) fn note<T, E: Error>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) if self.failing => tracing::info!(part = self.part, "works again"),
            Err(error) if !self.failing => {
                tracing::error!(part = self.part, %error, cause = causes(error), "fails; it is tried again");
            }
            Ok(_) | Err(_) => {}
        }
        self.failing = result.is_err();
    }
}

/// The chain behind an error.
fn causes(error: &dyn Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}
