//! The behaviour that clients expect of every HTTP/1.1 server, tested by clients that write and read bytes.

mod changing_routes;
mod connection_options;
mod early;
mod expect;
mod framing;
mod heads;
mod no_content;
mod pipelining;
mod slow;
