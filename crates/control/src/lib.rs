//! The control API: what people and scripts ask Tollgate, over JSON.
//!
//! Never does: SQL, seeing the proxy, deciding who passes (the meter does), telling a caller of a fault's inside.
//!
//! Read in this order: [`server`] (connections and their bounds), `layers` (what stands around every call), `routes`
//! (the endpoints by path), `caller` (who asks), `input` (bodies and queries), `problem` (what an error looks like).

mod caller;
mod input;
mod layers;
mod moment;
mod problem;
mod quota;
mod routes;
pub mod server;
pub mod state;

pub use server::serve;
pub use state::{Limits, State};
