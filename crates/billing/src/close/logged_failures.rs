//! The failures of a close that were logged.

use std::collections::HashMap;

use uuid::Uuid;

/// Maximum number of subscriptions whose failure is remembered.
const TOLD_MAX: usize = 10_000;

/// The subscriptions whose failure was logged, with its cause: a job that runs every minute logs each cause once.
#[derive(Debug, Default)]
pub(super) struct LoggedFailures(HashMap<Uuid, String>);

impl LoggedFailures {
    /// Notes the cause of a failure; `false` if it was noted before.
    pub(super) fn note(&mut self, subscription: Uuid, cause: &str) -> bool {
        if self.0.get(&subscription).is_some_and(|logged| logged == cause) {
            return false;
        }
        if self.0.len() >= TOLD_MAX {
            self.0.clear();
        }
        self.0.insert(subscription, cause.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_of_a_subscription_is_told_once() {
        let mut logged = LoggedFailures::default();
        let [one, other] = [1, 2].map(Uuid::from_u128);
        let causes = [(one, "a"), (other, "a"), (one, "a"), (one, "b"), (one, "b"), (other, "a")];
        assert_eq!(causes.map(|(of, cause)| logged.note(of, cause)), [true, true, false, true, false, false]);
    }
}
