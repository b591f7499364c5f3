//! `/api/auth/…`: registration, sign-in and sign-out.

pub(super) mod link;
pub(super) mod login;
pub(super) mod logout;
pub(super) mod password;
pub(super) mod refresh;
pub(super) mod register;
pub(super) mod validate;
