//! The events of webhooks, and the patterns that select them.

use std::fmt;

use thiserror::Error;

use super::invoice_state::InvoiceState;
use super::payment::PaymentState;

/// A change of billing that webhooks announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookEvent {
    /// An invoice has its number and is due.
    InvoiceOpened,
    /// Nothing of an invoice is unpaid.
    InvoicePaid,
    /// An invoice was taken back.
    InvoiceVoid,
    /// An invoice was given up.
    InvoiceUncollectible,
    /// A payment of an invoice was taken back.
    InvoiceReopened,
    /// A credit note was made, which is the object.
    InvoiceCredited,
    /// The money of a payment arrived.
    PaymentPaid,
    /// The fraud check holds a payment.
    PaymentHeld,
    /// A payment was denied, cancelled, or has expired.
    PaymentFailed,
    /// A payment was taken back.
    PaymentReversed,
    /// A part of a payment, or all of it, was returned.
    PaymentRefunded,
    /// A user has a new subscription.
    SubscriptionCreated,
    /// The state, the plan or the end of a subscription changed.
    SubscriptionChanged,
}

/// The object that an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WebhookObject {
    /// An invoice or a credit note.
    Invoice,
    /// A payment of an invoice or into the wallet.
    Payment,
    /// A subscription of a user.
    Subscription,
}

impl WebhookEvent {
    /// All events of this version.
    pub const ALL: [Self; 13] = [
        Self::InvoiceOpened,
        Self::InvoicePaid,
        Self::InvoiceVoid,
        Self::InvoiceUncollectible,
        Self::InvoiceReopened,
        Self::InvoiceCredited,
        Self::PaymentPaid,
        Self::PaymentHeld,
        Self::PaymentFailed,
        Self::PaymentReversed,
        Self::PaymentRefunded,
        Self::SubscriptionCreated,
        Self::SubscriptionChanged,
    ];

    /// Returns the name in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvoiceOpened => "invoice.opened",
            Self::InvoicePaid => "invoice.paid",
            Self::InvoiceVoid => "invoice.void",
            Self::InvoiceUncollectible => "invoice.uncollectible",
            Self::InvoiceReopened => "invoice.reopened",
            Self::InvoiceCredited => "invoice.credited",
            Self::PaymentPaid => "payment.paid",
            Self::PaymentHeld => "payment.held",
            Self::PaymentFailed => "payment.failed",
            Self::PaymentReversed => "payment.reversed",
            Self::PaymentRefunded => "payment.refunded",
            Self::SubscriptionCreated => "subscription.created",
            Self::SubscriptionChanged => "subscription.changed",
        }
    }

    /// Returns the object that the event is about.
    #[must_use]
    pub const fn object(self) -> WebhookObject {
        match self {
            Self::InvoiceOpened
            | Self::InvoicePaid
            | Self::InvoiceVoid
            | Self::InvoiceUncollectible
            | Self::InvoiceReopened
            | Self::InvoiceCredited => WebhookObject::Invoice,
            Self::PaymentPaid
            | Self::PaymentHeld
            | Self::PaymentFailed
            | Self::PaymentReversed
            | Self::PaymentRefunded => WebhookObject::Payment,
            Self::SubscriptionCreated | Self::SubscriptionChanged => WebhookObject::Subscription,
        }
    }

    /// Returns the event of a payment's new state; `None` before the provider has decided.
    #[must_use]
    pub const fn of_payment(state: PaymentState) -> Option<Self> {
        match state {
            PaymentState::Created | PaymentState::Pending => None,
            PaymentState::Held => Some(Self::PaymentHeld),
            PaymentState::Paid => Some(Self::PaymentPaid),
            PaymentState::Failed => Some(Self::PaymentFailed),
            PaymentState::Reversed | PaymentState::ChargedBack => Some(Self::PaymentReversed),
            PaymentState::PartlyRefunded | PaymentState::Refunded => Some(Self::PaymentRefunded),
        }
    }

    /// Returns the event of an invoice that is open again: one that was given up is not.
    #[must_use]
    pub const fn of_reopened(state: InvoiceState) -> Option<Self> {
        match state {
            InvoiceState::Open => Some(Self::InvoiceReopened),
            InvoiceState::Draft
            | InvoiceState::Review
            | InvoiceState::Paid
            | InvoiceState::Void
            | InvoiceState::Uncollectible => None,
        }
    }
}

