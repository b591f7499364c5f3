//! The ids of orders and transactions.

/// Whether an id can be a part of a path: other characters could name another resource.
pub(super) fn is_id(id: &str) -> bool {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.');
    (1..=50).contains(&id.len()) && id.bytes().all(is_fit) && !id.bytes().all(|byte| byte == b'.')
}
