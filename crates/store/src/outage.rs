//! One log line when a loop begins to fail and one a further cause, one when it works again.

use std::error::Error;
use std::time::Duration;

use access::Mono;

/// The least time between two lines about the same trouble.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Causes of one outage that are told of; a text that never repeats is no news.
const CAUSES_MAX: usize = 8;

#[derive(Debug)]
pub(crate) struct Outage {
    part: &'static str,
    /// The causes that were told of since it last worked; it fails while there are any.
    told: Vec<String>,
}

impl Outage {
    /// `part` names the loop in the log.
    pub(crate) const fn new(part: &'static str) -> Self {
        Self { part, told: Vec::new() }
    }

    /// Notes how an attempt ended.
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
                    tracing::error!(part = self.part, %error, cause, "fails; it is tried again");
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
        let text = cause.to_string();
        // Some repeat their cause's words.
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
