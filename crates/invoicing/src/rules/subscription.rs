//! The states of a subscription, as a table.

/// The state of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionState {
    /// The first invoice is not paid.
    Pending,
    /// The trial is not over.
    Trialing,
    /// All invoices that are due are paid.
    Active,
    /// An invoice is past its due time; the grace time is not over.
    PastDue,
    /// The grace time is over.
    Limited,
    /// The final time is over.
    Closed,
    /// Ended; it never changes again.
    Cancelled,
}

/// An event that may change the state of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionEvent {
    /// The first invoice is paid.
    FirstInvoicePaid,
    /// The due time of the first invoice passes.
    FirstInvoiceLapsed,
    /// The last day of the trial passes.
    TrialEnded,
    /// The last day of the period passes.
    PeriodEnded,
    /// The last day of the period passes, and the subscription ends with it. With missing payments, it does not end before they
    /// are made.
    LastPeriodEnded,
    /// The due time of an invoice passes.
    DuePassed,
    /// Every invoice that is due is paid.
    AllPaid,
    /// The grace time passes.
    GracePassed,
    /// The final time passes.
    FinalPassed,
    /// The provider took a payment back.
    PaymentReversed,
    /// The customer requests an upgrade.
    UpgradeRequested,
    /// The customer requests a downgrade.
    DowngradeRequested,
    /// The customer cancels at the end of the period.
    CancelledAtEnd,
    /// The customer takes the cancellation back.
    Resumed,
    /// The subscription ends now.
    CancelledNow,
}

/// The limits that a user of a subscription has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionAccess {
    /// The plan of the subscription.
    Plan,
    /// The fallback plan of the configuration.
    Fallback,
    /// Keys are refused; sign-in and paying still work.
    None,
}

/// A row of the table.
type Row = (SubscriptionState, SubscriptionEvent, SubscriptionState);

use SubscriptionEvent as Event;
use SubscriptionState as State;

/// Every pair of state and event that is allowed. Other pairs change nothing, or are refused with a conflict.
const TABLE: &[Row] = &[
    (State::Pending, Event::FirstInvoicePaid, State::Active),
    (State::Pending, Event::FirstInvoiceLapsed, State::Cancelled),
    (State::Pending, Event::CancelledNow, State::Cancelled),
    (State::Trialing, Event::TrialEnded, State::Active),
    (State::Trialing, Event::CancelledAtEnd, State::Trialing),
    (State::Trialing, Event::Resumed, State::Trialing),
    (State::Trialing, Event::LastPeriodEnded, State::Cancelled),
    (State::Trialing, Event::CancelledNow, State::Cancelled),
    (State::Active, Event::PeriodEnded, State::Active),
    (State::Active, Event::DuePassed, State::PastDue),
    (State::Active, Event::PaymentReversed, State::Limited),
    (State::Active, Event::UpgradeRequested, State::Active),
    (State::Active, Event::DowngradeRequested, State::Active),
    (State::Active, Event::CancelledAtEnd, State::Active),
    (State::Active, Event::Resumed, State::Active),
    (State::Active, Event::LastPeriodEnded, State::Cancelled),
    (State::Active, Event::CancelledNow, State::Cancelled),
    (State::PastDue, Event::PeriodEnded, State::PastDue),
    (State::PastDue, Event::AllPaid, State::Active),
    (State::PastDue, Event::GracePassed, State::Limited),
    (State::PastDue, Event::PaymentReversed, State::Limited),
    (State::PastDue, Event::CancelledAtEnd, State::PastDue),
    (State::PastDue, Event::Resumed, State::PastDue),
    (State::PastDue, Event::CancelledNow, State::Cancelled),
    (State::Limited, Event::AllPaid, State::Active),
    (State::Limited, Event::FinalPassed, State::Closed),
    (State::Limited, Event::PaymentReversed, State::Limited),
    (State::Limited, Event::CancelledAtEnd, State::Limited),
    (State::Limited, Event::Resumed, State::Limited),
    (State::Limited, Event::CancelledNow, State::Cancelled),
    (State::Closed, Event::AllPaid, State::Active),
    (State::Closed, Event::CancelledAtEnd, State::Closed),
    (State::Closed, Event::Resumed, State::Closed),
    (State::Closed, Event::CancelledNow, State::Cancelled),
];

impl SubscriptionState {
    /// All states, in the order of a usual life.
    pub const ALL: [Self; 7] =
        [Self::Pending, Self::Trialing, Self::Active, Self::PastDue, Self::Limited, Self::Closed, Self::Cancelled];

    /// Returns the next state; `None` if the event is not allowed in this state.
    #[must_use]
    pub fn after(self, event: SubscriptionEvent) -> Option<Self> {
        TABLE.iter().find(|(from, on, _)| (*from, *on) == (self, event)).map(|(_, _, to)| *to)
    }

    /// Returns the limits that the user has in this state.
    #[must_use]
    pub const fn access(self) -> SubscriptionAccess {
        match self {
            Self::Trialing | Self::Active | Self::PastDue => SubscriptionAccess::Plan,
            Self::Pending | Self::Limited | Self::Cancelled => SubscriptionAccess::Fallback,
            Self::Closed => SubscriptionAccess::None,
        }
    }

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Limited => "limited",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the state with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

impl SubscriptionAccess {
    /// Returns the name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Fallback => "fallback",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: [Event; 15] = [
        Event::FirstInvoicePaid,
        Event::FirstInvoiceLapsed,
        Event::TrialEnded,
        Event::PeriodEnded,
        Event::LastPeriodEnded,
        Event::DuePassed,
        Event::AllPaid,
        Event::GracePassed,
        Event::FinalPassed,
        Event::PaymentReversed,
        Event::UpgradeRequested,
        Event::DowngradeRequested,
        Event::CancelledAtEnd,
        Event::Resumed,
        Event::CancelledNow,
    ];

    #[test]
    fn no_pair_has_two_rows() {
        for (at, (from, event, _)) in TABLE.iter().enumerate() {
            let same = TABLE.iter().skip(at + 1).any(|(other, on, _)| (other, on) == (from, event));
            assert!(!same, "{from:?} {event:?}");
        }
    }

    #[test]
    fn a_cancelled_subscription_never_changes_and_every_other_one_can_be_cancelled() {
        for event in EVENTS {
            assert_eq!(State::Cancelled.after(event), None, "{event:?}");
        }
        for state in State::ALL.into_iter().filter(|state| *state != State::Cancelled) {
            assert_eq!(state.after(Event::CancelledNow), Some(State::Cancelled), "{state:?}");
            assert_eq!(State::of_name(state.as_str()), Some(state));
        }
    }

    #[test]
    fn a_customer_that_pays_gets_the_plan_again() {
        for state in [State::PastDue, State::Limited, State::Closed] {
            let next = state.after(Event::AllPaid);
            assert_eq!(next.map(State::access), Some(SubscriptionAccess::Plan), "{state:?}");
        }
        assert_eq!(State::Closed.access(), SubscriptionAccess::None);
        assert_eq!(State::Pending.access(), SubscriptionAccess::Fallback);
    }
}
