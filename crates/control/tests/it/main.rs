//! The admin API on real sockets with a real store; the modules mirror its URLs.

#[cfg(test)]
mod api;
#[cfg(test)]
mod client;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod dashboard;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod document;
#[cfg(test)]
mod everywhere;
#[cfg(test)]
mod heads;
#[cfg(test)]
mod health;
mod home;
#[cfg(test)]
mod install;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod livez;
#[cfg(test)]
mod metrics;
#[cfg(test)]
#[path = "../../../store/tests/it/migrated.rs"]
mod migrated;
#[cfg(test)]
mod person;
#[cfg(test)]
mod plan_prices;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod readyz;
#[cfg(test)]
mod server;
#[cfg(test)]
mod undeclared;
#[cfg(test)]
mod world;
