//! The data plane: requests come in, are admitted, forwarded, relayed and settled.
//!
//! Never does: SQL, Redis, DNS on a worker's own thread, Argon2, a lock held across an await. It sees neither store nor
//! control: keys are asked for by message, events go to the spool.
//!
//! A request's way, a file a step: `listener`, `connection` (with `deadlines`, its deadlines), `smuggling` (what of a caller's
//! bytes is read at all), `handle` (which tells the story), `admit`, `route`, `identify`, `scope`, `inference`,
//! `credential`, `budget`, `transform`, `forward` (with `upstream`), `relay`, `settle`. Beside it: `exchange` (what is
//! known of a request), `address`, `unauthenticated`, `worker` (the thread it all happens on), `body`, `answer`, `capacity`,
//! `aggregation`, `drain` (callers that hang up), `shutdown`.

mod address;
mod admit;
mod aggregation;
mod answer;
mod body;
mod bound;
mod budget;
mod capacity;
mod connection;
mod credential;
mod deadlines;
mod drain;
mod exchange;
mod forward;
mod handle;
mod identify;
mod inference;
mod inflate;
mod listener;
mod relay;
mod route;
mod scope;
mod settle;
mod shutdown;
pub mod smuggling;
mod transform;
mod unauthenticated;
mod upstream;
mod worker;

pub use aggregation::{AGGREGATION_DELAY, BATCH_PART_OF_LEFT, BATCH_REQUESTS_MAX};
pub use capacity::Capacity;
pub use listener::{BindError, Listeners, bind};
pub use shutdown::{Phase, Shutdown};
pub use unauthenticated::UnauthenticatedClients;
pub use upstream::tls_config;
pub use worker::{Shared, StartError, WorkerResources, Workers, start, workers_default};
