//! Parts of requests and responses: problems, lists, CSV files, times and figures.

pub(crate) mod attachment;
pub(crate) mod csv;
pub(crate) mod figures;
pub(crate) mod limit_fields;
pub(crate) mod listing;
pub(crate) mod moment;
pub(crate) mod problem;
pub(crate) mod words;
