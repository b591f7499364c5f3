//! `Basic` credentials (RFC 7617): the users of the configuration with the hashes of their passwords, and the requests to
//! verify a password.
//!
//! A verification blocks and uses up to [`MEMORY_KIB_MAX`] of memory, so a bounded pool of threads performs it
//! ([`PasswordChecks`] is its queue). A keyed hash ([`DigestKey`]) identifies a verified credential in a cache.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use crate::credentials::secret::Secret;
use crate::people::subject::SubjectText;

/// Maximum number of users of one list.
pub const USERS_MAX: usize = 256;
/// Maximum length of a password in bytes.
pub const PASSWORD_LEN_MAX: usize = 1_024;
/// Maximum memory of an Argon2id hash, in KiB.
pub const MEMORY_KIB_MAX: u32 = 64 * 1_024;
/// Maximum product of the memory in KiB and the passes of an Argon2id hash: a few tenths of a second.
pub const ARGON2_COST_MAX: u32 = 4 * MEMORY_KIB_MAX;
/// Maximum number of lanes of an Argon2id hash.
const LANES_MAX: u32 = 16;
/// Minimum and maximum cost of a bcrypt hash; the maximum takes about a second.
const BCRYPT_COST: std::ops::RangeInclusive<u32> = 4..=14;
/// The number of bytes of a password that bcrypt reads, without the final zero.
const BCRYPT_LEN_MAX: usize = 72;
/// Maximum length of a hash in bytes.
const HASH_LEN_MAX: usize = 512;

/// The hash of a password, whose cost is bounded. It is never printed.
#[derive(Clone)]
pub struct BasicHash {
    text: Secret,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Argon2id { params: Params, salt: Box<[u8]>, output: Box<[u8]> },
    Bcrypt(Box<str>),
}

/// The reason why a text is not a [`BasicHash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BasicHashError {
    /// The text is a hash of neither algorithm.
    #[error("an Argon2id hash `$argon2id$v=19$m=19456,t=2,p=1$…`, or a bcrypt hash `$2b$10$…`")]
    Form,
    /// A verification would use too much time or memory.
    #[error(
        "a hash of a lower cost: Argon2id with m of at most 65536 KiB, m × t of at most 262144 and p of at most 16; bcrypt with a cost of 4 to 14"
    )]
    Cost,
}

impl BasicHash {
    /// Parses a hash.
    ///
    /// # Errors
    /// [`BasicHashError`].
    pub fn parse(text: &str) -> Result<Self, BasicHashError> {
        if text.len() > HASH_LEN_MAX {
            return Err(BasicHashError::Form);
        }
        let kind = if text.starts_with("$argon2id$") { argon2id(text) } else { bcrypt_hash(text) };
        Ok(Self { kind: kind?, text: Secret::new(text.to_owned()) })
    }

    /// Returns the text of the hash.
    #[must_use]
    pub const fn text(&self) -> &Secret {
        &self.text
    }

    /// Whether this is the hash of `password`. Blocks.
    #[must_use]
    pub fn verifies(&self, password: &Secret) -> bool {
        let password = password.expose();
        match &self.kind {
            Kind::Argon2id { params, salt, output } => {
                let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
                let mut computed = vec![0; output.len()];
                let is_computed = argon2.hash_password_into(password.as_bytes(), salt, &mut computed).is_ok();
                is_computed && bool::from(computed.ct_eq(output))
            }
            // A longer password would equal each other one with the same beginning.
            Kind::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false) && password.len() <= BCRYPT_LEN_MAX,
        }
    }
}

