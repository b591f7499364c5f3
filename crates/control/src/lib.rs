//! The control API: what people and scripts ask Tollgate, over JSON.
//!
//! Never does: SQL, seeing the proxy, deciding who passes (the meter does), telling a caller of a fault's inside.
//!
//! Read in this order: [`server`] and `connections` (connections and their bounds), `layers` (what stands around every call), `routes`
//! (the endpoints by path), `caller` (who asks), `input` (bodies and queries), `undeclared` (what nobody reads), `problem` (what an error looks like), `scripts` (errors of the install script). Who signs in reads
//! `sign_in` (what it hands out), `cookies`, `csrf`, `attempts`, `passwords` and `sessions`.

// The example of a request in full is one `json!`, whose depth grows with its fields.
#![recursion_limit = "256"]

mod address;
mod attempts;
mod budgets;
mod caller;
mod connections;
mod cookies;
mod cors;
mod csrf;
mod figures;
mod input;
mod install;
mod layers;
mod limits;
mod links;
mod listing;
mod moment;
mod openapi;
mod outbound;
mod pages;
mod passwords;
mod problem;
mod quota;
mod routes;
mod scripts;
mod seats;
pub mod server;
mod sessions;
mod sign_in;
pub mod state;
mod subject;
mod undeclared;
mod words;

pub use server::serve;
pub use state::{Limits, Serves, State};
