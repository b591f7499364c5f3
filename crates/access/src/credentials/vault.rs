//! Encryption of stored provider credentials: AES-256-GCM (NIST SP 800-38D) under a master key, bound to the row and
//! its owner.
//!
//! A sealed credential consists of nonce, ciphertext and tag; the nonce has 12 random bytes. A credential cannot be
//! decrypted if it was moved to another row or owner, altered, or sealed with another key.

use std::fmt;

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, Key, KeyInit, Nonce, Tag};
use base64ct::{Base64, Base64Unpadded, Encoding};
use sha2::{Digest, Sha256};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::credentials::object_owner::{ObjectKey, ObjectKeys};
use crate::credentials::secret::Secret;
use crate::id::{ProviderKeyId, UserId};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const ID_BYTES: usize = 16;
/// Prefix of the hashed text, so that a fingerprint differs from every other hash of a master key.
const FINGERPRINT: &[u8] = b"tollgate master key";
/// Prefix of the associated data.
const BOUND_TO: &[u8] = b"tollgate provider key";

/// The key that encrypts credentials: 32 bytes. It is never printed, and is overwritten when it is dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

/// Identifies a master key without revealing it: the first 16 bytes of a SHA-256 hash. `Display` prints lowercase hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 16]);

/// A credential in encrypted form.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCredential {
    /// The master key with which it is sealed.
    pub master: Fingerprint,
    /// The nonce, the ciphertext and the tag.
    pub bytes: Vec<u8>,
}

/// The current master key and, during a rotation, the previous one, with which credentials can be decrypted as well.
#[derive(Clone)]
pub struct Vault {
    current: MasterCipher,
    previous: Option<MasterCipher>,
}

/// A master key with its initialized cipher.
#[derive(Clone)]
struct MasterCipher {
    fingerprint: Fingerprint,
    cipher: Aes256Gcm,
    objects: ObjectKey,
}

/// Why a credential could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VaultError {
    /// The vault does not have the master key with which the credential is sealed.
    #[error("the credential is sealed with the master key {master}, which this server does not have")]
    OtherKey {
        /// The master key that is needed.
        master: Fingerprint,
    },
    /// Decryption with the correct master key failed.
    #[error("the credential was altered, or moved from another row")]
    Altered,
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes")]
    Random,
}

/// The text is not a master key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a master key must be 32 bytes in base64; create one with `openssl rand -base64 32`")]
pub struct NoMasterKey;

impl MasterKey {
    /// Parses 32 bytes in base64: the standard alphabet or the one for URLs (RFC 4648, 4 and 5), with or without `=`.
    ///
    /// # Errors
    /// [`NoMasterKey`]; the error does not contain the text.
    pub fn parse(text: &str) -> Result<Self, NoMasterKey> {
        let digits = text.strip_suffix('=').unwrap_or(text).bytes();
        let in_one_alphabet = |digit| match digit {
            b'-' => b'+',
            b'_' => b'/',
            digit => digit,
        };
        let digits: Zeroizing<Vec<u8>> = Zeroizing::new(digits.map(in_one_alphabet).collect());
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let decoded = Base64Unpadded::decode(digits.as_slice(), bytes.as_mut_slice()).map(<[u8]>::len);
        if decoded == Ok(KEY_BYTES) { Ok(Self(bytes)) } else { Err(NoMasterKey) }
    }

    /// Returns the fingerprint of the key.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = Sha256::new().chain_update(FINGERPRINT).chain_update(self.0.as_slice()).finalize();
        let mut first = [0; ID_BYTES];
        first.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Fingerprint(first)
    }
}

/// Returns 32 random bytes in base64 (44 characters), for a master key or another secret of the same strength.
///
/// # Errors
/// [`VaultError::Random`] if no random bytes are available.
pub fn random_text() -> Result<Secret, VaultError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| VaultError::Random)?;
    Ok(Secret::new(Base64::encode_string(bytes.as_slice())))
}

impl Vault {
    /// Creates a vault that seals with `current` and opens with either key.
    #[must_use]
    pub fn new(current: &MasterKey, previous: Option<&MasterKey>) -> Self {
        Self { current: MasterCipher::new(current), previous: previous.map(MasterCipher::new) }
    }

