//! The control API over real sockets and a real store; the modules mirror its URLs.

#[cfg(test)]
mod api;
#[cfg(test)]
mod client;
#[cfg(test)]
mod health;
#[cfg(test)]
mod livez;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod readyz;
#[cfg(test)]
mod server;
#[cfg(test)]
mod world;
