//! Hosts of models: presets, Bedrock, and signed requests.

pub mod bedrock;
pub mod host;
pub mod preset;
pub mod sigv4;
