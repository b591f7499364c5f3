//! Ids of objects in the operator's account at a provider, bound to the user whose call made them.
//!
//! A bound id ends in a keyed suffix: `-tgo-` and 22 characters. They encode 16 bytes of an HMAC (RFC 2104) over the user
//! and the id. Nothing is stored, and nodes with the same master key accept the ids of each other.

use std::fmt;
use std::sync::Arc;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::id::UserId;

/// The block size of SHA-256, in bytes.
const BLOCK_BYTES: usize = 64;
/// The bytes of a code that a suffix encodes.
const CODE_BYTES: usize = 16;
/// The bytes of a code that a prefix encodes.
const PREFIX_CODE_BYTES: usize = 9;
/// Begins every suffix. No provider is known to use it within an id.
const MARK: &str = "-tgo-";
/// Length of [`CODE_BYTES`] in base64url without padding.
const CODE_CHARS: usize = 22;
/// Separates the purposes of a key.
const OF_OBJECT: &[u8] = b"object\0";
const OF_VALUE: &[u8] = b"value\0";
const OF_PREFIX: &[u8] = b"prefix\0";

/// The keys of an installation for bound ids: the current one and, during a rotation of the master key, the previous one.
#[derive(Clone)]
pub struct ObjectKeys {
    pub(crate) current: ObjectKey,
    pub(crate) previous: Option<ObjectKey>,
}

/// A key that is derived from a master key. It is never printed, and is overwritten when it is dropped.
#[derive(Clone)]
pub(crate) struct ObjectKey(Zeroizing<[u8; 32]>);

/// A user who owns objects in the operator's account.
#[derive(Clone)]
pub struct ObjectOwner {
    keys: Arc<ObjectKeys>,
    user: UserId,
}

/// The owner of an id, as its suffix shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdOwner<'a> {
    /// The user. The value is the provider's own id.
    User(&'a str),
    /// Another user, or nobody: the suffix is cut, repeated or altered.
    Other,
    /// The id has no suffix.
    Unknown,
}

impl ObjectKeys {
    /// Returns keys for tests and for servers without a vault.
    #[must_use]
    pub fn of_bytes(bytes: [u8; 32]) -> Self {
        Self { current: ObjectKey::derive(&bytes), previous: None }
    }
}

impl ObjectKey {
    /// Derives the key from the bytes of a master key.
    pub(crate) fn derive(master: &[u8]) -> Self {
        let derived = hmac(master, &[b"tollgate ids of objects"]);
        let mut bytes = Zeroizing::new([0; 32]);
        bytes.iter_mut().zip(derived).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    fn code(&self, purpose: &[u8], user: UserId, text: &str) -> Output<Sha256> {
        hmac(self.0.as_slice(), &[purpose, user.0.as_bytes(), text.as_bytes()])
    }
}

impl ObjectOwner {
    /// Returns the owner with the keys of the installation.
    #[must_use]
    pub const fn new(keys: Arc<ObjectKeys>, user: UserId) -> Self {
        Self { keys, user }
    }

    /// Binds an id of the provider to the user.
    #[must_use]
    pub fn bind(&self, id: &str) -> String {
        let code = self.keys.current.code(OF_OBJECT, self.user, id);
        format!("{id}{MARK}{}", encoded(&code, CODE_BYTES))
    }

    /// Returns the owner of an id that a client has sent.
    #[must_use]
    pub fn owner_of<'a>(&self, id: &'a str) -> IdOwner<'a> {
        let parts = id.len().checked_sub(MARK.len() + CODE_CHARS).and_then(|at| id.split_at_checked(at));
        let suffix = parts.and_then(|(bare, suffix)| Some((bare, suffix.strip_prefix(MARK)?)));
        let Some((bare, code)) = suffix else {
            return if id.contains(MARK) { IdOwner::Other } else { IdOwner::Unknown };
        };
        let is_code = |key: &ObjectKey| {
            let expected = encoded(&key.code(OF_OBJECT, self.user, bare), CODE_BYTES);
            bool::from(expected.as_bytes().ct_eq(code.as_bytes()))
        };
        let is_of_user = is_code(&self.keys.current) || self.keys.previous.as_ref().is_some_and(is_code);
        if is_of_user { IdOwner::User(bare) } else { IdOwner::Other }
    }

    /// Returns a value of the user, such as a cache key, that no other user can have in the operator's account: the value
    /// behind the user's prefix, or a code if that exceeds `bytes_max`. The code has 58 bytes.
    #[must_use]
    pub fn value(&self, value: &str, bytes_max: usize) -> String {
        let key = &self.keys.current;
        let prefix = encoded(&key.code(OF_PREFIX, self.user, ""), PREFIX_CODE_BYTES);
        let whole = format!("tg{prefix}-{value}");
        if whole.len() <= bytes_max {
            return whole;
        }
        let code = key.code(OF_VALUE, self.user, value);
        format!("tg{prefix}-{}", encoded(&code, code.len()))
    }
}

