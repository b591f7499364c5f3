//! The key under which a rate limit counts a request: the values of its dimensions, one after the other.
//!
//! A value is written so that no two lists of values have one key. [`parts`] reads them again.

use std::net::IpAddr;

use access::Subject;
use access::network::address;
use smallvec::SmallVec;

/// Number of bytes of a key that need no allocation.
const KEY_INLINE: usize = 64;
/// The byte before a value.
const VALUE: u8 = 1;
/// The byte after the values of a dimension that may have several or none.
const END: u8 = 0;
/// The word of a client that is a key, in a limit that counts each client.
pub const CLIENT_KEY: &[u8] = b"key";

/// The values of the dimensions of a limit in one request.
pub type LimitKey = SmallVec<[u8; KEY_INLINE]>;

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPart<'a> {
    /// A value of a dimension.
    Value(&'a [u8]),
    /// The end of the values of a dimension that may have several or none.
    End,
}

/// Appends a value to a key.
pub fn push(key: &mut LimitKey, value: &[u8]) {
    key.push(VALUE);
    key.extend_from_slice(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_be_bytes());
    key.extend_from_slice(value);
}

/// Appends the end of values, of which there may be several or none.
pub fn push_end(key: &mut LimitKey) {
    key.push(END);
}

/// Appends an address; an IPv6 address counts with its whole /64.
pub fn push_address(key: &mut LimitKey, address: IpAddr) {
    match address::network(address) {
        IpAddr::V4(address) => push(key, &address.octets()),
        IpAddr::V6(address) => push(key, &address.octets()),
    }
}

/// Appends the user of an identity; `None` for an anonymous client.
pub fn push_user(key: &mut LimitKey, subject: &Subject) -> Option<()> {
    push(key, subject.kind().as_str().as_bytes());
    match subject {
        Subject::Key(caller) => push(key, &caller.user.0.to_be_bytes()),
        Subject::Token { issuer, sub: name } | Subject::Basic { issuer, name } => {
            push(key, issuer.as_str().as_bytes());
            push(key, name.as_str().as_bytes());
        }
        Subject::Certificate { subject } => push(key, subject.as_str().as_bytes()),
        Subject::Anonymous { .. } => return None,
    }
    Some(())
}

/// Appends the key or another identity of a client, without one its address.
pub fn push_client(key: &mut LimitKey, subject: &Subject, address: IpAddr) -> Option<()> {
    match subject {
        Subject::Key(caller) => {
            push(key, CLIENT_KEY);
            push(key, &caller.key.0.to_be_bytes());
        }
        Subject::Anonymous { .. } => push_address(key, address),
        Subject::Token { .. } | Subject::Basic { .. } | Subject::Certificate { .. } => push_user(key, subject)?,
    }
    Some(())
}

/// Returns the parts of a key. Reading ends at bytes that are no part.
pub fn parts(mut key: &[u8]) -> impl Iterator<Item = KeyPart<'_>> {
    std::iter::from_fn(move || match key.split_first()? {
        (&END, rest) => {
            key = rest;
            Some(KeyPart::End)
        }
        (_, rest) => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_be_bytes(*length)).ok()?;
            let (value, rest) = rest.split_at_checked(length)?;
            key = rest;
            Some(KeyPart::Value(value))
        }
    })
}

#[cfg(test)]
mod tests {
    use access::SubjectText;

    use super::*;

    #[test]
    fn the_parts_of_a_key_are_those_that_were_written() {
        let mut key = LimitKey::new();
        push(&mut key, b"acme");
        push(&mut key, &[0, 1]);
        push_end(&mut key);
        push(&mut key, b"");
        let read: Vec<KeyPart<'_>> = parts(&key).collect();
        assert_eq!(read, [KeyPart::Value(b"acme"), KeyPart::Value(&[0, 1]), KeyPart::End, KeyPart::Value(b"")]);
    }

    #[test]
    fn a_client_without_a_key_counts_as_its_user() {
        let certificate = Subject::Certificate { subject: SubjectText::parse("CN=ada").unwrap() };
        let mut user = LimitKey::new();
        let mut client = LimitKey::new();
        push_user(&mut user, &certificate).unwrap();
        push_client(&mut client, &certificate, IpAddr::from([127, 0, 0, 1])).unwrap();
        assert_eq!(user, client);
        let read: Vec<KeyPart<'_>> = parts(&user).collect();
        assert_eq!(read, [KeyPart::Value(b"certificate"), KeyPart::Value(b"CN=ada")]);
    }

    #[test]
    fn reading_ends_at_bytes_that_are_no_part() {
        for bytes in [&[1][..], &[1, 0, 0, 0, 0, 0, 0, 0, 9, 1], &[1, 255, 255, 255, 255, 255, 255, 255, 255]] {
            assert_eq!(parts(bytes).count(), 0, "{bytes:?}");
        }
    }
}
