//! The states of a refund.

/// The state of a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// The provider has not reported the result.
    Requested,
    /// The money was returned.
    Done,
    /// The provider refused the refund.
    Failed,
}

impl RefundState {
    /// All states, in the order of a usual life.
    pub const ALL: [Self; 3] = [Self::Requested, Self::Done, Self::Failed];

    /// Returns the stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Returns the state with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}
