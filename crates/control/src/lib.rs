//! The admin API: JSON over HTTP for users, operators and scripts.
//!
//! This crate contains no SQL, does not use the proxy, does not decide about quotas (the meter does), and never
//! reveals the cause of an internal error to a client.
//!
//! Reading order, which is the walk of a call: [`server`] and `connection` (connections and their bounds), `front` (what every
//! request passes), `routes` (the endpoints by path), `sign_in` (authentication), `input` (bodies and queries), `nouns` (objects as
//! responses show them) and `message` (problems, lists and other forms of responses). `process` has what lives as long as the process;
//! `pages` are the pages outside the dashboard, `live` the figures that follow usage, `graphql` the same objects by queries.

// The example of a full request is one `json!`, whose recursion depth grows with its fields.
#![recursion_limit = "256"]

mod accept;
pub mod configuration;
mod connection;
mod day_insights;
mod front;
mod graphql;
mod input;
mod live;
mod message;
pub mod nouns;
mod openapi;
mod pages;
pub mod permissions;
pub mod process;
mod routes;
pub mod server;
mod sign_in;

pub use message::csv::quoted as csv_cell;
pub use process::billing_settings::billing_settings;
pub use process::cache_purges::CachePurges;
pub use process::passwords::Passwords;
pub use process::state::{ServedApi, ServerLimits, State};
pub use server::serve;
