//! The kinds of field sections, which differ in the lines that they may have.

/// The message whose lines are scanned. Servers that send odd names are read as RFC 9112 has it; clients are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SectionKind {
    /// The head or the trailers of a request.
    Request,
    /// The head of a response: whitespace between a name and its colon is removed (RFC 9112, 5.1).
    ResponseHead,
    /// The trailers of a response. Framing fields among them are dropped, in each spelling.
    ResponseTrailers,
}
