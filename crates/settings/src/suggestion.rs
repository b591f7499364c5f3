//! The nearest known name of an unknown one.

pub mod near;
pub(crate) mod near_key;
