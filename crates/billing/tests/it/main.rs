//! Behaviour of the books on a store, and the rules beside an independent program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test helpers, which clippy does not recognize as tests"
)]

mod bad_input;
mod books;
mod changes;
mod clock;
mod closing;
mod documents;
mod ends;
mod faults;
mod look_ups;
mod mail_servers;
mod mails;
#[path = "../../../store/tests/it/migrated.rs"]
mod migrated;
mod money;
mod own_credentials;
mod profiles;
mod property_tests;
mod provider;
mod quota_windows;
mod rater;
mod receipts;
mod shadow;
mod shop;
mod signoff;
mod suspensions;
mod traffic;
mod webhooks;
