//! Roles of users beside admin and member, with their permissions.

pub(crate) mod finance;
pub mod grants;
