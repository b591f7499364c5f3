//! The result of a request, by which it is counted: succeeded, refused or failed. All figures, pages and metrics that
//! distinguish results use [`RequestResult::from_outcome`]; a test of `ledger` compares the SQL text of the
//! store with it.

use access::Refusal;
use access::refusal::Side;

use crate::event::{Counts, Outcome, UsageEvent};

/// The status of a request whose client disconnects before it receives one. nginx uses it; RFC 9110 defines none.
pub const CALLER_GONE: u16 = 499;

/// The distance from the class of a status to the status class of requests that reached no upstream.
pub const UNSENT_CLASS: u8 = 10;
/// The same for requests that Tollgate refused.
pub const REFUSED_CLASS: u8 = 20;

/// The result of a request. Each request has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestResult {
    /// Neither refused nor failed. The client may have disconnected before the end.
    Succeeded,
    /// Tollgate did not forward the request, because the request is invalid, its credential is not accepted or a limit
    /// is exhausted; or Tollgate ended it because a budget was exhausted.
    Refused,
    /// The upstream responded with an error, sent no complete response or could not be reached, or Tollgate failed.
    Failed,
}

impl RequestResult {
    /// All results; the position of a result is its number in the store.
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Refused, Self::Failed];

    /// Returns the result of a request with this status, outcome and error code.
    #[must_use]
    pub fn from_outcome(status: u16, outcome: Outcome, refusal: Option<&str>) -> Self {
        if outcome == Outcome::BudgetCut || refusal.is_some_and(is_refusal_of_client) {
            return Self::Refused;
        }
        match outcome {
            Outcome::CallerGone if status == CALLER_GONE => Self::Succeeded,
            Outcome::UpstreamCut | Outcome::TimedOut | Outcome::Drained | Outcome::Interrupted => Self::Failed,
            Outcome::Completed | Outcome::CallerGone | Outcome::BudgetCut => {
                if status >= 400 || refusal.is_some() {
                    Self::Failed
                } else {
                    Self::Succeeded
                }
            }
        }
    }

    /// Returns the status class under which a request without an event is counted: 1 to 3 if it succeeded, 4 or 5 if it
    /// failed, and 0 if its client disconnected before it received a status. A response that failed although its status
    /// is less than 400, such as one that the upstream cut, is in class 5.
    #[must_use]
    pub fn status_class(status: u16, outcome: Outcome) -> u8 {
        let class = u8::try_from(status / 100).unwrap_or(0);
        match Self::from_outcome(status, outcome, None) {
            Self::Succeeded if status == CALLER_GONE => 0,
            Self::Failed if class < 4 => 5,
            Self::Succeeded | Self::Refused | Self::Failed => class,
        }
    }

    /// Returns the status class of a request without an event that reached no upstream: the class of its status plus
    /// [`UNSENT_CLASS`], or plus [`REFUSED_CLASS`] if Tollgate refused it.
    #[must_use]
    pub fn unsent_class(status: u16, outcome: Outcome, refusal: Option<&str>) -> u8 {
        let class = match u8::try_from(status / 100).unwrap_or(0) {
            _ if status == CALLER_GONE => 0,
            class @ 0..=5 => class,
            _ => 5,
        };
        match Self::from_outcome(status, outcome, refusal) {
            Self::Refused => REFUSED_CLASS + class,
            Self::Failed => UNSENT_CLASS + class.max(4),
            Self::Succeeded => UNSENT_CLASS + class.min(3),
        }
    }

    /// Returns the result of requests that are counted under a status class.
    #[must_use]
    pub const fn of_class(status_class: u8) -> Self {
        match status_class {
            REFUSED_CLASS.. => Self::Refused,
            class if class % 10 >= 4 => Self::Failed,
            _ => Self::Succeeded,
        }
    }

    /// Returns the result with this number. A number of a later version is a failure.
    #[must_use]
    pub fn of_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|result| result.number() == number).unwrap_or(Self::Failed)
    }

    /// Returns the name in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// Returns the number in the store.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Succeeded => 0,
            Self::Refused => 1,
            Self::Failed => 2,
        }
    }
}

