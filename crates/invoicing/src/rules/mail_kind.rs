//! The kinds of mails, with the object and the recipient of each.

/// The kind of a mail. Each object has at most one mail of a kind, except of those that may repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// An invoice was opened.
    InvoiceOpened,
    /// A payment of the customer arrived.
    PaymentReceived,
    /// An invoice is past its due time.
    ReminderFirst,
    /// It is past its due time for three days.
    ReminderSecond,
    /// It is past its due time for a week.
    ReminderLast,
    /// The grace time is over, or a payment was taken back: the user has the fallback plan.
    AccessLimited,
    /// The final time is over: keys are refused.
    AccessClosed,
    /// A payment was taken back. Finance receives it.
    PaymentReversed,
    /// A void invoice was paid. Finance receives it.
    PaymentUnexpected,
    /// A credit note was made.
    CreditNote,
    /// Money was returned to the customer.
    Refund,
}

/// The object that a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailObject {
    /// An invoice or a credit note.
    Invoice,
    /// A payment, which may have an invoice.
    Payment,
    /// An invoice that is not paid, or the payment that was taken back.
    InvoiceOrPayment,
    /// A refund of a payment.
    Refund,
}

impl MailKind {
    /// All kinds of mails.
    pub const ALL: [Self; 11] = [
        Self::InvoiceOpened,
        Self::PaymentReceived,
        Self::ReminderFirst,
        Self::ReminderSecond,
        Self::ReminderLast,
        Self::AccessLimited,
        Self::AccessClosed,
        Self::PaymentReversed,
        Self::PaymentUnexpected,
        Self::CreditNote,
        Self::Refund,
    ];
    /// The reminders, each with the days after the due time. A later one replaces the earlier ones.
    pub const REMINDERS: [(Self, u64); 3] =
        [(Self::ReminderFirst, 0), (Self::ReminderSecond, 3), (Self::ReminderLast, 7)];

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvoiceOpened => "invoice_opened",
            Self::PaymentReceived => "payment_received",
            Self::ReminderFirst => "reminder_first",
            Self::ReminderSecond => "reminder_second",
            Self::ReminderLast => "reminder_last",
            Self::AccessLimited => "access_limited",
            Self::AccessClosed => "access_closed",
            Self::PaymentReversed => "payment_reversed",
            Self::PaymentUnexpected => "payment_unexpected",
            Self::CreditNote => "credit_note",
            Self::Refund => "refund",
        }
    }

    /// Returns the kind with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns the object that a mail of this kind is about.
    #[must_use]
    pub const fn object(self) -> MailObject {
        match self {
            Self::InvoiceOpened
            | Self::ReminderFirst
            | Self::ReminderSecond
            | Self::ReminderLast
            | Self::AccessClosed
            | Self::CreditNote => MailObject::Invoice,
            Self::AccessLimited => MailObject::InvoiceOrPayment,
            Self::PaymentReceived | Self::PaymentReversed | Self::PaymentUnexpected => MailObject::Payment,
            Self::Refund => MailObject::Refund,
        }
    }

    /// Whether finance receives the mail instead of the customer.
    #[must_use]
    pub const fn is_for_finance(self) -> bool {
        match self {
            Self::PaymentReversed | Self::PaymentUnexpected => true,
            Self::InvoiceOpened
            | Self::PaymentReceived
            | Self::ReminderFirst
            | Self::ReminderSecond
            | Self::ReminderLast
            | Self::AccessLimited
            | Self::AccessClosed
            | Self::CreditNote
            | Self::Refund => false,
        }
    }

    /// Whether an object may have several mails of this kind: parts of a payment are taken back one after the other, and a
    /// plan that is limited may be paid and limited again.
    #[must_use]
    pub const fn may_repeat(self) -> bool {
        match self {
            Self::AccessLimited | Self::AccessClosed | Self::PaymentReversed => true,
            Self::InvoiceOpened
            | Self::PaymentReceived
            | Self::ReminderFirst
            | Self::ReminderSecond
            | Self::ReminderLast
            | Self::PaymentUnexpected
            | Self::CreditNote
            | Self::Refund => false,
        }
    }

    /// Whether the mail asks for a payment: it is not sent when the invoice is not open any more.
    #[must_use]
    pub const fn is_request(self) -> bool {
        match self {
            Self::ReminderFirst
            | Self::ReminderSecond
            | Self::ReminderLast
            | Self::AccessLimited
            | Self::AccessClosed => true,
            Self::InvoiceOpened
            | Self::PaymentReceived
            | Self::PaymentReversed
            | Self::PaymentUnexpected
            | Self::CreditNote
            | Self::Refund => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_name() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::of_name(kind.as_str()), Some(kind));
        }
        assert_eq!(MailKind::of_name("receipt"), None);
    }
}
