//! Secrets of callers, users and providers: their formats, hashes, signatures and encryption.

pub mod api_key;
pub mod basic;
pub mod issuer;
pub mod jwt;
pub mod key_list;
pub mod object_owner;
pub mod password;
pub mod provider_key;
pub mod secret;
pub mod service_account;
pub mod signature;
pub mod ticket;
pub mod token;
pub mod upstream_credentials;
pub mod vault;
