//! Configuration: YAML is parsed with positions, checked once, and compiled into an immutable [`Snapshot`].
//!
//! The crate uses no network and no clock, and reads no environment: the caller passes it in. It reads the file, a
//! `.env`, and files that `file:/…` names.
//!
//! Reading order: [`snapshot`] (the result), [`load`](mod@load) and [`environment`] (the input), `schema` (the keys, each
//! declared once), `overlay` (settings from the environment), `compile` (from the values of the keys to the result),
//! with `section`, `spec` and `yaml` below them. Then [`Router`] and [`resolve`], which requests use, [`live`],
//! [`reload`](mod@reload), [`settings`], which lists the effective settings, [`catalog`], which lists the models, and
//! [`mod@explain`], which tells what happens to a request.

mod api_references;
pub mod catalog;
mod compile;
mod draft_price;
pub mod env_file;
pub mod environment;
pub mod error;
mod excerpt;
pub mod explain;
mod file;
mod first_call;
mod flags;
mod input;
mod json_lines;
mod literal_secrets;
pub mod live;
pub mod load;
mod masked;
mod near;
mod note;
mod origin;
mod overlay;
mod place;
pub mod reload;
pub mod resolve;
mod running;
mod schema;
mod secret_text;
mod section;
pub mod settings;
mod short_forms;
pub mod snapshot;
mod spec;
mod substitute;
mod unit;
mod variable;
mod yaml;

pub use catalog::CatalogModel;
pub use compile::read_price_file;
pub use draft_price::plan_price;
pub use environment::Environment;
pub use error::{Code, ConfigError, Problem};
pub use explain::{
    ExplainedAuthentication, ExplainedPlan, ExplainedRateLimit, ExplainedRefusal, ExplainedTarget, ExplainedTier,
    Explanation, ListedClient, ListedRoute, ListedUpstream, WrittenRequest, is_endpoint,
};
pub use first_call::{FirstCall, FirstRouteCall};
pub use flags::Flags;
pub use json_lines::json_lines;
pub use live::Live;
pub use load::{LoadedConfig, Sources, load, load_for_store, read_file};
pub use masked::masked;
pub use note::Note;
pub use origin::OriginError;
pub use place::Place;
pub use reload::{CHANGES_MAX, Change, changes, reload};
pub use resolve::{ResolveError, ResolvedModel};
pub use running::{ConfigText, RunningConfig};
pub use schema::json::{document as json_schema, text as json_schema_text};
pub use settings::Setting;
pub use snapshot::{Match, RequestParts, Requested, Router, Snapshot, WrittenParts};
pub use unit::duration;
pub use variable::{EnvLine, Variable};
