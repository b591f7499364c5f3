//! The data plane: requests come in, are admitted, forwarded, relayed and settled.
//!
//! Never does: SQL, Redis, DNS on a worker's own thread, Argon2, a lock held across an await. It sees neither store nor
//! control: keys are asked for by message, events go to the spool.
//!
//! A request's way, a file a step: `listener`, `connection` (with `watch`, its deadlines), `strict` (what of a caller's
//! bytes is read at all), `handle` (which tells the story), `admit`, `route`, `identify`, `scope`, `inference`,
//! `credential`, `budget`, `transform`, `forward` (with `upstream`), `relay`, `settle`. Beside it: `exchange` (what is
//! known of a request), `address`, `strangers`, `worker` (the thread it all happens on), `body`, `answer`, `gate`,
//! `fold`, `drain` (callers that hang up), `shutdown`.

mod address;
mod admit;
mod answer;
mod body;
mod bound;
mod budget;
mod connection;
mod credential;
mod drain;
mod exchange;
mod fold;
mod forward;
mod gate;
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
mod strangers;
pub mod strict;
mod transform;
mod upstream;
mod watch;
mod worker;

pub use fold::{BLOCK_PART_OF_LEFT, BLOCK_REQUESTS_MAX, FOLDED_WITHIN};
pub use gate::Gate;
pub use listener::{BindError, Listeners, bind};
pub use shutdown::{Phase, Shutdown};
pub use strangers::Strangers;
pub use upstream::tls_config;
pub use worker::{Lane, Shared, StartError, Workers, start, workers_default};
