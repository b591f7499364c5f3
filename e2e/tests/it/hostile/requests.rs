//! The table of hostile requests by name and RFC section, one file per topic, with the required result of each.
//!
//! The route `/o` is open, `/k` needs a key. In the sent bytes, `<<KEY>>` means a valid key and `<<70000*a>>` means
//! 70,000 times the text after the asterisk.

mod absolute;
mod authority;
mod chunked;
mod connection;
mod expect;
mod fields;
mod gemini;
mod host;
mod http_1_0;
mod length;
mod llm;
mod methods;
mod paths;
mod pipelining;
mod request_line;
mod sizes;
mod smuggling;
mod target;
mod trailers;
mod transfer_encoding;
mod upgrade;
mod whitespace;

/// The rows of every topic.
pub(crate) const THEMES: [&[Row]; 22] = [
    request_line::ROWS,
    target::ROWS,
    absolute::ROWS,
    paths::ROWS,
    host::ROWS,
    fields::ROWS,
    length::ROWS,
    transfer_encoding::ROWS,
    chunked::ROWS,
    trailers::ROWS,
    pipelining::ROWS,
    methods::ROWS,
    expect::ROWS,
    connection::ROWS,
    upgrade::ROWS,
    sizes::ROWS,
    llm::ROWS,
    gemini::ROWS,
    authority::ROWS,
    http_1_0::ROWS,
    smuggling::ROWS,
    whitespace::ROWS,
];

/// One hostile request, or several on one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// The hostile property of the request.
    pub(crate) name: &'static str,
    /// Number and section of the RFC that defines the rule.
    pub(crate) rfc: &'static str,
    /// The bytes that the client sends.
    pub(crate) sent: &'static [u8],
    /// Earlier requests on the connection that are served, as `METHOD TARGET | BODY`.
    pub(crate) before: &'static [&'static str],
    /// The required result of the request.
    pub(crate) must: Requirement,
    /// Fields (`name: value`) that the backend must receive beside Tollgate's own and the length of a body. Of Tollgate's own,
    /// a name alone is allowed.
    pub(crate) with: &'static [&'static str],
    /// Fields that the backend must not receive.
    pub(crate) without: &'static [&'static str],
}

/// The required result of a hostile request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Requirement {
    /// Tollgate refuses it with this code and closes the connection: the backend receives no part of it, and no later
    /// request.
    Refused(&'static str),
    /// Tollgate answers it with this code, and the backend receives no part of it. Later requests are served as usual,
    /// or the connection is closed.
    Answered(&'static str),
    /// The backend receives exactly these requests, and the following one.
    Read(&'static [&'static str]),
    /// The body is invalid after its head may have been forwarded. The backend receives no complete request and no
    /// later one, the client receives this code, and the connection is closed.
    Cut(&'static str),
    /// The client closes its side before the end of the request: the backend receives no complete request.
    Unfinished,
}

const fn row(name: &'static str, rfc: &'static str, sent: &'static [u8], must: Requirement) -> Row {
    Row { name, rfc, sent, before: &[], must, with: &[], without: &[] }
}

const fn refused(name: &'static str, rfc: &'static str, sent: &'static [u8]) -> Row {
    row(name, rfc, sent, Requirement::Refused("bad_request"))
}

const fn cut(name: &'static str, rfc: &'static str, sent: &'static [u8]) -> Row {
    row(name, rfc, sent, Requirement::Cut("bad_request"))
}

const fn read(name: &'static str, rfc: &'static str, sent: &'static [u8], reads: &'static [&'static str]) -> Row {
    row(name, rfc, sent, Requirement::Read(reads))
}

const fn answered(name: &'static str, rfc: &'static str, sent: &'static [u8], code: &'static str) -> Row {
    row(name, rfc, sent, Requirement::Answered(code))
}

const fn unfinished(name: &'static str, rfc: &'static str, sent: &'static [u8]) -> Row {
    row(name, rfc, sent, Requirement::Unfinished)
}

impl Row {
    const fn code(self, code: &'static str) -> Self {
        let must = match self.must {
            Requirement::Refused(_) => Requirement::Refused(code),
            Requirement::Cut(_) => Requirement::Cut(code),
            other @ (Requirement::Answered(_) | Requirement::Read(_) | Requirement::Unfinished) => other,
        };
        Self { must, ..self }
    }

    const fn after(self, before: &'static [&'static str]) -> Self {
        Self { before, ..self }
    }

    const fn with(self, with: &'static [&'static str]) -> Self {
        Self { with, ..self }
    }

    const fn without(self, without: &'static [&'static str]) -> Self {
        Self { without, ..self }
    }
}
