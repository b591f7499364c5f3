//! The amounts that a request charges to budgets.

use access::{Amount, Credits, Tokens};
use meter::Charge;
use serde::Serialize;

use super::wire::{Field, InvalidPayload, PayloadReader};

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct ChargePayload {
    /// Whole credits, rounded down; [`fraction_field`] has the rest.
    credits: u64,
    tokens: Tokens,
    /// Unsigned in the frozen base; a charge is never negative.
    nano_usd: Amount,
}

impl ChargePayload {
    /// Reads the amounts of a charge.
    pub(super) fn read(reader: &mut PayloadReader<'_>) -> Result<Self, InvalidPayload> {
        let credits = reader.number()?;
        let tokens = Tokens(reader.number()?);
        Ok(Self { credits, tokens, nano_usd: Amount(reader.number()?) })
    }
}

/// Returns the value of the field of the fraction of a credit, in micro-credits; `None` without a fraction.
pub(super) fn fraction_field(credits: Credits) -> Option<u32> {
    u32::try_from(credits.0 % Credits::MICRO).ok().filter(|micro| *micro > 0)
}

/// Adds a field of the fraction of a credit to the whole credits of a base.
pub(super) fn read_fraction(credits: &mut Credits, field: Field<'_>) -> Result<(), InvalidPayload> {
    let micro: u32 = field.value()?;
    if u64::from(micro) >= Credits::MICRO {
        return Err(InvalidPayload);
    }
    *credits = credits.saturating_add(Credits(micro.into()));
    Ok(())
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
        Self { credits: credits.rounded_down(), tokens, nano_usd: Amount::of_money(money) }
    }
}

impl From<ChargePayload> for Charge {
    fn from(ChargePayload { credits, tokens, nano_usd }: ChargePayload) -> Self {
        Self { credits: Credits::whole(credits), tokens, ..Self::money(nano_usd.money()) }
    }
}
