//! The data plane in-process, between real sockets.

#[cfg(test)]
mod gateway;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod upstream;
