//! The changes of headers and statuses that a route makes.

use std::fmt;

use http::StatusCode;
use http1::HeadEdits;

use super::template::Template;

/// The changes of the headers of requests or of responses, which apply after all others and in this order.
#[derive(Debug, Clone)]
pub struct HeaderRules {
    /// The names of removed and replaced fields.
    pub names: Box<[Box<str>]>,
    /// The removed names, and the fields with fixed values that replace others.
    pub replaced: HeadEdits,
    /// The fields with values of the request that replace others.
    pub replaced_by_values: Box<[HeaderTemplate]>,
    /// The fields with fixed values that are added to others.
    pub appended: HeadEdits,
    /// The fields with values of the request that are added to others.
    pub appended_values: Box<[HeaderTemplate]>,
    /// The path of the route, if a value has a parameter of it.
    pub path: Option<Template>,
    /// Whether a value has a credential of the vault.
    pub has_credentials: bool,
}

/// A field with values of the request.
#[derive(Clone)]
pub struct HeaderTemplate {
    /// The name of the field, as it is written.
    pub name: Box<str>,
    /// The parts of its value.
    pub parts: Box<[HeaderPart]>,
}

/// Literal parts may be secrets: only the name is printed.
impl fmt::Debug for HeaderTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderTemplate").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A part of the value of a field.
#[derive(Clone, PartialEq, Eq)]
pub enum HeaderPart {
    /// This text, byte for byte.
    Literal(Box<str>),
    /// The shared credential of the upstream with this label in the vault.
    Credential(Box<str>),
    /// The time since the head of the request had arrived: `12ms`.
    Latency,
    /// The id of the request.
    RequestId,
    /// The client's address, as `X-Forwarded-For` has it.
    ClientAddress,
    /// A claim of the client's access token.
    Claim(Box<str>),
    /// The values of a header of the request, in lowercase.
    Header(Box<str>),
    /// A parameter of the path of the route, by its position.
    Parameter(usize),
}

/// The changes of responses that a route makes.
#[derive(Debug, Clone, Default)]
pub struct ResponseRules {
    /// The changes of headers; `None` without one.
    pub headers: Option<HeaderRules>,
    /// Statuses of upstreams, and those in place of them.
    pub statuses: Box<[(StatusCode, StatusCode)]>,
}

impl ResponseRules {
    /// Returns the status that the client receives in place of the upstream's.
    #[must_use]
    pub fn status(&self, received: StatusCode) -> StatusCode {
        let found = self.statuses.iter().find(|(from, _)| *from == received);
        found.map_or(received, |(_, to)| *to)
    }
}