/// The events that an endpoint receives: names, `invoice.*`, `payment.*`, `subscription.*`, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvents(Vec<String>);

/// A text that selects no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "`events` is a list of 1 to 20 names of events such as `invoice.paid`, `invoice.*`, `payment.*`, `subscription.*`, or `*`"
)]
pub struct NotWebhookEvents;

/// Maximum number of names and patterns of an endpoint.
const PATTERNS_MAX: usize = 20;

impl WebhookEvents {
    /// Reads names and patterns. Each must select an event.
    ///
    /// # Errors
    /// [`NotWebhookEvents`].
    pub fn parse(patterns: &[String]) -> Result<Self, NotWebhookEvents> {
        let is_known = |pattern: &String| WebhookEvent::ALL.into_iter().any(|event| is_selected(pattern, event));
        if (1..=PATTERNS_MAX).contains(&patterns.len()) && patterns.iter().all(is_known) {
            return Ok(Self(patterns.to_vec()));
        }
        Err(NotWebhookEvents)
    }

    /// Returns the pattern of all events.
    #[must_use]
    pub fn all() -> Self {
        Self(vec!["*".to_owned()])
    }

    /// Reads stored patterns. Unknown ones select nothing.
    #[must_use]
    pub fn of_stored(text: &str) -> Self {
        Self(text.split(' ').map(str::to_owned).collect())
    }

    /// Whether an event is selected.
    #[must_use]
    pub fn selects(&self, event: WebhookEvent) -> bool {
        self.0.iter().any(|pattern| is_selected(pattern, event))
    }

    /// Returns the names and patterns.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.0
    }
}

/// Writes the stored form.
impl fmt::Display for WebhookEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

fn is_selected(pattern: &str, event: WebhookEvent) -> bool {
    let family = event.as_str().split_once('.').map(|(family, _)| family);
    pattern == "*" || pattern == event.as_str() || (family.is_some() && pattern.strip_suffix(".*") == family)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_event_has_its_own_name_and_the_family_of_its_object() {
        let names: HashSet<&str> = WebhookEvent::ALL.into_iter().map(WebhookEvent::as_str).collect();
        assert_eq!(names.len(), WebhookEvent::ALL.len());
        for event in WebhookEvent::ALL {
            let family = match event.object() {
                WebhookObject::Invoice => "invoice.",
                WebhookObject::Payment => "payment.",
                WebhookObject::Subscription => "subscription.",
            };
            assert!(event.as_str().starts_with(family), "{}", event.as_str());
        }
    }

    #[test]
    fn patterns_select_families_and_unknown_ones_are_refused() {
        let parse = |patterns: &[&str]| {
            WebhookEvents::parse(&patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>())
        };
        let count = |patterns: &[&str]| {
            let events = parse(patterns).unwrap();
            assert_eq!(WebhookEvents::of_stored(&events.to_string()), events);
            WebhookEvent::ALL.into_iter().filter(|event| events.selects(*event)).count()
        };
        assert_eq!([count(&["*"]), count(&["invoice.*"]), count(&["payment.failed"])], [13, 6, 1]);
        assert_eq!(count(&["payment.*", "payment.paid", "subscription.*"]), 7);
        for refused in [&[][..], &[""], &["invoice"], &["invoice.closed"], &["*.paid"], &["invoice.* "], &[".*"]] {
            assert_eq!(parse(refused), Err(NotWebhookEvents), "{refused:?}");
        }
        assert!(parse(&["*"; 20]).is_ok() && parse(&["*"; 21]).is_err());
    }
}
