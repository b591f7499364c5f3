//! The states of a payment, as a table. Only a status that was requested from the provider is an input, never the body of
//! a notification.

use thiserror::Error;

/// The state of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentState {
    /// Not attempted at the provider.
    Created,
    /// The provider waits for the customer.
    Pending,
    /// The provider's fraud check holds the payment.
    Held,
    /// The money arrived at the provider.
    Paid,
    /// Denied, cancelled or expired.
    Failed,
    /// Paid, and taken back by the bank.
    Reversed,
    /// A part was returned.
    PartlyRefunded,
    /// The whole amount was returned.
    Refunded,
    /// The customer's bank took the money back.
    ChargedBack,
}

/// A status of the provider, as the table reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SeenStatus {
    /// The provider does not know the order: the customer chose no method.
    NotAttempted,
    /// The customer has not paid.
    Pending,
    /// The money arrived at the provider.
    Success,
    /// The money arrived in another attempt, or late by a QR code that had expired.
    LateSuccess,
    /// The fraud check holds the payment.
    Challenge,
    /// Denied, cancelled, expired or failed.
    Failure,
    /// Denied after payment, by a method whose bank can take payments back.
    Reversal,
    /// A part was returned.
    PartialRefund,
    /// The provider returned the whole amount.
    Refund,
    /// The customer's bank took a part of the money back.
    PartialChargeback,
    /// The customer's bank took the money back.
    Chargeback,
    /// A status that this version does not know.
    Unknown,
}

/// The change of money that a new state causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PaymentMoney {
    /// The state moves no money.
    None,
    /// The amount of the payment arrived.
    Received,
    /// The whole amount that the provider had not returned before was taken back.
    Reversed,
    /// The difference of the provider's refunded amount was taken back.
    PartlyReversed,
    /// The difference of the provider's refunded amount was returned.
    Refunded,
}

/// A row of the table.
type Row = (PaymentState, SeenStatus, PaymentState, PaymentMoney);

use PaymentMoney as Moved;
use PaymentState as State;
use SeenStatus as Seen;

/// Every pair of state and status that changes something. A lower rank, the same status again and unknown statuses have no
/// row, and change nothing.
const TABLE: &[Row] = &[
    (State::Created, Seen::Pending, State::Pending, Moved::None),
    (State::Created, Seen::Success, State::Paid, Moved::Received),
    (State::Created, Seen::LateSuccess, State::Paid, Moved::Received),
    (State::Created, Seen::Challenge, State::Held, Moved::None),
    (State::Created, Seen::Failure, State::Failed, Moved::None),
    (State::Pending, Seen::Success, State::Paid, Moved::Received),
    (State::Pending, Seen::LateSuccess, State::Paid, Moved::Received),
    (State::Pending, Seen::Challenge, State::Held, Moved::None),
    (State::Pending, Seen::Failure, State::Failed, Moved::None),
    (State::Held, Seen::Success, State::Paid, Moved::Received),
    (State::Held, Seen::LateSuccess, State::Paid, Moved::Received),
    (State::Held, Seen::Failure, State::Failed, Moved::None),
    (State::Failed, Seen::LateSuccess, State::Paid, Moved::Received),
    (State::Paid, Seen::Reversal, State::Reversed, Moved::Reversed),
    (State::Paid, Seen::PartialRefund, State::PartlyRefunded, Moved::Refunded),
    (State::Paid, Seen::Refund, State::Refunded, Moved::Refunded),
    (State::Paid, Seen::PartialChargeback, State::PartlyRefunded, Moved::PartlyReversed),
    (State::Paid, Seen::Chargeback, State::ChargedBack, Moved::Reversed),
    (State::PartlyRefunded, Seen::PartialRefund, State::PartlyRefunded, Moved::Refunded),
    (State::PartlyRefunded, Seen::Refund, State::Refunded, Moved::Refunded),
    (State::PartlyRefunded, Seen::PartialChargeback, State::PartlyRefunded, Moved::PartlyReversed),
    (State::PartlyRefunded, Seen::Chargeback, State::ChargedBack, Moved::Reversed),
    (State::PartlyRefunded, Seen::Reversal, State::Reversed, Moved::Reversed),
    // The provider does not know of a transfer by hand.
    (State::Refunded, Seen::Reversal, State::Reversed, Moved::Reversed),
    (State::Refunded, Seen::PartialChargeback, State::Refunded, Moved::PartlyReversed),
    (State::Refunded, Seen::Chargeback, State::ChargedBack, Moved::Reversed),
];

