//! Backups, and copies between databases.

pub mod backup;
pub mod copy;
