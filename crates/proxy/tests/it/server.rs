//! What every HTTP/1.1 server does without being told, seen by clients that write and read bytes.

mod connection_options;
mod early;
mod expect;
mod framing;
mod heads;
mod no_content;
mod pipelining;
mod slow;
