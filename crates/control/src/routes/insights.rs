//! The insights of a day: `/ingest`, `/classify`, `/brief`, `/assets`, `/roi`, `/export`, `/config` and `/review`.

pub(super) mod assets;
pub(super) mod brief;
pub(super) mod classification;
mod documented;
pub(super) mod examples;
pub(super) mod export;
pub(super) mod ingest_status;
pub(super) mod review;
pub(super) mod roi;
pub(super) mod settings;
