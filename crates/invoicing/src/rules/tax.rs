//! Tax on the subtotal of an invoice: one line, rounded once.

use access::Day;

use super::iso_day;
use super::rounding::{AmountOverflow, half_up};

/// A fraction, such as 12/100 or 11/12.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fraction {
    /// The number above the line.
    pub numerator: u32,
    /// The number below the line, at least 1.
    pub denominator: u32,
}

/// A tax that applies from a day.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TaxRule {
    /// The name on the invoice: `PPN`.
    pub name: String,
    /// The rate, of the base.
    pub rate: Fraction,
    /// The share of the subtotal that is taxed.
    pub base: Fraction,
    /// The first day on which the tax applies.
    #[serde(with = "iso_day")]
    pub from: Day,
}

/// The tax of an invoice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TaxAmount {
    /// The taxed part of the subtotal.
    pub base: i64,
    /// The tax on the base.
    pub amount: i64,
}

impl TaxRule {
    /// Returns the tax on a subtotal: base and tax are each rounded half up to the smallest unit.
    ///
    /// # Errors
    /// [`AmountOverflow`] if an amount does not fit.
    pub fn tax_on(&self, subtotal: i64) -> Result<TaxAmount, AmountOverflow> {
        let of = |amount: i64, fraction: Fraction| {
            half_up(i128::from(amount) * i128::from(fraction.numerator), i128::from(fraction.denominator))
        };
        let base = of(subtotal, self.base)?;
        Ok(TaxAmount { base, amount: of(base, self.rate)? })
    }

    /// Returns the tax of an invoice that is made on `day`; none before the first day of the rule.
    ///
    /// # Errors
    /// [`AmountOverflow`] if an amount does not fit.
    pub fn of_invoice(rule: Option<&Self>, subtotal: i64, day: Day) -> Result<TaxAmount, AmountOverflow> {
        rule.filter(|rule| rule.from <= day).map_or(Ok(TaxAmount::default()), |rule| rule.tax_on(subtotal))
    }
}

/// Returns the Indonesian value-added tax as tests use it.
#[cfg(test)]
pub(crate) fn ppn() -> TaxRule {
    TaxRule {
        name: "PPN".to_owned(),
        rate: Fraction { numerator: 12, denominator: 100 },
        base: Fraction { numerator: 11, denominator: 12 },
        from: Day::parse("2025-01-01").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_and_tax_are_rounded_half_up() {
        for (subtotal, base, amount, total) in [
            (150_000, 137_500, 16_500, 166_500),
            (13_750, 12_604, 1_512, 15_262),
            (914_516, 838_306, 100_597, 1_015_113),
            (4, 4, 0, 4),
            (5, 5, 1, 6),
            (0, 0, 0, 0),
        ] {
            let tax = ppn().tax_on(subtotal).unwrap();
            assert_eq!((tax.base, tax.amount, subtotal + tax.amount), (base, amount, total));
        }
    }

    #[test]
    fn no_tax_applies_without_a_rule_or_before_its_first_day() {
        let before = Day::parse("2024-12-31").unwrap();
        let first = Day::parse("2025-01-01").unwrap();
        assert_eq!(TaxRule::of_invoice(None, 150_000, first), Ok(TaxAmount::default()));
        assert_eq!(TaxRule::of_invoice(Some(&ppn()), 150_000, before), Ok(TaxAmount::default()));
        assert_eq!(TaxRule::of_invoice(Some(&ppn()), 150_000, first).unwrap().amount, 16_500);
    }
}
