//! Sums over the attempts of one event.

use access::NanoUsd;
use meter::{Attempt, Usage};

/// Adds up the usage of the attempts; its source is the least reliable of theirs. `None` if no usage is known.
pub(super) fn usage(attempts: &[Attempt]) -> Option<Usage> {
    attempts.iter().filter_map(|attempt| attempt.usage).reduce(|a, b| a.and(&b))
}

/// Adds up the known costs of the attempts; `None` if no cost is known.
pub(super) fn cost(attempts: &[Attempt]) -> Option<NanoUsd> {
    attempts.iter().filter_map(|attempt| attempt.cost).reduce(NanoUsd::saturating_add)
}

/// Adds up the known costs of the attempts with the user's own credential; `None` without such an attempt.
pub(super) fn own_cost(attempts: &[Attempt]) -> Option<NanoUsd> {
    let own = attempts.iter().filter(|attempt| attempt.own_credential);
    own.map(|attempt| attempt.cost.unwrap_or_default()).reduce(NanoUsd::saturating_add)
}
