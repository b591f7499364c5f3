//! What every request passes before its endpoint.

pub(crate) mod cors;
pub(crate) mod layers;
pub(crate) mod undeclared;
