//! The amounts that a request charges to budgets.

use meter::Charge;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct ChargePayload {
    credits: u64,
    tokens: u64,
    nano_usd: u64,
}

impl From<Charge> for ChargePayload {
    fn from(Charge { credits, tokens, money }: Charge) -> Self {
        Self { credits, tokens, nano_usd: money }
    }
}

impl From<ChargePayload> for Charge {
    fn from(ChargePayload { credits, tokens, nano_usd }: ChargePayload) -> Self {
        Self { credits, tokens, money: nano_usd }
    }
}
