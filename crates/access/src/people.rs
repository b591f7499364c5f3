//! Users, and the subjects that usage and limits are counted for.

pub mod labels;
pub mod subject;
pub mod subject_id;
pub mod user;
