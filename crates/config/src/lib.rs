//! Configuration: YAML is parsed with positions, checked once, and compiled into an immutable [`Snapshot`].
//!
//! The crate uses no network and no clock, and reads no environment: the caller passes it in. It reads the file, a
//! `.env`, and files that `file:/…` names.
//!
//! Reading order: [`snapshot`] (the result), [`load`](mod@load) and [`environment`] (the input), `schema` (the keys, each
//! declared once), `overlay` (settings from the environment), `compile` (from the values of the keys to the result),
//! with `section`, `spec` and `yaml` below them. Then [`router`] and [`resolve`], which requests use, [`live`],
//! [`settings`], which lists the effective settings, and [`catalog`], which lists the models.

pub mod catalog;
mod compile;
pub mod env_file;
pub mod environment;
pub mod error;
mod excerpt;
mod first_call;
mod input;
pub mod live;
pub mod load;
mod near;
mod origin;
mod overlay;
pub mod resolve;
pub mod router;
mod schema;
mod section;
pub mod settings;
pub mod snapshot;
mod spec;
mod substitute;
mod unit;
mod yaml;

pub use catalog::CatalogModel;
pub use compile::read_price_file;
pub use environment::Environment;
pub use error::{Code, ConfigError, Place, Problem};
pub use first_call::FirstCall;
pub use live::Live;
pub use load::{Flags, LoadedConfig, Note, Sources, load};
pub use origin::OriginError;
pub use resolve::{ResolveError, ResolvedModel};
pub use router::{Match, Router};
pub use schema::json::document as json_schema;
pub use settings::Setting;
pub use snapshot::Snapshot;
pub use unit::duration;
