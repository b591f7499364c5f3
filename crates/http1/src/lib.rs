//! HTTP/1.1 without I/O: heads are parsed, the ends of messages found, and heads written.
//!
//! Bytes are arguments: the crate opens no socket, reads no clock and has no task. A gateway decides by the request that it
//! reads, and a server acts on the one that it reads. So the parser refuses every message that two parsers could read
//! differently; a refused head has no representation. In responses, it corrects what RFC 9112 has a proxy correct:
//! whitespace before a colon, trailers that must not be ones, and framing fields of responses without content.
//!
//! A head is parsed once, in the buffer in which it was received: names and values are positions. It is never changed:
//! [`HeadEdits`] are applied while it is written.
//!
//! ```
//! use http1::{Announced, BodyScanner, HeadEdits, HeadLimits, KnownName, RequestParser, write_fields, write_request_line};
//!
//! let received = b"POST /a HTTP/1.1\r\nHost: example.com\r\nContent-Length: 2\r\nTE: trailers\r\n\r\nhiGET /next";
//! let mut parser = RequestParser::new(HeadLimits::default());
//! let head = parser.parse(received)?.expect("the head is complete");
//! let request = head.over(received);
//! assert_eq!(request.path(), Some(&b"/a"[..]));
//! assert_eq!(request.fields().get(KnownName::Host), Some(&b"example.com"[..]));
//!
//! let mut edits = HeadEdits::for_forwarding();
//! edits.set(KnownName::Host, b"backend")?;
//! let mut sent = Vec::new();
//! write_request_line(&mut sent, request.method(), &request.origin_target())?;
//! write_fields(&mut sent, request.fields(), &edits, head.announced());
//! assert_eq!(sent, b"POST /a HTTP/1.1\r\nhost: backend\r\ncontent-length: 2\r\n\r\n");
//!
//! let mut body = BodyScanner::new(head.framing());
//! let content_bytes = body.take(&received[head.len()..])?;
//! assert!(body.has_ended() && received[head.len() + content_bytes..] == *b"GET /next");
//! # assert_eq!(head.announced(), Announced::Length(2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: `violation` and `limits` (reasons for a refusal), `request` and `response` (the parsers), `section`,
//! `fields` and `known_name` (their shared parts), `target`, `framing`, `connection` (the rules), `body` (the end of a
//! message), `trailer_name`, `edits`, `head_writer` and `chunk_writer` (writing).

mod body;
mod chunk_writer;
mod connection;
mod edits;
mod field_writer;
mod fields;
mod framing;
mod head_writer;
mod known_name;
pub mod limits;
mod octets;
mod request;
mod response;
mod section;
mod section_kind;
mod target;
mod trailer_name;
mod violation;

pub use body::{BodyScanner, Piece};
pub use chunk_writer::{CHUNK_END, ChunkPrefix, LAST_CHUNK, write_chunk, write_trailers};
pub use connection::Expectation;
pub use edits::{EDITED_NAMES_MAX, HeadEdits};
pub use field_writer::{InvalidPart, write_field};
pub use fields::{Field, FieldMemory, Fields};
pub use framing::{AnnouncedContent, Framing, ResponseTo, Version};
pub use head_writer::{
    CONTINUE, persistence_option, write_added_fields, write_edited_fields, write_fields, write_framing,
    write_request_line, write_status_line,
};
pub use known_name::KnownName;
pub use limits::HeadLimits;
pub use request::{Request, RequestHead, RequestParser};
pub use response::{Response, ResponseHead, ResponseParser};
pub use target::{RequestTarget, escaped_target, is_origin_form};
pub use trailer_name::may_be_trailer;
pub use violation::Violation;
