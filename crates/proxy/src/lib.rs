//! The data plane: it accepts, admits, forwards, relays and settles requests.
//!
//! It never uses SQL, Redis or Argon2, resolves no name on a worker's own thread, and holds no lock across an await. It
//! depends on neither store nor control: it looks up keys by message, and appends usage to the spool.
//!
//! The folders, in the order in which a request passes them; none imports an earlier one:
//!
//! - `connection`: listeners, threads of HTTP/1.1 and HTTP/2; the crate `http1` parses heads.
//! - `handle`: the phases of a request in their order, CORS, and requests whose client is not known yet.
//! - `route`: the route that serves it; `action`: what the route does with it.
//! - `response`: the response on its way to the client; `authenticate`: who the client is; `settle`: the end of the
//!   request, its event and its counts.
//! - `transform`: edits of heads; `limits`: rates, budgets and quotas; `forward`: attempts and retries.
//! - `account`: the state of a request: facts that do not change, reservations and permits; its `Drop` settles it.
//! - `worker`: the state of a thread, with its caches, and the stored responses of cached routes; `upstream`: backends, their pools and connections.
//! - `body`: bodies of requests; `client`: the reading side of a client: socket, head, body.
//! - `refusal`: responses that refuse; `deadlines`: of connections and requests, and the phases of a shutdown;
//!   `capacity`: what all requests share; `metrics`; `bytes`: buffers and queues.
//!
//! A phase that returns `Err` (`refusal::phase`) responds at once.

mod account;
mod action;
mod authenticate;
mod body;
mod bytes;
mod capacity;
mod client;
mod connection;
mod deadlines;
mod forward;
mod handle;
mod limits;
mod metrics;
mod refusal;
mod response;
mod route;
mod settle;
mod transform;
mod upstream;
mod worker;

pub use capacity::Capacity;
pub use client::ALPN;
pub use connection::listener::{BindError, ListenerOptions, Listeners, bind};
pub use connection::threads::{StartError, Workers, start};
pub use deadlines::pause::{Pause, PausePhase};
pub use deadlines::shutdown::{Shutdown, ShutdownPhase};
pub use upstream::{BackendState, Backends, tls_config};
pub use worker::access_tokens::AccessTokens;
pub use worker::conversations::Conversations;
pub use worker::provider_models::ProviderLists;
pub use worker::response_cache::memories::ResponseMemories;
pub use worker::unauthenticated::UnauthenticatedClients;
pub use worker::{Shared, WorkerResources};
