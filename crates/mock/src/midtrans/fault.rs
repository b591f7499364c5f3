//! Faults that a test injects, each for the next events of its kind.

use serde::Deserialize;

/// A fault of the next notification or of the next charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StubFault {
    /// The notification is sent twice.
    Duplicate,
    /// The notification is never sent.
    Drop,
    /// The notification is sent 90 s later, on the clock of the stub.
    Delay,
    /// The signature belongs to another key.
    BadSignature,
    /// The signature is right, but `transaction_status` is another one.
    AlteredStatus,
    /// The notification has fields that no document names.
    UnknownFields,
    /// The status is written in capital letters.
    UppercaseStatus,
    /// The notification has no `fraud_status`.
    MissingFraud,
    /// The charge is recorded, and the response is 500.
    LostResponse,
    /// The charge is refused with 429.
    RateLimit,
    /// The charge is recorded, and no response arrives for 60 s.
    Hang,
}

impl StubFault {
    /// Whether the fault changes a notification; the others change a charge.
    pub(super) const fn is_of_notifications(self) -> bool {
        !matches!(self, Self::LostResponse | Self::RateLimit | Self::Hang)
    }
}
