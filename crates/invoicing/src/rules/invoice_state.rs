//! The states of an invoice, as a table.

/// The state of an invoice. Invoices that were opened and their lines never change; a correction is a credit note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceState {
    /// Computed, and computed again at each close until it is opened.
    Draft,
    /// Waits for the approval of finance.
    Review,
    /// Has a number, and waits for payment.
    Open,
    /// The invoice is paid in full.
    Paid,
    /// Taken back before anything was paid; it keeps its number, if it was opened.
    Void,
    /// The seller gave the invoice up.
    Uncollectible,
}

/// An event that may change the state of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvoiceEvent {
    /// The draft waits for finance.
    ReviewRequested,
    /// The draft is approved, or needs no approval; its total is above 0.
    Approved,
    /// The draft is approved, and its total is 0.
    ApprovedAsZero,
    /// Nothing remains to be paid.
    PaidInFull,
    /// A part was paid by the wallet or a credit note.
    PaidInPart,
    /// The invoice is taken back; nothing was paid.
    Voided,
    /// The invoice is given up.
    WrittenOff,
    /// The provider took a payment back.
    PaymentReversed,
    /// A refund or a credit note after payment.
    Credited,
    /// Usage of the invoice's days was recorded later.
    LateUsage,
}

/// A row of the table.
type Row = (InvoiceState, InvoiceEvent, InvoiceState);

/// Every pair of state and event that is allowed. Other pairs change nothing.
const TABLE: &[Row] = &[
    (InvoiceState::Draft, InvoiceEvent::ReviewRequested, InvoiceState::Review),
    (InvoiceState::Draft, InvoiceEvent::Approved, InvoiceState::Open),
    (InvoiceState::Draft, InvoiceEvent::ApprovedAsZero, InvoiceState::Paid),
    (InvoiceState::Review, InvoiceEvent::Approved, InvoiceState::Open),
    (InvoiceState::Review, InvoiceEvent::ApprovedAsZero, InvoiceState::Paid),
    (InvoiceState::Review, InvoiceEvent::Voided, InvoiceState::Void),
    (InvoiceState::Open, InvoiceEvent::PaidInFull, InvoiceState::Paid),
    (InvoiceState::Open, InvoiceEvent::PaidInPart, InvoiceState::Open),
    (InvoiceState::Open, InvoiceEvent::Voided, InvoiceState::Void),
    (InvoiceState::Open, InvoiceEvent::WrittenOff, InvoiceState::Uncollectible),
    (InvoiceState::Paid, InvoiceEvent::PaymentReversed, InvoiceState::Open),
    (InvoiceState::Open, InvoiceEvent::PaymentReversed, InvoiceState::Open),
    (InvoiceState::Uncollectible, InvoiceEvent::PaymentReversed, InvoiceState::Uncollectible),
    (InvoiceState::Paid, InvoiceEvent::Credited, InvoiceState::Paid),
    (InvoiceState::Uncollectible, InvoiceEvent::PaidInFull, InvoiceState::Paid),
    (InvoiceState::Uncollectible, InvoiceEvent::PaidInPart, InvoiceState::Uncollectible),
    (InvoiceState::Open, InvoiceEvent::LateUsage, InvoiceState::Open),
    (InvoiceState::Paid, InvoiceEvent::LateUsage, InvoiceState::Paid),
    (InvoiceState::Void, InvoiceEvent::LateUsage, InvoiceState::Void),
    (InvoiceState::Uncollectible, InvoiceEvent::LateUsage, InvoiceState::Uncollectible),
];

impl InvoiceState {
    /// All states, in the order of a usual life.
    pub const ALL: [Self; 6] = [Self::Draft, Self::Review, Self::Open, Self::Paid, Self::Void, Self::Uncollectible];

    /// Returns the next state; `None` if the event is not allowed in this state.
    #[must_use]
    pub fn after(self, event: InvoiceEvent) -> Option<Self> {
        TABLE.iter().find(|(from, on, _)| (*from, *on) == (self, event)).map(|(_, _, to)| *to)
    }

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Review => "review",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Uncollectible => "uncollectible",
        }
    }

    /// Returns the state with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [InvoiceEvent; 10] = [
        InvoiceEvent::ReviewRequested,
        InvoiceEvent::Approved,
        InvoiceEvent::ApprovedAsZero,
        InvoiceEvent::PaidInFull,
        InvoiceEvent::PaidInPart,
        InvoiceEvent::Voided,
        InvoiceEvent::WrittenOff,
        InvoiceEvent::PaymentReversed,
        InvoiceEvent::Credited,
        InvoiceEvent::LateUsage,
    ];

    #[test]
    fn no_pair_has_two_rows() {
        for (at, (from, event, _)) in TABLE.iter().enumerate() {
            let same = TABLE.iter().skip(at + 1).any(|(other, on, _)| (other, on) == (from, event));
            assert!(!same, "{from:?} {event:?}");
        }
    }

    #[test]
    fn an_invoice_with_a_number_never_becomes_a_draft_again() {
        for state in InvoiceState::ALL.into_iter().filter(|state| *state > InvoiceState::Review) {
            for event in EVENTS {
                let next = state.after(event);
                assert!(next.is_none_or(|next| next > InvoiceState::Review), "{state:?} {event:?}");
            }
        }
        assert_eq!(EVENTS.iter().filter(|event| InvoiceState::Void.after(**event).is_some()).count(), 1);
    }
}
