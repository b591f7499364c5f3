//! Log lines about failing loops: one when a loop begins to fail, one for each further cause, and one when it works
//! again.

use std::error::Error;
use std::time::Duration;

use access::Mono;

/// Minimum time between two lines about the same problem.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Maximum number of causes that are logged per outage; a text that never repeats would flood the log.
const CAUSES_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Outage {
    part: &'static str,
    /// Causes that were logged since the loop last worked; the loop fails while there are any.
    told: Vec<String>,
}

impl Outage {
    /// `part` names the loop in the log.
    pub(crate) const fn new(part: &'static str) -> Self {
        Self { part, told: Vec::new() }
    }

    /// Records the result of one attempt.
    pub(crate) fn note<T, E: Error>(&mut self, result: &Result<T, E>) {
        match result {
            Ok(_) if self.told.is_empty() => {}
            Ok(_) => {
                self.told.clear();
                tracing::info!(part = self.part, "works again");
            }
            Err(error) => {
                let cause = causes(error);
                if self.is_news(format!("{error}: {cause}")) {
                    tracing::error!(part = self.part, %error, cause, "fails; retrying");
                }
            }
        }
    }

    fn is_news(&mut self, cause: String) -> bool {
        let news = self.told.len() < CAUSES_MAX && !self.told.contains(&cause);
        if news {
            self.told.push(cause);
        }
        news
    }
}

/// A problem that occurs many times a second with pauses, so that its end cannot be detected.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Option<Mono>);

impl Trouble {
    /// Whether a line is due for the problem, which occurs `now`.
    pub(crate) fn is_news(&mut self, now: Mono) -> bool {
        let news = self.0.is_none_or(|told| now.since(told) >= AGAIN_AFTER);
        if news {
            self.0 = Some(now);
        }
        news
    }
}

/// Joins the messages of an error's source chain.
pub(crate) fn causes(error: &dyn Error) -> String {
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
    use super::*;

    #[test]
    fn an_outage_is_told_of_once_a_cause_until_it_ends() {
        let mut outage = Outage::new("test");
        let mut news = |cause: &str| outage.is_news(cause.to_owned());
        assert_eq!(["full", "full", "locked", "full", "locked"].map(&mut news), [true, false, true, false, false]);
        let endless = (0..100).filter(|nth| news(&nth.to_string())).count();
        assert_eq!(endless, CAUSES_MAX - 2);
        outage.note::<(), std::fmt::Error>(&Ok(()));
        assert!(outage.is_news("full".to_owned()));
    }

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
