//! The insights of a day: `/ingest`, `/classify`, `/brief`, `/roi`, `/config` and `/review`.

pub(super) mod examples;
