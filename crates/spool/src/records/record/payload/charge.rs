//! The amounts that a request charges to budgets.

use access::{Amount, Credits, Tokens};
use meter::Charge;
use serde::Serialize;

use super::wire::{Field, InvalidPayload, PayloadReader};

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
        let credits = Credits(reader.number()?);
        let tokens = Tokens(reader.number()?);
        Ok(Self { credits, tokens, nano_usd: Amount(reader.number()?) })
    }
}

/// Returns the value of the field of the money that pooled budgets count; `None` if they count all of it.
pub(super) fn pooled_field(charge: &Charge) -> Option<Amount> {
    (charge.pooled_money != charge.money).then(|| Amount::of_money(charge.pooled_money))
}

/// Reads a field of the money that pooled budgets count.
pub(super) fn read_pooled(charge: &mut Charge, field: Field<'_>) -> Result<(), InvalidPayload> {
    charge.pooled_money = Amount(field.value()?).money();
    Ok(())
}

impl From<Charge> for ChargePayload {
    fn from(Charge { credits, tokens, money, .. }: Charge) -> Self {
        Self { credits, tokens, nano_usd: Amount::of_money(money) }
    }
}

impl From<ChargePayload> for Charge {
    fn from(ChargePayload { credits, tokens, nano_usd }: ChargePayload) -> Self {
        Self { credits, tokens, ..Self::money(nano_usd.money()) }
    }
}
