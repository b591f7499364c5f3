//! The data plane: it accepts, admits, forwards, relays and settles requests.
//!
//! It never uses SQL, Redis or Argon2, resolves no name on a worker's own thread, and holds no lock across an await. It
//! depends on neither store nor control: it looks up keys by message, and appends usage to the spool.
//!
//! The modules in the order in which a request passes them: `threads`, `listener`, `connection` (with `client`; the crate
//! `http1` parses heads) or `http2`, `head`, and `handle`, which calls the phases: `admit`, `cors`, `route`,
//! `authenticate` (with `alternatives`, `identify`, `token`, `basic`, `redis_keys`, `forward_auth` and `scope`), and an
//! `action`. `rate_limits` refuses requests before and after `authenticate`; `anonymous` counts those without an identified client. Each action limits the request (`budget`; `subject_quota` for a client without a user). The
//! actions `forward` and `inference` (with `bound` and `credential`) also write its head (`transform`) and send it (`forward`, with `upload` and
//! `upstream`). Then `relay` forwards the response, and `settle` ends the request. A phase that returns `Err` (`phase`)
//! responds at once.
//!
//! The state of a request has three parts: `request` (facts that do not change), `account` (reservation, attempts, bytes
//! and outcome; its `Drop` settles it) and `attempt` (the current call to an upstream). `deadlines` has the deadlines of
//! connections and of requests. The state of a worker is `worker`, with `recorder`, `handles`, `limits_cache`, `subject_limits`, `token_client`,
//! `password_cache`, `redis_key_cache`, `decisions`, `refusals`, `wall_clock`, `capacity`, `aggregation` and `unauthenticated`. `handler` and `drain` serve clients that disconnect; `shutdown` has
//! the phases of a shutdown. Both sides share `receive_buffer`, `content`, `write_queue` and `buffers`. No module imports
//! a module that imports it.

mod account;
mod action;
mod admit;
mod admitted_client;
mod aggregation;
mod alternatives;
mod anonymous;
mod answer;
mod attempt;
mod authenticate;
mod basic;
mod body;
mod bound;
mod budget;
mod buffers;
mod capacity;
mod challenge;
mod client;
mod client_context;
mod connection;
mod content;
mod cors;
mod counted_limits;
mod credential;
mod credential_cache;
mod date;
mod deadlines;
mod decisions;
mod dialect;
mod drain;
mod exchange;
mod failure_log;
mod forward;
mod forward_auth;
mod grants;
mod handle;
mod handler;
mod handles;
mod head;
mod http2;
mod identify;
mod inflate;
mod interim;
mod limits_cache;
mod listener;
mod password_cache;
mod phase;
mod probe;
mod rate_limits;
mod receive_buffer;
mod recorder;
mod redis_key_cache;
mod redis_keys;
mod refusals;
mod relay;
mod request;
mod request_id;
mod response;
mod response_body;
mod route;
mod scope;
mod seconds;
mod settle;
mod shutdown;
mod subject_limits;
mod subject_quota;
mod task;
mod threads;
mod token;
mod token_client;
mod transform;
mod trusted;
mod unauthenticated;
mod upload;
mod upstream;
mod wall_clock;
mod worker;
mod write_queue;

pub use aggregation::{AGGREGATION_DELAY, BATCH_PART_OF_LEFT, BATCH_REQUESTS_MAX};
pub use capacity::Capacity;
pub use client::ALPN;
pub use listener::{BindError, ListenerOptions, Listeners, bind};
pub use shutdown::{Shutdown, ShutdownPhase};
pub use threads::{StartError, Workers, start, workers};
pub use unauthenticated::UnauthenticatedClients;
pub use upstream::{Backends, tls_config};
pub use worker::{Shared, WorkerResources};
