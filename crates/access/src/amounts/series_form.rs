//! The form of invoice numbers: one series per year, without gaps.

use std::fmt;

/// The form of numbers in one series per year: `INV-{year}-{seq:6}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesForm {
    before_year: String,
    after_year: String,
    digits: usize,
}

/// The longest form of a number.
const SERIES_LEN_MAX: usize = 40;

impl SeriesForm {
    /// Returns the usual form, `INV-{year}-{seq:6}`.
    #[must_use]
    pub fn usual() -> Self {
        Self { before_year: "INV-".to_owned(), after_year: "-".to_owned(), digits: 6 }
    }

    /// Parses a text with `{year}` and, at its end, `{seq:N}`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (before_year, rest) = text.split_once("{year}")?;
        let (after_year, sequence) = rest.split_once("{seq:")?;
        let digits: usize = sequence.strip_suffix('}')?.parse().ok()?;
        let is_fit = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'/'));
        let has_form = sequence.len() == 2 && (1..=9).contains(&digits) && text.len() <= SERIES_LEN_MAX;
        (has_form && is_fit(before_year) && is_fit(after_year)).then(|| Self {
            before_year: before_year.to_owned(),
            after_year: after_year.to_owned(),
            digits,
        })
    }

    /// Returns the form of credit notes, which have a series of their own: `CN-{year}-{seq:6}`.
    #[must_use]
    pub fn of_credit_notes(&self) -> Self {
        Self { before_year: "CN-".to_owned(), after_year: "-".to_owned(), digits: self.digits }
    }

    /// Returns the name of the series of a year: `INV-2026-`.
    #[must_use]
    pub fn series(&self, year: u64) -> String {
        format!("{}{year}{}", self.before_year, self.after_year)
    }

    /// Returns a number of a series: `INV-2026-000001`.
    #[must_use]
    pub fn number(&self, series: &str, sequence: i64) -> String {
        format!("{series}{sequence:0digits$}", digits = self.digits)
    }
}

impl fmt::Display for SeriesForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{year}}{}{{seq:{}}}", self.before_year, self.after_year, self.digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_series_per_year() {
        let form = SeriesForm::usual();
        assert_eq!((form.to_string().as_str(), form.series(2026).as_str()), ("INV-{year}-{seq:6}", "INV-2026-"));
        assert_eq!(form.number(&form.series(2026), 42), "INV-2026-000042");
        assert_eq!(form.number(&form.series(2026), 12_345_678), "INV-2026-12345678");
        assert_eq!(form.of_credit_notes().series(2026), "CN-2026-");
        assert_eq!(SeriesForm::parse("INV-{year}-{seq:6}"), Some(form));
        for text in ["", "{year}", "{seq:6}", "{year}{seq:0}", "{year}{seq:10}", "{seq:6}{year}", "a b{year}{seq:6}"] {
            assert_eq!(SeriesForm::parse(text), None, "{text}");
        }
    }
}