fn argon2id(text: &str) -> Result<Kind, BasicHashError> {
    let hash = PasswordHash::new(text).map_err(|_| BasicHashError::Form)?;
    let params = Params::try_from(&hash).map_err(|_| BasicHashError::Form)?;
    let Some(salt) = hash.salt else {
        return Err(BasicHashError::Form);
    };
    let Some(output) = hash.hash else {
        return Err(BasicHashError::Form);
    };
    if hash.version != Some(u32::from(Version::V0x13)) {
        return Err(BasicHashError::Form);
    }
    let is_bounded = params.m_cost() <= MEMORY_KIB_MAX
        && params.m_cost().saturating_mul(params.t_cost()) <= ARGON2_COST_MAX
        && params.p_cost() <= LANES_MAX;
    if !is_bounded {
        return Err(BasicHashError::Cost);
    }
    Ok(Kind::Argon2id { params, salt: salt.as_ref().into(), output: output.as_ref().into() })
}

/// Parses `$2b$10$` with 22 characters of the salt and 31 of the hash. `$2a$` and `$2y$` are the same algorithm.
fn bcrypt_hash(text: &str) -> Result<Kind, BasicHashError> {
    let parts: Vec<&str> = text.splitn(5, '$').collect();
    let ["", "2a" | "2b" | "2y", cost, rest] = parts[..] else {
        return Err(BasicHashError::Form);
    };
    let is_base64 = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    let digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    match cost.parse() {
        Ok(cost) if digits && rest.len() == 53 && is_base64 => {
            if BCRYPT_COST.contains(&cost) {
                Ok(Kind::Bcrypt(text.into()))
            } else {
                Err(BasicHashError::Cost)
            }
        }
        Ok(_) | Err(_) => Err(BasicHashError::Form),
    }
}

impl fmt::Debug for BasicHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BasicHash(***)")
    }
}

/// A user with the hash of the password.
#[derive(Debug, Clone)]
pub struct BasicUser {
    /// The name, which is the subject of the user's requests.
    pub name: SubjectText<255>,
    /// The hash of the password.
    pub hash: Arc<BasicHash>,
}

/// The users of one entry of the configuration: at least one.
#[derive(Debug, Clone)]
pub struct BasicUsers {
    users: Box<[BasicUser]>,
    /// The last user, whose hash a list that is empty by mistake would not have.
    last: BasicUser,
}

/// The hash with which the password of a presented name is compared.
#[derive(Debug, Clone)]
pub struct BasicCandidate {
    /// The hash; for an unknown name, that of any user.
    pub hash: Arc<BasicHash>,
    /// The name of the user; `None` if it is unknown, so that no password is right.
    pub user: Option<SubjectText<255>>,
}

impl BasicUsers {
    /// Creates a list of at most [`USERS_MAX`] users with distinct names, which the caller checks. `None` without users.
    #[must_use]
    pub fn new(users: Vec<BasicUser>) -> Option<Self> {
        let last = users.last()?.clone();
        Some(Self { users: users.into(), last })
    }

    /// Returns the names of the users.
    pub fn names(&self) -> impl Iterator<Item = &SubjectText<255>> {
        self.users.iter().map(|user| &user.name)
    }

    /// Returns the hash for a presented name. An unknown name gets the hash of one of the users, which depends on the
    /// name and on `digest`, a keyed hash: its verification takes as long as that of some user, each time the same.
    #[must_use]
    pub fn candidate(&self, name: &str, digest: &CredentialDigest) -> BasicCandidate {
        let known = self.users.iter().find(|user| user.name.as_str() == name);
        if let Some(BasicUser { name, hash }) = known {
            return BasicCandidate { hash: hash.clone(), user: Some(name.clone()) };
        }
        let number = digest.0.first().copied().map_or(0, usize::from);
        let decoy = self.users.get(number % self.users.len().max(1)).unwrap_or(&self.last);
        BasicCandidate { hash: decoy.hash.clone(), user: None }
    }
}

/// A request to verify a password.
#[derive(Debug)]
pub struct PasswordCheck {
    /// The hash of the configuration.
    pub hash: Arc<BasicHash>,
    /// The password that the client sent.
    pub presented: Secret,
    /// Receives whether the password is right. If it is dropped, the result is unknown.
    pub reply: oneshot::Sender<bool>,
}

