//! The algorithms of signatures (RFC 7518, 3.1; RFC 8037, 3.1).

use jsonwebtoken::Algorithm as Library;

/// An algorithm of signatures. `none` does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// The HMAC with SHA-256.
    Hs256,
    /// The HMAC with SHA-384.
    Hs384,
    /// The HMAC with SHA-512.
    Hs512,
    /// The signature RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// The signature RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// The signature RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// The signature RSASSA-PSS with SHA-256.
    Ps256,
    /// The signature RSASSA-PSS with SHA-384.
    Ps384,
    /// The signature RSASSA-PSS with SHA-512.
    Ps512,
    /// The signature ECDSA with P-256 and SHA-256.
    Es256,
    /// The signature ECDSA with P-384 and SHA-384.
    Es384,
    /// The signature EdDSA with Ed25519.
    EdDsa,
}

impl Algorithm {
    /// All algorithms with their names, which are case-sensitive. `Ed25519` is the name of RFC 9864 for the only curve with
    /// which `EdDSA` is accepted.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
        ("Ed25519", Self::EdDsa),
    ];

    /// Returns the algorithm of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
    }

    /// Whether the signature is an HMAC, which needs a shared secret.
    #[must_use]
    pub const fn is_hmac(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// Returns the minimum length of a secret in bytes: that of the hash (RFC 7518, 3.2); 0 without a secret.
    #[must_use]
    pub const fn secret_len_min(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => 0,
            Self::Es256 | Self::Es384 | Self::EdDsa => 0,
        }
    }

    pub(super) const fn library(self) -> Library {
        match self {
            Self::Hs256 => Library::HS256,
            Self::Hs384 => Library::HS384,
            Self::Hs512 => Library::HS512,
            Self::Rs256 => Library::RS256,
            Self::Rs384 => Library::RS384,
            Self::Rs512 => Library::RS512,
            Self::Ps256 => Library::PS256,
            Self::Ps384 => Library::PS384,
            Self::Ps512 => Library::PS512,
            Self::Es256 => Library::ES256,
            Self::Es384 => Library::ES384,
            Self::EdDsa => Library::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_at_least_as_long_as_the_hash() {
        for (name, algorithm) in Algorithm::NAMES {
            let bits = name.strip_prefix("HS").map_or(0, |bits| bits.parse::<usize>().unwrap());
            assert_eq!(algorithm.secret_len_min() * 8, bits, "{name}");
        }
    }
}
