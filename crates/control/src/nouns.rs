//! Objects of the API, as responses show them.

pub(crate) mod backend_state;
pub(crate) mod budgets;
pub(crate) mod credentials;
pub mod explanation;
pub(crate) mod key_view;
pub(crate) mod labels_view;
pub(crate) mod latency;
pub mod limit_states;
pub(crate) mod quota;
pub(crate) mod reach;
pub(crate) mod source_state;
pub(crate) mod usage_scope;
