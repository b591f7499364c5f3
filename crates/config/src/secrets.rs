//! Secrets in a configuration: which keys allow them, and how they are masked.

pub(crate) mod api_references;
pub(crate) mod literal_secrets;
pub(crate) mod masked;