/// The provider's response to a request of the status, in the parts that the table needs.
#[derive(Debug, Clone, Copy)]
pub struct ProviderStatus<'a> {
    /// `transaction_status`, in any case.
    pub transaction_status: &'a str,
    /// `fraud_status`; a missing one means `accept`.
    pub fraud_status: Option<&'a str>,
    /// Whether `status_code` is `200`.
    pub is_success_code: bool,
    /// Whether the transaction differs from the payment's known transaction. It is also true if the payment knows none.
    pub is_other_transaction: bool,
    /// Whether a QR code of the method may be paid after its time.
    pub may_be_late: bool,
    /// Whether the bank of the method can take payments back.
    pub is_reversible: bool,
    /// Whether the seller can cancel a payment by the method until it is settled, which returns the whole amount.
    pub is_cancellable: bool,
}

impl ProviderStatus<'_> {
    /// Returns the status as the table reads it, for a payment in `state`.
    #[must_use]
    pub fn seen(&self, state: PaymentState) -> SeenStatus {
        let success = match self.fraud_status.map(str::to_ascii_lowercase).as_deref() {
            None | Some("accept") if self.is_other_transaction || self.may_be_late => SeenStatus::LateSuccess,
            None | Some("accept") => SeenStatus::Success,
            Some("challenge") => SeenStatus::Challenge,
            Some("deny") => SeenStatus::Failure,
            Some(_) => SeenStatus::Unknown,
        };
        match self.transaction_status.to_ascii_lowercase().as_str() {
            "pending" | "authorize" => SeenStatus::Pending,
            "settlement" if self.is_success_code && success != SeenStatus::Challenge => success,
            // Settled in spite of the fraud check: the provider approved it.
            "settlement" if self.is_success_code => SeenStatus::Success,
            "capture" if self.is_success_code || success == SeenStatus::Challenge => success,
            "deny" if self.is_reversible && state.has_arrived() => SeenStatus::Reversal,
            "cancel" if self.is_cancelled_after_payment(state) => SeenStatus::Refund,
            "deny" | "cancel" | "expire" | "failure" => SeenStatus::Failure,
            "partial_refund" => SeenStatus::PartialRefund,
            "refund" => SeenStatus::Refund,
            "partial_chargeback" => SeenStatus::PartialChargeback,
            "chargeback" => SeenStatus::Chargeback,
            _ => SeenStatus::Unknown,
        }
    }

    /// Whether a cancellation returns money. Another attempt of the same order may be cancelled, too.
    const fn is_cancelled_after_payment(&self, state: PaymentState) -> bool {
        let is_paid = matches!(state, PaymentState::Paid | PaymentState::PartlyRefunded);
        is_paid && self.is_cancellable && !self.is_other_transaction
    }
}

impl SeenStatus {
    /// Whether the payment had succeeded before: money is returned or taken back only after it arrived.
    #[must_use]
    pub const fn follows_success(self) -> bool {
        matches!(self, Self::PartialRefund | Self::Refund | Self::PartialChargeback | Self::Chargeback)
    }
}

/// A refund is larger than the amount that was paid and not returned yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a refund must be at least 1 and at most {most}, the amount that was paid and not refunded")]
pub struct RefundTooLarge {
    /// The largest possible refund.
    pub most: i64,
}

/// Checks the amount of a refund.
///
/// # Errors
/// [`RefundTooLarge`] if it is not in the range.
pub fn check_refund(paid: i64, refunded: i64, amount: i64) -> Result<(), RefundTooLarge> {
    let most = paid.saturating_sub(refunded);
    if (1..=most).contains(&amount) { Ok(()) } else { Err(RefundTooLarge { most }) }
}

impl PaymentState {
    /// All states, in the order of a usual life.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Pending,
        Self::Held,
        Self::Paid,
        Self::Failed,
        Self::Reversed,
        Self::PartlyRefunded,
        Self::Refunded,
        Self::ChargedBack,
    ];

    /// Whether the money has arrived, and was not taken back.
    const fn has_arrived(self) -> bool {
        matches!(self, Self::Paid | Self::PartlyRefunded | Self::Refunded)
    }

    /// Returns the next state and the change of money; `None` if nothing changes.
    #[must_use]
    pub fn after(self, seen: SeenStatus) -> Option<(Self, PaymentMoney)> {
        let row = TABLE.iter().find(|(from, status, ..)| (*from, *status) == (self, seen));
        row.map(|(_, _, to, money)| (*to, *money))
    }

    /// Whether the customer can still pay.
    #[must_use]
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Created | Self::Pending | Self::Held)
    }

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Pending => "pending",
            Self::Held => "held",
            Self::Paid => "paid",
            Self::Failed => "failed",
            Self::Reversed => "reversed",
            Self::PartlyRefunded => "partly_refunded",
            Self::Refunded => "refunded",
            Self::ChargedBack => "charged_back",
        }
    }

    /// Returns the state with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

#[cfg(test)]
mod tests;
