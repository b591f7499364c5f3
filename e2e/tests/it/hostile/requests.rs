//! The table: hostile requests by name and RFC section, a file a theme, and what must come of each.
//!
//! The route `/o` is open, `/k` wants a key. In what is sent `<<KEY>>` is a key that opens, and `<<70000*a>>` that many
//! of a letter.

mod absolute;
mod chunked;
mod connection;
mod expect;
mod fields;
mod gemini;
mod host;
mod length;
mod llm;
mod methods;
mod paths;
mod pipelining;
mod request_line;
mod sizes;
mod target;
mod trailers;
mod transfer_encoding;
mod upgrade;

/// Every theme.
pub(crate) const THEMES: [&[Row]; 18] = [
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
];

/// One hostile request, or several on one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// What is hostile about it.
    pub(crate) name: &'static str,
    /// Number and section of the RFC that speaks of it.
    pub(crate) rfc: &'static str,
    /// What the caller sends.
    pub(crate) sent: &'static [u8],
    /// Requests before it on the connection that are served, as `METHOD TARGET | BODY`.
    pub(crate) before: &'static [&'static str],
    /// What comes of it.
    pub(crate) must: Must,
    /// Fields (`name`, or `name: value`) that the backend must see.
    pub(crate) with: &'static [&'static str],
    /// Fields that the backend must not see.
    pub(crate) without: &'static [&'static str],
}

/// What comes of a hostile request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Must {
    /// Refused with this code, and the connection is closed: the backend sees none of it, and nothing after it.
    Refused(&'static str),
    /// Answered with this code by us; the backend sees none of it. What follows is read as if it had not been, or the
    /// connection is closed.
    Answered(&'static str),
    /// The backend sees these requests, each in one sense, and what follows.
    Read(&'static [&'static str]),
    /// The body goes wrong when its head may have gone on: the backend sees no whole request of it, nothing after it,
    /// and the caller an answer with this code; then the connection is closed.
    Cut(&'static str),
    /// The caller never sends all of it and ends its side: the backend sees no whole request.
    Unfinished,
}

const fn row(name: &'static str, rfc: &'static str, sent: &'static [u8], must: Must) -> Row {
    Row { name, rfc, sent, before: &[], must, with: &[], without: &[] }
}

const fn refused(name: &'static str, rfc: &'static str, sent: &'static [u8]) -> Row {
    row(name, rfc, sent, Must::Refused("bad_request"))
}

const fn cut(name: &'static str, rfc: &'static str, sent: &'static [u8]) -> Row {
    row(name, rfc, sent, Must::Cut("bad_request"))
}

const fn read(name: &'static str, rfc: &'static str, sent: &'static [u8], reads: &'static [&'static str]) -> Row {
    row(name, rfc, sent, Must::Read(reads))
}

const fn answered(name: &'static str, rfc: &'static str, sent: &'static [u8], code: &'static str) -> Row {
    row(name, rfc, sent, Must::Answered(code))
}

const fn unfinished(name: &'static str, rfc: &'static str, sent: &'static [u8]) -> Row {
    row(name, rfc, sent, Must::Unfinished)
}

impl Row {
    const fn code(self, code: &'static str) -> Self {
        let must = match self.must {
            Must::Refused(_) => Must::Refused(code),
            Must::Cut(_) => Must::Cut(code),
            other @ (Must::Answered(_) | Must::Read(_) | Must::Unfinished) => other,
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
