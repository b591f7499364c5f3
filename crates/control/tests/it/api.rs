mod auth;
mod usage;
