//! The admin API: JSON over HTTP for users, operators and scripts.
//!
//! This crate contains no SQL, does not use the proxy, does not decide about quotas (the meter does), and never
//! reveals the cause of an internal error to a client.
//!
//! Reading order: [`server`] and `connections` (connections and their bounds), `layers` (the layers around every
//! request), `routes` (the endpoints by path), `caller` (authentication), `input` (bodies and queries), `undeclared`
//! (parameters and bodies that no operation declares), `problem` (error responses), `scripts` (errors of the install
//! script). For sign-in, read `sign_in` (tokens), `cookies`, `csrf`, `attempts`, `passwords` and `sessions`; for limits,
//! [`explanation`] (the limits of one request with their state) and [`limit_states`] (all limits).

// The example of a full request is one `json!`, whose recursion depth grows with its fields.
#![recursion_limit = "256"]

mod accept;
mod address;
mod attachment;
mod attempts;
mod backend_state;
mod bounded_work;
mod budgets;
mod cache_purges;
mod caller;
mod checked_stream;
pub mod configuration;
mod connections;
mod cookies;
mod cors;
mod credentials;
mod csrf;
mod csv;
mod day_cache;
mod day_insights;
pub mod explanation;
mod figures;
mod finance;
pub mod grants;
mod graphql;
mod holder_permits;
mod input;
mod install;
mod key_view;
mod known_browser;
mod known_settings;
mod labels_view;
mod latency;
mod layers;
mod limit_fields;
pub mod limit_states;
mod limits;
mod links;
mod listing;
mod live;
mod live_readers;
mod moment;
mod notification_limit;
mod openapi;
mod outbound;
mod pages;
mod passwords;
mod pictures;
mod problem;
mod quota;
mod reach;
mod routes;
mod scripts;
pub mod server;
mod sessions;
mod setup;
mod shared_days;
mod sign_in;
mod source_state;
pub mod state;
mod static_file;
mod undeclared;
mod upgrades;
mod usage_scope;
mod words;

pub use cache_purges::CachePurges;
pub use passwords::Passwords;
pub use server::serve;
pub use state::{ServerLimits, Serves, State};
