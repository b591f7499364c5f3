//! The amounts that a request charges to budgets.

use access::{Amount, Credits, Tokens};
use meter::Charge;
use serde::Serialize;

use super::wire::{InvalidPayload, PayloadReader};

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct ChargePayload {
    credits: Credits,
    tokens: Tokens,
    /// Unsigned in the frozen base; a charge is never negative.
    nano_usd: Amount,
}

impl ChargePayload {
    /// Reads the amounts of a charge.
    pub(super) fn read(reader: &mut PayloadReader<'_>) -> Result<Self, InvalidPayload> {
        let (credits, tokens) = (Credits(reader.number()?), Tokens(reader.number()?));
        Ok(Self { credits, tokens, nano_usd: Amount(reader.number()?) })
    }
}

impl From<Charge> for ChargePayload {
    fn from(Charge { credits, tokens, money }: Charge) -> Self {
        Self { credits, tokens, nano_usd: Amount::of_money(money) }
    }
}

impl From<ChargePayload> for Charge {
    fn from(ChargePayload { credits, tokens, nano_usd }: ChargePayload) -> Self {
        Self { credits, tokens, money: nano_usd.money() }
    }
}
