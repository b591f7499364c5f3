//! The data plane: requests come in, are admitted, forwarded, relayed and settled.
//!
//! Never does: SQL, Redis, DNS on a worker's own thread, Argon2, a lock held across an await. It sees neither store nor
//! control: keys are asked for by message, events go to the spool.
//!
//! The modules in the order in which a request passes them: `threads`, `listener`, `connection` (with `client`, `deadlines`;
//! heads are parsed by crate `http1`), `head`, `handle` (the outline of the steps that follow), `admit`, `route`, `identify`,
//! `scope`, `inference`, `credential`, `budget`, `transform`, `forward` (with `upload`, `upstream`), `relay`, `response`,
//! `settle`. The state of a request is `exchange`, with its `client_context`; that of a worker is `worker`, with `recorder`,
//! `handles`, `limits_cache`, `refusals`, `capacity`, `aggregation`, `unauthenticated`. `outliving` and `drain` serve clients
//! that disconnect, `shutdown` has the phases of an end. Both sides share `receive_buffer`, `content`, `write_queue` and
//! `buffers`. No module imports one that imports it.

mod account;
mod action;
mod admit;
mod aggregation;
mod answer;
mod attempt;
mod authenticate;
mod body;
mod bound;
mod budget;
mod buffers;
mod capacity;
mod client;
mod client_context;
mod connection;
mod content;
mod cors;
mod credential;
mod date;
mod deadlines;
mod dialect;
mod drain;
mod forward;
mod handle;
mod handles;
mod head;
mod identify;
mod inflate;
mod limits_cache;
mod listener;
mod outliving;
mod phase;
mod probe;
mod receive_buffer;
mod recorder;
mod refusals;
mod relay;
mod request;
mod request_id;
mod response;
mod response_body;
mod route;
mod scope;
mod settle;
mod shutdown;
mod task;
mod threads;
mod transform;
mod trusted;
mod unauthenticated;
mod upload;
mod upstream;
mod worker;
mod write_queue;

pub use aggregation::{AGGREGATION_DELAY, BATCH_PART_OF_LEFT, BATCH_REQUESTS_MAX};
pub use capacity::Capacity;
pub use listener::{BindError, Listeners, bind};
pub use shutdown::{Phase, Shutdown};
pub use threads::{StartError, Workers, start, workers_default};
pub use unauthenticated::UnauthenticatedClients;
pub use upstream::tls_config;
pub use worker::{Shared, WorkerResources};
