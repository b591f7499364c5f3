//! Encrypted rows: credentials of providers and signing keys, and the master key that opens them.

pub mod provider_keys;
pub mod signing_keys;
pub mod vault;
