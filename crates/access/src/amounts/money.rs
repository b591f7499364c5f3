//! Money of billing: whole rupiah or nano-USD, always with the currency.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::amounts::usd::{self, UsdError};

/// Decimal places of the price of one unit of usage: pico-rupiah or pico-USD.
pub const PICO_PLACES: usize = 12;

/// A currency of prices and invoices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Currency {
    /// Indonesian rupiah, in whole rupiah.
    #[serde(rename = "IDR")]
    Idr,
    /// US dollars, in nano-USD.
    #[serde(rename = "USD")]
    Usd,
}

/// An amount of money, in the smallest unit of its currency: whole rupiah, or nano-USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Whole rupiah, or nano-USD; negative for credits.
    pub amount: i64,
    /// The currency of the amount.
    pub currency: Currency,
}

/// The price of one unit of usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UnitPrice {
    /// Pico-rupiah or pico-USD per unit; at least 0.
    pub pico: i64,
    /// The currency of the price.
    pub currency: Currency,
}

/// Why a text is not an amount of money. The message describes the expected text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MoneyError {
    /// The currency is missing or unknown, or the number is malformed.
    #[error("an amount with its currency, such as \"150000 IDR\" or \"12.50 USD\"")]
    Malformed,
    /// The amount has more decimal places than the currency supports.
    #[error("at most {places} decimal places")]
    TooFine {
        /// The number of supported decimal places.
        places: usize,
    },
    /// The amount does not fit into 64 bits.
    #[error("a smaller amount")]
    TooLarge,
}

impl Currency {
    /// Returns the code of ISO 4217.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Idr => "IDR",
            Self::Usd => "USD",
        }
    }

    /// Returns the currency with this code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        [Self::Idr, Self::Usd].into_iter().find(|currency| currency.code() == code)
    }

    /// Decimal places of an amount: rupiah have none.
    #[must_use]
    pub const fn places(self) -> usize {
        match self {
            Self::Idr => 0,
            Self::Usd => 9,
        }
    }
}

impl From<UsdError> for MoneyError {
    fn from(error: UsdError) -> Self {
        match error {
            UsdError::Malformed | UsdError::Currency => Self::Malformed,
            UsdError::TooFine { places } => Self::TooFine { places },
            UsdError::TooLarge | UsdError::TooMuch => Self::TooLarge,
        }
    }
}

/// Splits `"150000 IDR"` into the number and the currency.
fn parts(text: &str) -> Result<(&str, Currency), MoneyError> {
    let (number, code) = text.split_once(' ').ok_or(MoneyError::Malformed)?;
    Ok((number, Currency::of_code(code).ok_or(MoneyError::Malformed)?))
}

impl Money {
    /// Parses `"150000 IDR"` or `"12.50 USD"`.
    ///
    /// # Errors
    /// [`MoneyError`]: signs, exponents and separators are not accepted, and rupiah have no decimal places.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let (number, currency) = parts(text)?;
        let amount = usd::parse(number, currency.places())?;
        Ok(Self { amount: i64::try_from(amount).map_err(|_| MoneyError::TooLarge)?, currency })
    }

    /// Returns whole rupiah as money.
    #[must_use]
    pub const fn rupiah(amount: i64) -> Self {
        Self { amount, currency: Currency::Idr }
    }

    /// Returns the amount as a decimal number without the currency: `150000`, `12.5`.
    #[must_use]
    pub fn decimal(self) -> String {
        let sign = if self.amount < 0 { "-" } else { "" };
        format!("{sign}{}", usd::written(self.amount.unsigned_abs(), self.currency.places()))
    }
}

impl UnitPrice {
    /// Parses `"0.5 IDR"` with at most 12 decimal places.
    ///
    /// # Errors
    /// [`MoneyError`], as for [`Money::parse`].
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        let (number, currency) = parts(text)?;
        let pico = usd::parse(number, PICO_PLACES)?;
        Ok(Self { pico: i64::try_from(pico).map_err(|_| MoneyError::TooLarge)?, currency })
    }

    /// Returns the price as a decimal number without the currency: `0.5`.
    #[must_use]
    pub fn decimal(self) -> String {
        usd::written(self.pico.unsigned_abs(), PICO_PLACES)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency.code())
    }
}

impl fmt::Display for UnitPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rupiah_are_never_multiplied_by_100() {
        assert_eq!(Money::parse("150000 IDR"), Ok(Money::rupiah(150_000)));
        assert_eq!(Money::rupiah(150_000).to_string(), "150000 IDR");
        assert_eq!(Money::parse("150000.00 IDR"), Ok(Money::rupiah(150_000)));
        assert_eq!(Money::parse("1.5 IDR"), Err(MoneyError::TooFine { places: 0 }));
    }

    #[test]
    fn money_is_written_as_it_is_read() {
        for (text, amount) in [("0 IDR", 0), ("9223372036854775807 IDR", i64::MAX), ("12.5 USD", 12_500_000_000)] {
            let read = Money::parse(text).unwrap();
            assert_eq!((read.amount, read.to_string().as_str()), (amount, text));
        }
        assert_eq!(Money::rupiah(-101_613).to_string(), "-101613 IDR");
        assert_eq!(UnitPrice::parse("0.5 IDR"), Ok(UnitPrice { pico: 500_000_000_000, currency: Currency::Idr }));
        assert_eq!(UnitPrice::parse("0.02 IDR").unwrap().to_string(), "0.02 IDR");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "150000", "150000IDR", "-1 IDR", "1e3 IDR", "1,000 IDR", "1 idr", "1 EUR", "1  IDR", " IDR"] {
            assert_eq!(Money::parse(text), Err(MoneyError::Malformed), "{text}");
        }
        for text in ["9223372036854775808 IDR", "99999999999999999999 IDR"] {
            assert_eq!(Money::parse(text), Err(MoneyError::TooLarge), "{text}");
        }
        assert_eq!(UnitPrice::parse("0.0000000000001 IDR"), Err(MoneyError::TooFine { places: 12 }));
    }
}
