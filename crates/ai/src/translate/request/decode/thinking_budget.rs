//! The effort of reasoning that a budget of tokens means.

use crate::translate::call::Effort;

/// The effort whose budget is at most `tokens`; see the encoder of Messages.
pub(in crate::translate::request) const fn effort(tokens: u64) -> Effort {
    match tokens {
        ..2_048 => Effort::Low,
        2_048..4_096 => Effort::Medium,
        4_096..8_192 => Effort::High,
        8_192..16_384 => Effort::Xhigh,
        _ => Effort::Max,
    }
}
