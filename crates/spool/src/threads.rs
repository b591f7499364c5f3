//! The writer and the thread that makes records durable.

pub(crate) mod allocator;
pub mod sync;
pub mod writer;
