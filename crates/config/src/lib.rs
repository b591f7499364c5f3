//! Configuration: YAML is read with its places kept, checked once, and becomes an immutable [`Snapshot`].
//!
//! Never does: network, clocks, environment of its own (it is passed in). It reads the file, a `.env`, and what `file:/…` names.
//!
//! Read in this order: [`snapshot`] (what comes out), [`load`](mod@load) and [`environment`] (what goes in), `grammar` (which keys
//! there are), `overlay` (those of the environment), `compile` (how one becomes the other), `section` and `yaml` below it; then [`router`] and [`resolve`], which requests ask, [`live`], and [`settings`], which shows what is in
//! force.

mod compile;
pub mod env_file;
pub mod environment;
pub mod error;
mod excerpt;
mod first_call;
mod grammar;
pub mod live;
pub mod load;
mod near;
mod origin;
mod overlay;
pub mod resolve;
pub mod router;
mod section;
pub mod settings;
pub mod snapshot;
mod substitute;
mod unit;
mod yaml;

pub use compile::read_price_file;
pub use environment::Environment;
pub use error::{Code, ConfigError, Place, Problem};
pub use first_call::FirstCall;
pub use live::Live;
pub use load::{Flags, Loaded, Note, Sources, load};
pub use origin::OriginError;
pub use resolve::{Resolved, Unresolved};
pub use router::{Match, Router};
pub use settings::Setting;
pub use snapshot::Snapshot;
pub use unit::duration;
