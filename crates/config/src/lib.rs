//! Configuration: the keys of Tollgate are read by the crate [`settings`], checked once, and compiled into an immutable
//! [`Snapshot`].
//!
//! The crate uses no network and no clock, and reads no environment: the caller passes it in. It reads the file, and
//! files that values name.
//!
//! Reading order: [`snapshot`] (the result), [`load`](mod@load) (the input), `schema` (the keys, each declared once),
//! `sources` (files, options and the environment), `compile` (from the values of the keys to the result). Then [`Router`] and
//! [`resolve`], which requests use, [`live`], [`reload`](mod@reload), [`catalog`], which lists the models, and
//! [`mod@explain`], which tells what happens to a request.

pub mod catalog;
mod compile;
mod draft_billing;
mod draft_price;
pub mod explain;
mod first_call;
pub mod live;
pub mod load;
mod note;
mod origin;
mod refused_calls;
pub mod reload;
pub mod resolve;
mod route_notes;
mod running;
mod schema;
mod secrets;
pub mod snapshot;
mod sources;

pub use settings::documents::json_lines::json_lines;
pub use settings::environment::Environment;
pub use settings::error::{Code, ConfigError, Problem};
pub use settings::place::Place;
pub use settings::section::setting::Setting;
pub use settings::spelling::unit::duration;
pub use settings::variables::variable::{EnvLine, Variable};

pub use catalog::{CatalogModel, ProviderModels};
pub use compile::read_price_file;
pub use draft_billing::billing_settings;
pub use draft_price::plan_price;
pub use explain::{
    ExplainedAuthentication, ExplainedPlan, ExplainedRateLimit, ExplainedRefusal, ExplainedTarget, ExplainedTier,
    Explanation, ListedClient, ListedRoute, ListedUpstream, WrittenRequest, is_endpoint,
};
pub use first_call::{FirstCall, FirstRouteCall};
pub use live::Live;
pub use load::{LoadedConfig, Sources, load, load_for_store, load_written, read_file};
pub use note::Note;
pub use origin::OriginError;
pub use reload::{CHANGES_MAX, Change, changes, redirected, reload};
pub use resolve::{ResolveError, ResolvedModel};
pub use running::{ConfigText, RunningConfig};
pub use schema::json::{document as json_schema, text as json_schema_text};
pub use secrets::masked::masked;
pub use snapshot::{Match, RequestParts, RouteRequest, Router, Snapshot, WrittenParts};
pub use sources::file::has_key;
pub use sources::flags::Flags;
