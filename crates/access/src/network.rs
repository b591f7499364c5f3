//! Addresses and programs of clients, and the addresses that Tollgate may connect to.

pub mod address;
pub mod client_program;
pub mod outbound;
