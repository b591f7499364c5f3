//! Failures of a provider: their kind, those of the operator's account, and whether another provider may replace the response.

pub mod account_error;
pub(crate) mod account_words;
pub mod failure;
