//! The client of a request that a key identifies.

use std::sync::Arc;

use access::Principal;
use meter::Limits;

/// A client whose credential is valid.
pub(crate) struct Client {
    pub(crate) principal: Arc<Principal>,
    /// The limits and budgets that apply to it.
    pub(crate) limits: Arc<Limits>,
}
