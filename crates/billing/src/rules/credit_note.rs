//! Credit notes: the tax of each is the difference of the taxes before and after it.

use thiserror::Error;

use super::rounding::AmountOverflow;
use super::tax::TaxRule;

/// The amounts of a credit note; both are positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditNote {
    /// The part of the invoice's subtotal.
    pub subtotal: i64,
    /// The part of the invoice's tax.
    pub tax: i64,
}

/// Why a credit note is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CreditNoteError {
    /// The amount is not positive, or larger than the part of the invoice that was not credited yet.
    #[error("a credit note must be at least 1 and at most {remaining}, which earlier credit notes left")]
    Amount {
        /// The part of the subtotal that remains.
        remaining: i64,
    },
    /// An amount does not fit.
    #[error(transparent)]
    Overflow(#[from] AmountOverflow),
}

/// Returns the credit note of `amount` on an invoice of which `remaining` of the subtotal was not credited yet. With this
/// rule, the taxes of notes over the whole subtotal add up to the invoice's tax.
///
/// # Errors
/// [`CreditNoteError`] if the amount is not in the range.
pub fn credit_note(rule: Option<&TaxRule>, remaining: i64, amount: i64) -> Result<CreditNote, CreditNoteError> {
    if !(1..=remaining).contains(&amount) {
        return Err(CreditNoteError::Amount { remaining });
    }
    let of = |subtotal: i64| rule.map_or(Ok(0), |rule| rule.on(subtotal).map(|tax| tax.amount));
    Ok(CreditNote { subtotal: amount, tax: of(remaining)? - of(remaining - amount)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tax::ppn;
    use proptest::prelude::*;

    #[test]
    fn credit_notes_of_all_lines_add_up_to_the_invoice() {
        let (mut remaining, mut taxes) = (27_916, Vec::new());
        for amount in [6_833, 6_833, 5_750, 8_500] {
            let note = credit_note(Some(&ppn()), remaining, amount).unwrap();
            remaining -= note.subtotal;
            taxes.push(note.tax);
        }
        assert_eq!((remaining, taxes.as_slice()), (0, [752, 751, 633, 935].as_slice()));
        assert_eq!(taxes.iter().sum::<i64>(), ppn().on(27_916).unwrap().amount);
    }

    #[test]
    fn no_more_is_credited_than_the_invoice_has() {
        for amount in [0, -1, 101, i64::MAX, i64::MIN] {
            let refused = Err(CreditNoteError::Amount { remaining: 100 });
            assert_eq!(credit_note(Some(&ppn()), 100, amount), refused, "{amount}");
        }
        assert_eq!(credit_note(None, 100, 100), Ok(CreditNote { subtotal: 100, tax: 0 }));
    }

    proptest! {
        #[test]
        fn any_sequence_of_notes_carries_the_whole_tax(parts in prop::collection::vec(1_i64..1_000_000, 1..20)) {
            let subtotal: i64 = parts.iter().sum();
            let (mut remaining, mut tax) = (subtotal, 0);
            for part in parts {
                let note = credit_note(Some(&ppn()), remaining, part).unwrap();
                prop_assert!(note.tax >= 0);
                remaining -= part;
                tax += note.tax;
            }
            prop_assert_eq!((remaining, tax), (0, ppn().on(subtotal).unwrap().amount));
        }
    }
}
