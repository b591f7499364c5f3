//! Objects to which the gateway adds a field.

/// Whether the object that begins at `at` is empty.
pub(super) fn is_empty(body: &[u8], at: usize) -> bool {
    let inside = body.get(at + 1..).unwrap_or_default().trim_ascii_start();
    inside.is_empty() || inside.starts_with(b"}")
}
