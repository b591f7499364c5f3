//! The insights of a day, from example files and from usage.

mod days;
mod examples;
mod labels;
mod live;
mod nodes;
mod redis;
