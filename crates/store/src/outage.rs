//! One log line when a loop begins to fail, one when it works again.

use std::error::Error;
use std::time::Duration;

use access::Mono;

/// The least time between two lines about the same trouble.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

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

/// Trouble that is seen many times a second, and sometimes not: it has no end that could be told of.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Option<Mono>);

impl Trouble {
    /// Whether a line is due about trouble that is seen `now`.
    pub(crate) fn is_news(&mut self, now: Mono) -> bool {
        let news = self.0.is_none_or(|told| now.since(told) >= AGAIN_AFTER);
        if news {
            self.0 = Some(now);
        }
        news
    }
}

/// The chain behind an error.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lasting_trouble_is_told_of_at_intervals() {
        let mut trouble = Trouble::default();
        let mut told = Vec::new();
        for second in 0..90_u64 {
            if trouble.is_news(Mono(Duration::from_secs(second).as_nanos().try_into().unwrap())) {
                told.push(second);
            }
        }
        assert_eq!(told, [0, 30, 60]);
    }
}
