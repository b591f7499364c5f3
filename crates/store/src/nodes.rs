//! Nodes of a cluster, and the usage that they have not sent.

pub mod backlog;
pub mod forgotten_nodes;
pub mod node;
