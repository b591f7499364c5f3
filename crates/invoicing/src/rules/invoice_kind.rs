//! The kinds of invoices.

/// The kind of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceKind {
    /// A period of a plan in advance, and the usage of the ended period.
    Period,
    /// The rest of a period after an upgrade.
    Change,
    /// Money for the wallet.
    Topup,
    /// Lines that finance wrote.
    Manual,
    /// A part of another invoice that is taken back.
    CreditNote,
}

impl InvoiceKind {
    /// All kinds, as the table of invoices has them.
    pub const ALL: [Self; 5] = [Self::Period, Self::Change, Self::Topup, Self::Manual, Self::CreditNote];

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Period => "period",
            Self::Change => "change",
            Self::Topup => "topup",
            Self::Manual => "manual",
            Self::CreditNote => "credit_note",
        }
    }

    /// Returns the kind with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}
