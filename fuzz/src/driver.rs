//! The driver: it makes inputs with a mutator on stable Rust or with libFuzzer, and stores the failing ones.
//!
//! Reading order: [`campaign`] (all targets, each in its own process, so that a stack overflow or an endless loop
//! becomes a finding), [`session`] (the code in that process), [`mutate`], [`shrink`], [`scratch`] (tells the campaign
//! what the session runs), [`corpus`] (files), [`libfuzzer`], [`summary`] (results).

pub mod campaign;
pub mod corpus;
pub mod libfuzzer;
pub mod mutate;
pub mod scratch;
pub mod session;
pub mod shrink;
pub mod summary;