/// The sending side of the queue of verifications.
#[derive(Debug, Clone)]
pub struct PasswordChecks(mpsc::Sender<PasswordCheck>);

impl PasswordChecks {
    /// Creates the sending side of `queue`.
    #[must_use]
    pub const fn new(queue: mpsc::Sender<PasswordCheck>) -> Self {
        Self(queue)
    }

    /// Returns whether the password is right; `None` if the queue is full or nothing verifies it. The future may be
    /// cancelled at any point; a queued verification is then skipped.
    pub async fn verify(&self, hash: Arc<BasicHash>, presented: Secret) -> Option<bool> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(PasswordCheck { hash, presented, reply }).ok()?;
        answer.await.ok()
    }
}

/// A random key of [`CredentialDigest`]s. It never leaves the process.
#[derive(Clone)]
pub struct DigestKey([u8; 32]);

/// The keyed hash of a credential, by which a cache finds its result.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CredentialDigest([u8; 32]);

impl DigestKey {
    /// Creates a random key; `None` if the operating system returns no random bytes.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok()?;
        Some(Self(key))
    }

    /// Returns the hash of the parts of a credential. Two lists of parts never have the same input. The length of each
    /// part precedes it, so that SHA-256 needs no outer hash: an extended input is no list of parts.
    #[must_use]
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> CredentialDigest {
        let mut hash = Sha256::new_with_prefix(self.0);
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        CredentialDigest(hash.finalize().into())
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(***)")
    }
}

