//! The first figure of a receipt that differs.

use thiserror::Error;

/// The first figure of a receipt that differs from the figure that its documents give.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: the receipt has {stated}, and the computation gives {computed}")]
pub struct ReceiptDifference {
    /// The place of the figure.
    pub place: String,
    /// The figure in the receipt.
    pub stated: String,
    /// The figure that was computed.
    pub computed: String,
}
