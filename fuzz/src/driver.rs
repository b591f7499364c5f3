//! Who makes the bytes: on stable Rust a mutator over the corpus, else libFuzzer; and who keeps what was found.
//!
//! Read in this order: [`campaign`] (all targets, one after the other, each in a process of its own, so that a stack that
//! overflows or a loop without end is a finding too), [`session`] (what happens in there), [`mutate`], [`shrink`], [`scratch`]
//! (how the one knows what the other was doing), [`corpus`] (files), [`libfuzzer`].

pub mod campaign;
pub mod corpus;
pub mod libfuzzer;
pub mod mutate;
pub mod scratch;
pub mod session;
pub mod shrink;
