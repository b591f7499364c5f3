//! Users, their roles, passwords, sessions and links.

pub mod grants;
pub mod links;
pub(crate) mod password_links;
pub(crate) mod session_end;
pub mod sessions;
pub mod users;
