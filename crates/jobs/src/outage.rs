//! The times to log a lasting problem: [`Outage`] logs each cause once, and the end; [`RepeatedProblem`] permits one line every
//! 30 s.

use std::error::Error;
use std::time::Duration;

use access::Mono;

/// Minimum time between two lines about one [`RepeatedProblem`].
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Maximum number of causes that are logged per outage; a text that never repeats would flood the log.
const CAUSES_MAX: usize = 8;

/// The state of a loop that may fail.
#[derive(Debug)]
pub struct Outage {
    part: &'static str,
    /// Causes that were logged since the loop last worked; the loop fails while there are any.
    logged: Vec<String>,
}

impl Outage {
    /// Returns the state of a loop that works; `part` names it in the log.
    #[must_use]
    pub const fn new(part: &'static str) -> Self {
        Self { part, logged: Vec::new() }
    }

    /// Records the result of one attempt.
    pub fn note<T, E: Error>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) => self.end(),
            Err(error) => self.fail(error),
        }
    }

    /// Records an attempt that succeeded, and logs the end of an outage.
    pub fn end(&mut self) {
        if !self.logged.is_empty() {
            self.logged.clear();
            tracing::info!(part = self.part, "works again");
        }
    }

    /// Records that no run is due on this node any more, because another node may have taken over the job.
    pub fn leave(&mut self) {
        if !self.logged.is_empty() {
            self.logged.clear();
            tracing::info!(part = self.part, "no run is due on this node now");
        }
    }

    /// Records an attempt that failed, and logs each cause once per outage.
    pub fn fail(&mut self, error: &dyn Error) {
        let cause = causes(error);
        let text = format!("{error}: {cause}");
        if self.logged.len() < CAUSES_MAX && !self.logged.contains(&text) {
            self.logged.push(text);
            tracing::error!(part = self.part, %error, cause, "fails; retrying");
        }
    }
}

/// A problem that occurs several times a second, but not in every turn of its loop, so that its end cannot be detected.
#[derive(Debug, Default)]
pub struct RepeatedProblem(Option<Mono>);

impl RepeatedProblem {
    /// Whether a line is due for the problem, which occurs `now`.
    pub fn is_news(&mut self, now: Mono) -> bool {
        let news = self.0.is_none_or(|logged| now.since(logged) >= AGAIN_AFTER);
        if news {
            self.0 = Some(now);
        }
        news
    }
}

/// Joins the messages of an error's source chain.
#[must_use]
pub fn causes(error: &dyn Error) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        // Some errors repeat the text of their source.
        if !causes.last().is_some_and(|last: &String| last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::captured_log::capture;

    #[test]
    fn each_cause_is_logged_once_until_the_outage_ends() {
        let log = capture();
        let mut outage = Outage::new("test");
        let mut fail = |cause: &str| outage.fail(&io::Error::other(cause.to_owned()));
        ["full", "full", "locked", "full", "locked"].into_iter().for_each(&mut fail);
        (0..100).for_each(|nth| fail(&format!("cause {nth}")));
        outage.end();
        outage.end();
        outage.note(&Err::<(), _>(io::Error::other("full")));
        outage.note(&Ok::<(), io::Error>(()));
        outage.leave();
        let text = log.text();
        let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
        assert_eq!(count("fails; retrying"), CAUSES_MAX + 1, "{text}");
        assert_eq!((count("error=full"), count("error=locked"), count("works again")), (2, 1, 2), "{text}");
    }

    #[test]
    fn lasting_trouble_is_told_of_at_intervals() {
        let mut trouble = RepeatedProblem::default();
        let mut logged = Vec::new();
        for second in 0..90_u64 {
            if trouble.is_news(Mono(Duration::from_secs(second).as_nanos().try_into().unwrap())) {
                logged.push(second);
            }
        }
        assert_eq!(logged, [0, 30, 60]);
    }
}
