//! The data plane: requests come in, are admitted, forwarded, relayed and settled.
//!
//! Never does: SQL, Redis, DNS on a worker's own thread, Argon2, a lock held across an await. It sees neither store nor
//! control: keys are asked for by message, events go to the spool.
//!
//! The modules in the order in which a request passes them: `listener`, `connection` (with `deadlines`; heads are parsed by
//! crate `http1`), `head`, `handle` (the outline of the steps that follow), `admit`, `route`, `identify`, `scope`,
//! `inference`, `credential`, `budget`, `transform`, `forward` (with `upstream`), `relay`, `response`, `settle`. Other
//! modules: `exchange` (the state of a request), `address`, `unauthenticated`, `worker` (the thread that runs them),
//! `body`, `answer`, `capacity`, `aggregation`, `drain` (clients that disconnect), `shutdown`. Both sides share
//! `receive_buffer`, `content` and `write_queue`.

mod address;
mod admit;
mod aggregation;
mod answer;
mod body;
mod bound;
mod budget;
mod buffers;
mod capacity;
mod connection;
mod content;
mod credential;
mod date;
mod deadlines;
mod drain;
mod exchange;
mod forward;
mod handle;
mod head;
mod identify;
mod inference;
mod inflate;
mod listener;
mod receive_buffer;
mod relay;
mod request_id;
mod response;
mod route;
mod scope;
mod settle;
mod shutdown;
mod transform;
mod unauthenticated;
mod upstream;
mod worker;
mod write_queue;

pub use aggregation::{AGGREGATION_DELAY, BATCH_PART_OF_LEFT, BATCH_REQUESTS_MAX};
pub use capacity::Capacity;
pub use listener::{BindError, Listeners, bind};
pub use shutdown::{Phase, Shutdown};
pub use unauthenticated::UnauthenticatedClients;
pub use upstream::tls_config;
pub use worker::{Shared, StartError, WorkerResources, Workers, start, workers_default};
