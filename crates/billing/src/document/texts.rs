//! The texts of a document in the order of printing. All renderers print the same texts.

use crate::language::Language;

/// The texts of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DocumentTexts {
    /// The language of the texts.
    pub(super) language: Language,
    /// The kind and the number.
    pub(super) title: String,
    /// Names and values below the title.
    pub(super) head: Vec<(String, String)>,
    /// The seller, then the customer.
    pub(super) parties: [PartyTexts; 2],
    /// The heads of the table's columns.
    pub(super) columns: [&'static str; 4],
    /// The lines of the invoice.
    pub(super) rows: Vec<RowTexts>,
    /// The sums below the table.
    pub(super) sums: Vec<SumTexts>,
}

/// A seller or a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PartyTexts {
    /// The role of the party.
    pub(super) label: &'static str,
    /// Name, address, tax number and e-mail address, without empty ones. Each may have line breaks.
    pub(super) lines: Vec<String>,
}

/// A line of the invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowTexts {
    /// The description of the line.
    pub(super) text: String,
    /// The days, below the description.
    pub(super) days: String,
    /// The quantity with its unit.
    pub(super) quantity: String,
    /// The price of a unit; empty without one.
    pub(super) price: String,
    /// The amount of the line.
    pub(super) amount: String,
}

/// A sum below the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SumTexts {
    /// The name of the sum.
    pub(super) name: String,
    /// The amount of the sum.
    pub(super) value: String,
    /// Whether the sum is emphasized.
    pub(super) is_total: bool,
}
