//! The tokens that a call counts in limits of tokens.

use access::{NanoUsd, Tokens};
use ai::bound::Estimate;
use meter::{Attempt, Outcome};

use crate::account::RequestAccount;

/// The ending of a call whose usage may be unknown.
struct CallEnd {
    /// The tokens that the call has reserved.
    reserved: Estimate,
    /// The tokens of the last attempt, whose stream the client may have left.
    reserved_by_last: Estimate,
    /// Whether the last response was aborted, so that it has reported only a part of its usage.
    is_partial: bool,
}

impl RequestAccount {
    /// Replaces the tokens that the call has reserved by those that its attempts have used.
    pub(super) fn settle_tokens(&mut self, outcome: Outcome) {
        let Some(inference) = &mut self.inference else { return };
        let Some(tokens) = inference.tokens.take() else { return };
        let reported = tokens.reported().cloned();
        let Estimate { input, output } = tokens.estimate();
        let is_stream_left =
            outcome == Outcome::CallerGone && inference.call.as_ref().is_some_and(|call| call.streamed);
        // A client that leaves a stream cannot use up its limit with output that it does not read: a token has at least a byte.
        let read = if is_stream_left { Tokens(self.ending.response_bytes) } else { Tokens::MAX };
        let end = CallEnd {
            reserved: tokens.estimate(),
            reserved_by_last: Estimate { input, output: output.min(read) },
            is_partial: inference.is_usage_partial,
        };
        let now = self.request.worker().shared.clock.mono();
        tokens.settle(used(&self.attempts, &end), now);
        if let Some(item) = reported {
            self.counted_limits().note(item);
        }
    }
}

/// Returns the tokens that `attempts` have used. An attempt without reported usage has used its reservation.
fn used(attempts: &[Attempt], end: &CallEnd) -> Estimate {
    let CallEnd { reserved, reserved_by_last, is_partial } = end;
    let last = attempts.len().saturating_sub(1);
    attempts.iter().enumerate().fold(Estimate::default(), |sum, (place, attempt)| {
        let reserved = if place == last { reserved_by_last } else { reserved };
        let used = match (attempt.usage, attempt.cost) {
            (Some(usage), _) => {
                let output = usage.all_output().unwrap_or_default();
                let output = if *is_partial && place == last { output.max(reserved.output) } else { output };
                Estimate { input: usage.all_input().unwrap_or_default(), output }
            }
            (None, Some(NanoUsd::ZERO)) => Estimate::default(),
            (None, _) => *reserved,
        };
        Estimate { input: sum.input.saturating_add(used.input), output: sum.output.saturating_add(used.output) }
    })
}

#[cfg(test)]
mod tests {
    use meter::{Source, Usage};

    use super::*;

    fn attempt(usage: Option<[u64; 2]>, cost: Option<i64>) -> Attempt {
        let of = |[input, output]: [u64; 2]| Usage {
            input: Some(Tokens(input)),
            output: Some(Tokens(output)),
            ..Usage::empty(Source::Reported)
        };
        Attempt {
            provider: "openai".into(),
            model: None,
            answered_model: None,
            status: Some(200),
            upstream_id: None,
            usage: usage.map(of),
            raw_usage: None,
            cost: cost.map(NanoUsd),
            unknown: None,
            price_version: None,
            own_credential: false,
            first_byte_us: None,
            duration_us: 1,
        }
    }

    #[test]
    fn an_unreported_attempt_counts_its_reservation_and_an_aborted_one_at_least_its_output() {
        let reserved = Estimate { input: Tokens(100), output: Tokens(50) };
        for (attempts, is_partial, expected) in [
            (vec![], false, [0, 0]),
            (vec![attempt(Some([7, 3]), None)], false, [7, 3]),
            (vec![attempt(Some([7, 3]), None)], true, [7, 50]),
            (vec![attempt(Some([7, 99]), None)], true, [7, 99]),
            (vec![attempt(None, None)], false, [100, 50]),
            (vec![attempt(None, Some(0)), attempt(Some([7, 3]), Some(1))], false, [7, 3]),
            (vec![attempt(Some([1, 2]), None), attempt(None, None)], false, [101, 52]),
        ] {
            let Estimate { input, output } =
                used(&attempts, &CallEnd { reserved, reserved_by_last: reserved, is_partial });
            assert_eq!([input.0, output.0], expected, "{attempts:?} {is_partial}");
        }
    }

    #[test]
    fn a_stream_that_the_client_leaves_reduces_the_tokens_of_the_last_attempt_only() {
        let reserved = Estimate { input: Tokens(100), output: Tokens(50) };
        let reserved_by_last = Estimate { output: Tokens(4), ..reserved };
        let end = CallEnd { reserved, reserved_by_last, is_partial: false };
        let Estimate { input, output } = used(&[attempt(None, None), attempt(None, None)], &end);
        assert_eq!([input.0, output.0], [200, 54]);
    }
}