impl fmt::Debug for ObjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectKeys")
    }
}

impl fmt::Debug for ObjectOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectOwner({})", self.user)
    }
}

/// Returns the first bytes of a code in base64url.
fn encoded(code: &[u8], bytes: usize) -> String {
    Base64UrlUnpadded::encode_string(code.get(..bytes).unwrap_or(code))
}

/// Returns the HMAC with SHA-256 (RFC 2104) of a message in parts. The key has at most one block.
fn hmac(key: &[u8], message: &[&[u8]]) -> Output<Sha256> {
    let mut block = Zeroizing::new([0_u8; BLOCK_BYTES]);
    block.iter_mut().zip(key).for_each(|(octet, of_key)| *octet = *of_key);
    let mut inner = Sha256::new().chain_update(block.map(|octet| octet ^ 0x36));
    message.iter().for_each(|part| inner.update(part));
    Sha256::new().chain_update(block.map(|octet| octet ^ 0x5c)).chain_update(inner.finalize()).finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Ids, Timestamp};

    fn users() -> [UserId; 2] {
        let mut ids = Ids::new(Clock::manual(Timestamp(1)));
        [UserId(ids.next_uuid()), UserId(ids.next_uuid())]
    }

    fn owner(bytes: [u8; 32], user: UserId) -> ObjectOwner {
        ObjectOwner::new(Arc::new(ObjectKeys::of_bytes(bytes)), user)
    }

    #[test]
    fn an_id_is_of_the_user_to_whom_it_is_bound() {
        let [user, other] = users();
        let here = owner([1; 32], user);
        let elsewhere = owner([1; 32], user);
        let bound = here.bind("resp_abc");
        assert!(bound.starts_with("resp_abc-tgo-") && bound.len() == "resp_abc".len() + 27, "{bound}");
        assert_eq!(elsewhere.owner_of(&bound), IdOwner::User("resp_abc"), "another node has the same master key");
        assert_eq!(owner([1; 32], other).owner_of(&bound), IdOwner::Other);
        assert_eq!(owner([2; 32], user).owner_of(&bound), IdOwner::Other);
        assert_eq!(here.owner_of("resp_abc"), IdOwner::Unknown);
        assert_eq!(here.owner_of(""), IdOwner::Unknown);
    }

    #[test]
    fn cut_repeated_and_altered_suffixes_are_of_nobody() {
        let [user, _] = users();
        let owner = owner([1; 32], user);
        let bound = owner.bind("msg_1");
        for length in "msg_1-tgo-".len()..bound.len() {
            assert_eq!(owner.owner_of(&bound[..length]), IdOwner::Other, "{length}");
        }
        let suffix = &bound["msg_1".len()..];
        for id in [format!("{bound}{suffix}"), format!("msg_2{suffix}"), format!("{bound}A"), format!("A{bound}")] {
            assert_eq!(owner.owner_of(&id), IdOwner::Other, "{id}");
        }
        for at in 0..bound.len() {
            let altered = format!("{}~{}", &bound[..at], &bound[at + 1..]);
            assert_ne!(owner.owner_of(&altered), IdOwner::User("msg_1"), "{altered}");
        }
        assert_eq!(owner.owner_of(&owner.bind(&bound)), IdOwner::User(bound.as_str()), "a gateway behind another");
        assert_eq!(owner.owner_of("\u{e9}-tgo-\u{20ac}AAAAAAAAAAAAAAAAAAAAA"), IdOwner::Other);
    }

    #[test]
    fn a_rotation_of_the_master_key_keeps_ids() {
        let [user, _] = users();
        let keys = |current: [u8; 32], previous: Option<[u8; 32]>| {
            let previous = previous.map(|bytes| ObjectKey::derive(&bytes));
            ObjectOwner::new(Arc::new(ObjectKeys { current: ObjectKey::derive(&current), previous }), user)
        };
        let old = keys([1; 32], None).bind("file-1");
        assert_eq!(keys([2; 32], Some([1; 32])).owner_of(&old), IdOwner::User("file-1"));
        assert_eq!(keys([2; 32], None).owner_of(&old), IdOwner::Other);
    }

    #[test]
    fn values_of_two_users_never_collide_and_fit() {
        let [user, other] = users();
        let one = owner([1; 32], user);
        let two = owner([1; 32], other);
        assert_ne!(one.value("cache", 64), two.value("cache", 64));
        assert!(one.value("cache", 64).ends_with("-cache"));
        let long = "x".repeat(64);
        let fitted = one.value(&long, 64);
        let again = one.value(&long, 64);
        assert_eq!((fitted.len(), &fitted), (58, &again));
        assert_ne!(fitted, one.value(&"y".repeat(64), 64));
        assert_ne!(fitted, two.value(&long, 64));
    }
}