impl UsageEvent {
    /// Returns the result by which the request is counted.
    #[must_use]
    pub fn result(&self) -> RequestResult {
        RequestResult::from_outcome(self.status, self.outcome, self.refusal.as_deref())
    }
}

impl Counts {
    /// Returns the number of requests that reached an upstream, which totals of usage contain.
    #[must_use]
    pub const fn sent_requests(&self) -> u64 {
        if self.status_class < UNSENT_CLASS { self.requests } else { 0 }
    }
}

/// Returns whether the client can correct the cause of the error. A code of a later version of Tollgate is a failure.
fn is_refusal_of_client(code: &str) -> bool {
    refusals_of_clients().any(|refusal| refusal.code() == code)
}

/// Returns the error codes of refused requests.
pub fn refusals_of_clients() -> impl Iterator<Item = Refusal> {
    Refusal::ALL.iter().copied().filter(|refusal| refusal.side() == Side::Client)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_has_one_result() {
        use RequestResult::{Failed, Refused, Succeeded};
        for (status, outcome, refusal, expected) in [
            (200, Outcome::Completed, None, Succeeded),
            (304, Outcome::Completed, None, Succeeded),
            (404, Outcome::Completed, None, Failed),
            (429, Outcome::Completed, None, Failed),
            (503, Outcome::Completed, None, Failed),
            (429, Outcome::Completed, Some("quota_exceeded"), Refused),
            (404, Outcome::Completed, Some("model_not_found"), Refused),
            (502, Outcome::Completed, Some("upstream_connect"), Failed),
            (503, Outcome::Completed, Some("overloaded"), Failed),
            (400, Outcome::Completed, Some("code_of_a_later_version"), Failed),
            (200, Outcome::UpstreamCut, None, Failed),
            (200, Outcome::TimedOut, None, Failed),
            (200, Outcome::Drained, None, Failed),
            (0, Outcome::Interrupted, None, Failed),
            (200, Outcome::BudgetCut, None, Refused),
            (200, Outcome::CallerGone, None, Succeeded),
            (499, Outcome::CallerGone, None, Succeeded),
            (500, Outcome::CallerGone, None, Failed),
            (499, Outcome::Completed, None, Failed),
        ] {
            assert_eq!(
                RequestResult::from_outcome(status, outcome, refusal),
                expected,
                "{status} {outcome:?} {refusal:?}"
            );
        }
    }

    #[test]
    fn counts_of_a_class_have_the_result_of_their_requests() {
        for status in [0, 101, 200, 204, 304, 404, 429, 499, 500, 503] {
            for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::BudgetCut) {
                let class = RequestResult::status_class(status, outcome);
                assert_eq!(
                    RequestResult::of_class(class),
                    RequestResult::from_outcome(status, outcome, None),
                    "{status} {outcome:?}"
                );
            }
        }
        for (status, refusal, class, result) in [
            (200, None, 12, RequestResult::Succeeded),
            (308, None, 13, RequestResult::Succeeded),
            (404, None, 14, RequestResult::Failed),
            (502, Some("upstream_connect"), 15, RequestResult::Failed),
            (429, Some("quota_exceeded"), 24, RequestResult::Refused),
            (503, Some("quota_exceeded"), 25, RequestResult::Refused),
            (999, None, 15, RequestResult::Failed),
        ] {
            assert_eq!(RequestResult::unsent_class(status, Outcome::Completed, refusal), class, "{status}");
            assert_eq!(RequestResult::of_class(class), result, "{status}");
        }
        assert_eq!(RequestResult::unsent_class(499, Outcome::CallerGone, None), 10);
        assert_eq!(RequestResult::status_class(200, Outcome::UpstreamCut), 5);
        assert_eq!(RequestResult::status_class(499, Outcome::CallerGone), 0);
    }

    #[test]
    fn the_position_of_a_result_is_its_number() {
        for (nth, result) in (0..).zip(RequestResult::ALL) {
            assert_eq!(result.number(), nth);
        }
    }
}
