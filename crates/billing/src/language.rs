//! The languages of documents and mails, and how each writes amounts, numbers and days. The pages write amounts in the
//! same way.

use std::fmt::Write as _;

use access::{Currency, Day, TimeZone, Timestamp};

/// A language of documents and of mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English, which writes `IDR 166,500`.
    English,
    /// Indonesian, which writes `Rp166.500`.
    Indonesian,
}

const NANO_PER_CENT: u64 = 10_000_000;
const PICO: u64 = 1_000_000_000_000;
const MICROS_PER_MINUTE: u64 = 60_000_000;
const MINUTES_PER_DAY: u64 = 1_440;
/// Decimal places of a price of a unit.
const PRICE_PLACES: usize = 12;
const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const INDONESIAN_MONTHS: [&str; 12] = [
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
];

impl Language {
    /// Both languages, English first.
    pub const ALL: [Self; 2] = [Self::English, Self::Indonesian];

    /// Returns the code, as it is stored.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Indonesian => "id",
        }
    }

    /// Returns the language with this code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.code() == code)
    }

    /// Returns one of two texts.
    #[must_use]
    pub const fn pick<'a>(self, english: &'a str, indonesian: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Indonesian => indonesian,
        }
    }

    /// Writes a number with separators of thousands.
    #[must_use]
    pub fn number(self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() * 2);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push_str(self.pick(",", "."));
            }
            text.push(digit);
        }
        text
    }

    /// Writes an amount: whole rupiah, or billionths of a dollar with two decimal places, rounded half up.
    #[must_use]
    pub fn money(self, amount: i64, currency: Currency) -> String {
        let sign = if amount < 0 { "-" } else { "" };
        let value = amount.unsigned_abs();
        match currency {
            Currency::Idr => format!("{sign}{}{}", self.pick("IDR ", "Rp"), self.number(value)),
            Currency::Usd => {
                let cents = value / NANO_PER_CENT + u64::from(value % NANO_PER_CENT >= NANO_PER_CENT / 2);
                format!("{sign}${}{}{:02}", self.number(cents / 100), self.pick(".", ","), cents % 100)
            }
        }
    }

    /// Writes the price of a unit, given in pico units of the currency, with all of its decimal places.
    #[must_use]
    pub fn unit_price(self, pico: i64, currency: Currency) -> String {
        let sign = if pico < 0 { "-" } else { "" };
        let (symbol, places_min, scale) = match currency {
            Currency::Idr => (self.pick("IDR ", "Rp"), 0, PICO),
            Currency::Usd => ("$", 2, PICO),
        };
        let value = pico.unsigned_abs();
        let decimals = format!("{:0PRICE_PLACES$}", value % scale);
        let kept = decimals.trim_end_matches('0').len().max(places_min);
        let mut text = format!("{sign}{symbol}{}", self.number(value / scale));
        if let Some(decimals) = decimals.get(..kept).filter(|decimals| !decimals.is_empty()) {
            // Writing to a String cannot fail.
            let _ = write!(text, "{}{decimals}", self.pick(".", ","));
        }
        text
    }

    /// Writes a UTC day: `27 November 2026`.
    #[must_use]
    pub fn day(self, day: Day) -> String {
        let date = day.civil();
        let months = match self {
            Self::English => ENGLISH_MONTHS,
            Self::Indonesian => INDONESIAN_MONTHS,
        };
        let month = usize::try_from(date.month).ok().and_then(|month| months.get(month.checked_sub(1)?).copied());
        format!("{} {} {}", date.day, month.unwrap_or_default(), date.year)
    }

    /// Writes a time of a zone to the minute: `27 November 2026, 19:00 WIB`.
    #[must_use]
    pub fn moment(self, at: Timestamp, zone: TimeZone) -> String {
        let at = zone.local(at);
        let zone = zone.short;
        let minutes = at.0 / MICROS_PER_MINUTE % MINUTES_PER_DAY;
        let hour = minutes / 60;
        let minute = minutes % 60;
        match self {
            Self::English => format!("{}, {hour:02}:{minute:02} {zone}", self.day(at.day())),
            Self::Indonesian => format!("{}, {hour:02}.{minute:02} {zone}", self.day(at.day())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_on_the_pages() {
        for (amount, currency, english, indonesian) in [
            (166_500, Currency::Idr, "IDR 166,500", "Rp166.500"),
            (0, Currency::Idr, "IDR 0", "Rp0"),
            (999, Currency::Idr, "IDR 999", "Rp999"),
            (-1_000_000, Currency::Idr, "-IDR 1,000,000", "-Rp1.000.000"),
            (i64::MIN, Currency::Idr, "-IDR 9,223,372,036,854,775,808", "-Rp9.223.372.036.854.775.808"),
            (1_234_565_000_000, Currency::Usd, "$1,234.57", "$1.234,57"),
            (5_000_000, Currency::Usd, "$0.01", "$0,01"),
            (4_999_999, Currency::Usd, "$0.00", "$0,00"),
            (-450_000_000, Currency::Usd, "-$0.45", "-$0,45"),
        ] {
            assert_eq!(Language::English.money(amount, currency), english);
            assert_eq!(Language::Indonesian.money(amount, currency), indonesian);
        }
    }

    #[test]
    fn prices_keep_their_decimal_places() {
        for (pico, currency, english, indonesian) in [
            (500_000_000_000, Currency::Idr, "IDR 0.5", "Rp0,5"),
            (250_000_000_000_000, Currency::Idr, "IDR 250", "Rp250"),
            (20_000_000_000, Currency::Idr, "IDR 0.02", "Rp0,02"),
            (2_500_000_000_000, Currency::Usd, "$2.50", "$2,50"),
            (1_000_000, Currency::Usd, "$0.000001", "$0,000001"),
        ] {
            assert_eq!(Language::English.unit_price(pico, currency), english);
            assert_eq!(Language::Indonesian.unit_price(pico, currency), indonesian);
        }
    }

    #[test]
    fn days_are_in_utc_and_times_in_a_zone() {
        let day = Day::parse("2026-08-27").unwrap();
        assert_eq!(Language::English.day(day), "27 August 2026");
        assert_eq!(Language::Indonesian.day(day), "27 Agustus 2026");
        let at = Timestamp(day.start().0 + 13 * 3_600_000_000 + 5 * 60_000_000);
        assert_eq!(Language::English.moment(at, TimeZone::UTC), "27 August 2026, 13:05 UTC");
        let (_, jayapura) = TimeZone::NAMED[4];
        assert_eq!(Language::Indonesian.moment(at, jayapura), "27 Agustus 2026, 22.05 WIT");
        let (_, jakarta) = TimeZone::NAMED[1];
        let at = Timestamp(at.0 + 4 * 3_600_000_000);
        assert_eq!(Language::English.moment(at, jakarta), "28 August 2026, 00:05 WIB");
    }
}
