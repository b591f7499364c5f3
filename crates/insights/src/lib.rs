//! Insights: the usage of a UTC day classified, explained and reviewed.
//!
//! This crate does no I/O and reads no clock: figures, files and times are arguments. It contains no SQL; `ledger` reads
//! the figures. The types that `control` returns are defined here, and so are the example files in the same types.
//!
//! Reading order: [`scope`] (ids of briefs) and [`figures`]; the responses [`ingest_status`], [`classification`], [`brief`], [`roi`],
//! [`review`], [`signed_classes`] and [`settings`]; their computation in [`rules`], [`classify`], [`movers`], [`anomalies`],
//! [`forecast`], [`latency`] and [`briefing`]; the documents [`charts`] and [`page`]; then [`examples`].

pub mod anomalies;
pub mod brief;
pub mod briefing;
pub mod charts;
pub mod classification;
pub mod classify;
pub mod examples;
pub mod figures;
pub mod forecast;
pub mod ingest_status;
pub mod latency;
pub mod movers;
pub mod page;
pub mod review;
pub mod roi;
pub mod rules;
pub mod scope;
pub mod settings;
pub mod signed_classes;

pub use brief::Brief;
pub use classification::{Class, ClassShare, Classification};
pub use examples::{Examples, ExamplesError};
pub use figures::money::NanoMoney;
pub use figures::ratio::Ratio;
pub use ingest_status::{IngestStatus, NodeIngest};
pub use review::ReviewStatus;
pub use roi::Roi;
pub use scope::DayScope;
pub use settings::InsightSettings;
