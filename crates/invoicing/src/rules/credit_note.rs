//! Credit notes: the tax of each is the difference of the taxes before and after it.

use thiserror::Error;

use super::rounding::{AmountOverflow, half_up};
use super::tax::{TaxAmount, TaxRule};

/// The amounts of a credit note; all are positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditNote {
    /// The part of the invoice's subtotal.
    pub subtotal: i64,
    /// The part of the invoice's tax, with its base.
    pub tax: TaxAmount,
}

/// The amounts of the invoice that a credit note corrects.
#[derive(Debug, Clone, Copy)]
pub struct CreditedInvoice<'a> {
    /// The sum of the invoice's lines.
    pub subtotal: i64,
    /// The tax of the invoice.
    pub tax: TaxAmount,
    /// The tax of the configuration, which may have changed since the invoice was made.
    pub rule: Option<&'a TaxRule>,
}

impl CreditedInvoice<'_> {
    /// Returns the tax on a part of the subtotal: by the rule that made the invoice's tax; if that rule is not known any
    /// more, the same share of the invoice's tax.
    fn tax_on(&self, part: i64) -> Result<TaxAmount, AmountOverflow> {
        if self.tax == TaxAmount::default() {
            return Ok(TaxAmount::default());
        }
        if let Some(rule) = self.rule.filter(|rule| rule.tax_on(self.subtotal) == Ok(self.tax)) {
            return rule.tax_on(part);
        }
        let share = |of: i64| half_up(i128::from(of) * i128::from(part), i128::from(self.subtotal));
        Ok(TaxAmount { base: share(self.tax.base)?, amount: share(self.tax.amount)? })
    }
}

/// Why a credit note is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CreditNoteError {
    /// The amount is not positive, or larger than the part of the invoice that was not credited yet.
    #[error("a credit note must be at least 1 and at most {remaining}, the amount that earlier credit notes left")]
    Amount {
        /// The part of the subtotal that remains.
        remaining: i64,
    },
    /// An amount does not fit.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
}

/// Returns the credit note of `amount` on an invoice whose subtotal has `remaining` that was not credited yet. With this
/// rule, the taxes of notes over the whole subtotal add up to the invoice's tax.
///
/// # Errors
/// [`CreditNoteError`] if the amount is not in the range.
pub fn credit_note(of: &CreditedInvoice<'_>, remaining: i64, amount: i64) -> Result<CreditNote, CreditNoteError> {
    if !(1..=remaining).contains(&amount) {
        return Err(CreditNoteError::Amount { remaining });
    }
    let before = of.tax_on(remaining)?;
    let after = of.tax_on(remaining - amount)?;
    let tax = TaxAmount { base: before.base - after.base, amount: before.amount - after.amount };
    Ok(CreditNote { subtotal: amount, tax })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tax::ppn;
    use proptest::prelude::*;

    fn taxed(subtotal: i64, rule: &TaxRule) -> CreditedInvoice<'_> {
        CreditedInvoice { subtotal, tax: rule.tax_on(subtotal).unwrap(), rule: Some(rule) }
    }

    #[test]
    fn credit_notes_of_all_lines_add_up_to_the_invoice() {
        let mut remaining = 27_916;
        let mut taxes = Vec::new();
        let rule = ppn();
        for amount in [6_833, 6_833, 5_750, 8_500] {
            let note = credit_note(&taxed(27_916, &rule), remaining, amount).unwrap();
            remaining -= note.subtotal;
            taxes.push(note.tax.amount);
        }
        assert_eq!((remaining, taxes.as_slice()), (0, [752, 751, 633, 935].as_slice()));
        assert_eq!(taxes.iter().sum::<i64>(), ppn().tax_on(27_916).unwrap().amount);
    }

    #[test]
    fn no_more_is_credited_than_the_invoice_has() {
        for amount in [0, -1, 101, i64::MAX, i64::MIN] {
            let refused = Err(CreditNoteError::Amount { remaining: 100 });
            assert_eq!(credit_note(&taxed(100, &ppn()), 100, amount), refused, "{amount}");
        }
        let untaxed = CreditedInvoice { subtotal: 100, tax: TaxAmount::default(), rule: Some(&ppn()) };
        let whole = CreditNote { subtotal: 100, tax: TaxAmount::default() };
        assert_eq!(credit_note(&untaxed, 100, 100), Ok(whole));
    }

    #[test]
    fn a_tax_that_changed_since_does_not_change_the_credit() {
        let tax = ppn().tax_on(27_916).unwrap();
        for rule in
            [None, Some(TaxRule { rate: crate::rules::tax::Fraction { numerator: 1, denominator: 10 }, ..ppn() })]
        {
            let invoice = CreditedInvoice { subtotal: 27_916, tax, rule: rule.as_ref() };
            let mut remaining = 27_916;
            let mut credited = TaxAmount::default();
            for amount in [6_833, 6_833, 5_750, 8_500] {
                let note = credit_note(&invoice, remaining, amount).unwrap();
                remaining -= amount;
                credited.base += note.tax.base;
                credited.amount += note.tax.amount;
            }
            assert_eq!(credited, tax);
        }
    }

    proptest! {
        #[test]
        fn any_sequence_of_notes_carries_the_whole_tax(parts in prop::collection::vec(1_i64..1_000_000, 1..20)) {
            let subtotal: i64 = parts.iter().sum();
            let mut remaining = subtotal;
            let mut tax = 0;
            let rule = ppn();
            for part in parts {
                let note = credit_note(&taxed(subtotal, &rule), remaining, part).unwrap();
                prop_assert!(note.tax.amount >= 0);
                remaining -= part;
                tax += note.tax.amount;
            }
            prop_assert_eq!((remaining, tax), (0, ppn().tax_on(subtotal).unwrap().amount));
        }
    }
}