    /// Returns the fingerprint of the key that seals.
    #[must_use]
    pub const fn current(&self) -> Fingerprint {
        self.current.fingerprint
    }

    /// Returns the fingerprint of the previous key.
    #[must_use]
    pub fn previous(&self) -> Option<Fingerprint> {
        self.previous.as_ref().map(|bolt| bolt.fingerprint)
    }

    /// Returns the keys that bind ids of objects at providers to users.
    #[must_use]
    pub fn object_keys(&self) -> ObjectKeys {
        let previous = self.previous.as_ref().map(|previous| previous.objects.clone());
        ObjectKeys { current: self.current.objects.clone(), previous }
    }

    /// Seals `secret` for this row and owner; shared credentials have no owner.
    ///
    /// # Errors
    /// [`VaultError::Random`] if no random bytes are available.
    pub fn seal(
        &self,
        row: ProviderKeyId,
        owner: Option<UserId>,
        secret: &Secret,
    ) -> Result<SealedCredential, VaultError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::Random)?;
        let text = secret.expose().as_bytes();
        let mut bytes = Vec::with_capacity(NONCE_BYTES + text.len() + TAG_BYTES);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(text);
        let (_, buffer) = bytes.split_at_mut(NONCE_BYTES);
        let buffer = InOutBuf::from(buffer);
        let bound = bound_to(row, owner);
        let nonce = Nonce::<U12>::from(nonce);
        // Encryption fails only for texts of at least 64 GiB.
        let tag = self.current.cipher.encrypt_inout_detached(&nonce, &bound, buffer);
        bytes.extend_from_slice(&tag.map_err(|_| VaultError::Altered)?);
        Ok(SealedCredential { master: self.current.fingerprint, bytes })
    }

    /// Opens a credential of this row and owner.
    ///
    /// # Errors
    /// [`VaultError::OtherKey`], [`VaultError::Altered`].
    pub fn open(
        &self,
        row: ProviderKeyId,
        owner: Option<UserId>,
        sealed: &SealedCredential,
    ) -> Result<Secret, VaultError> {
        let bolt = self.bolt(sealed.master).ok_or(VaultError::OtherKey { master: sealed.master })?;
        let (nonce, rest) = sealed.bytes.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Altered)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(VaultError::Altered)?;
        let nonce = Nonce::<U12>::from(*nonce);
        let tag = Tag::<U16>::from(*tag);
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let buffer = InOutBuf::from(text.as_mut_slice());
        let opened = bolt.cipher.decrypt_inout_detached(&nonce, &bound_to(row, owner), buffer, &tag);
        opened.map_err(|_| VaultError::Altered)?;
        String::from_utf8(std::mem::take(&mut *text)).map(Secret::new).map_err(|no_text| {
            no_text.into_bytes().zeroize();
            VaultError::Altered
        })
    }

    fn bolt(&self, master: Fingerprint) -> Option<&MasterCipher> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|bolt| bolt.fingerprint == master)
    }
}

impl MasterCipher {
    fn new(key: &MasterKey) -> Self {
        let mut bytes = Key::<Aes256Gcm>::from(*key.0);
        let cipher = Aes256Gcm::new(&bytes);
        bytes.as_mut_slice().zeroize();
        Self { fingerprint: key.fingerprint(), cipher, objects: ObjectKey::derive(key.0.as_slice()) }
    }
}

/// Returns the associated data. All zeros represent a missing owner, as no user has the nil id.
fn bound_to(row: ProviderKeyId, owner: Option<UserId>) -> [u8; BOUND_TO.len() + 2 * ID_BYTES] {
    let owner = owner.map_or([0; ID_BYTES], |owner| owner.0.into_bytes());
    let parts = BOUND_TO.iter().copied().chain(row.0.into_bytes()).chain(owner);
    let mut bound = [0; BOUND_TO.len() + 2 * ID_BYTES];
    bound.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
    bound
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint())
    }
}

impl fmt::Debug for SealedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedCredential({} bytes with {})", self.bytes.len(), self.master)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("current", &self.current()).field("previous", &self.previous()).finish()
    }
}

#[cfg(test)]
mod property_tests;