impl fmt::Debug for CredentialDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialDigest(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    fn argon2id(params: &str) -> String {
        format!("$argon2id$v=19${params}$c29tZXNhbHRzb21l$TJqX8Y1e8bXqFOpPBLZ0Og")
    }

    /// Returns the Argon2id hash of a password with the lowest cost.
    fn hashed(password: &str) -> String {
        let salt = b"a salt of tests!";
        let mut output = [0; 16];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, Some(16)).unwrap());
        argon2.hash_password_into(password.as_bytes(), salt, &mut output).unwrap();
        let encoded = |bytes: &[u8]| {
            use base64ct::Encoding;
            base64ct::Base64Unpadded::encode_string(bytes)
        };
        format!("$argon2id$v=19$m=8,t=1,p=1${}${}", encoded(salt), encoded(&output))
    }

    #[test]
    fn a_hash_of_either_algorithm_verifies_its_password_only() {
        let bcrypt = bcrypt::hash("open sesame", 4).unwrap();
        for hash in [hashed("open sesame"), bcrypt.clone(), bcrypt.replace("$2b$", "$2y$")] {
            let hash = BasicHash::parse(&hash).unwrap();
            assert!(hash.verifies(&secret("open sesame")));
            for other in ["", "open sesam", "open sesame ", "Open sesame"] {
                assert!(!hash.verifies(&secret(other)), "{other}");
            }
            assert_eq!(format!("{hash:?}"), "BasicHash(***)");
        }
    }

    #[test]
    fn bytes_that_bcrypt_does_not_read_are_refused() {
        let whole = "x".repeat(BCRYPT_LEN_MAX);
        let hash = BasicHash::parse(&bcrypt::hash(&whole, 4).unwrap()).unwrap();
        assert!(hash.verifies(&secret(&whole)));
        assert!(!hash.verifies(&secret(&format!("{whole}y"))));
    }

    #[test]
    fn costs_are_bounded() {
        let check = |text: &str| BasicHash::parse(text).map(|_| ());
        for (params, expected) in [
            ("m=19456,t=2,p=1", Ok(())),
            ("m=65536,t=3,p=4", Ok(())),
            ("m=65536,t=5,p=1", Err(BasicHashError::Cost)),
            ("m=65537,t=1,p=1", Err(BasicHashError::Cost)),
            ("m=4096,t=1,p=17", Err(BasicHashError::Cost)),
            ("m=0,t=1,p=1", Err(BasicHashError::Form)),
        ] {
            assert_eq!(check(&argon2id(params)), expected, "{params}");
        }
        let rest = "R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW";
        for (text, expected) in [
            (format!("$2b$12${rest}"), Ok(())),
            (format!("$2y$14${rest}"), Ok(())),
            (format!("$2a$15${rest}"), Err(BasicHashError::Cost)),
            (format!("$2b$03${rest}"), Err(BasicHashError::Cost)),
            (format!("$2x$10${rest}"), Err(BasicHashError::Form)),
            (format!("$2b$4${rest}"), Err(BasicHashError::Form)),
            (format!("$2b$10${}", &rest[1..]), Err(BasicHashError::Form)),
            (format!("$2b$10${rest}$"), Err(BasicHashError::Form)),
            (argon2id("m=8,t=1,p=1").replace("argon2id", "argon2i"), Err(BasicHashError::Form)),
            (argon2id("m=8,t=1,p=1").replace("v=19", "v=16"), Err(BasicHashError::Form)),
            (argon2id("m=8,t=1,p=1").replace("v=19$", ""), Err(BasicHashError::Form)),
            ("{SHA}xyz".to_owned(), Err(BasicHashError::Form)),
            ("secret".to_owned(), Err(BasicHashError::Form)),
            (argon2id("m=8,t=1,p=1") + &"A".repeat(HASH_LEN_MAX), Err(BasicHashError::Form)),
        ] {
            assert_eq!(check(&text), expected, "{text}");
        }
    }

    #[test]
    fn an_unknown_name_gets_the_hash_of_a_user_and_always_the_same() {
        let user = |name: &str| BasicUser {
            name: SubjectText::parse(name).unwrap(),
            hash: Arc::new(BasicHash::parse(&hashed(name)).unwrap()),
        };
        let users = BasicUsers::new(vec![user("ada"), user("bob")]).unwrap();
        let key = DigestKey::random().unwrap();
        let find = |name: &str| users.candidate(name, &key.digest([name.as_bytes()]));
        assert_eq!(find("bob").user.unwrap().as_str(), "bob");
        let unknown = find("eve");
        assert!(unknown.user.is_none() && Arc::ptr_eq(&unknown.hash, &find("eve").hash));
        assert!(users.users.iter().any(|user| Arc::ptr_eq(&user.hash, &unknown.hash)));
        assert!(BasicUsers::new(Vec::new()).is_none());
    }

    #[test]
    fn a_digest_depends_on_the_key_and_on_the_borders_of_parts() {
        let one = DigestKey::random().unwrap();
        let two = DigestKey::random().unwrap();
        assert!(one.digest([b"ab" as &[u8], b"c"]) == one.digest([b"ab" as &[u8], b"c"]));
        assert!(one.digest([b"ab" as &[u8], b"c"]) != one.digest([b"a" as &[u8], b"bc"]));
        assert!(one.digest([b"abc" as &[u8]]) != two.digest([b"abc" as &[u8]]));
    }

    #[test]
    fn keys_and_digests_do_not_print() {
        let key = DigestKey::random().unwrap();
        assert_eq!(format!("{key:?} {:?}", key.digest([b"ab" as &[u8]])), "DigestKey(***) CredentialDigest(***)");
    }

    #[tokio::test]
    async fn a_full_queue_leaves_the_result_unknown() {
        let (queue, mut checks) = mpsc::channel(1);
        let queue = PasswordChecks::new(queue);
        let hash = Arc::new(BasicHash::parse(&hashed("x")).unwrap());
        let (first, ()) = tokio::join!(queue.verify(hash.clone(), secret("x")), async {
            let check: PasswordCheck = checks.recv().await.unwrap();
            queue
                .0
                .try_send(PasswordCheck { hash: hash.clone(), presented: secret("y"), reply: oneshot::channel().0 })
                .unwrap();
            assert_eq!(queue.verify(hash.clone(), secret("z")).await, None);
            check.reply.send(check.hash.verifies(&check.presented)).unwrap();
        });
        assert_eq!(first, Some(true));
    }
}
