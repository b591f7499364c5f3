//! Writes the events of a stream.

/// Adds an event to a stream.
pub(super) fn put(out: &mut Vec<u8>, name: Option<&str>, json: &str) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(json.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// Adds a comment, which clients ignore, to a stream.
pub(super) fn put_comment(streamed: bool, out: &mut Vec<u8>) {
    if streamed {
        out.extend_from_slice(b": keepalive\n\n");
    }
}
