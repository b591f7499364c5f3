//! Connections of clients: their bounds, and the change to another protocol.

pub(crate) mod checked_stream;
pub(crate) mod connections;
pub(crate) mod upgrades;
