//! The certificate of the listeners with TLS (ECDSA on P-256, signed by itself), and an issuer of access tokens (RS256), whose key Tollgate and Envoy know.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::Clock;
use anyhow::Context;
use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize, SigningKey as _};
use serde_json::json;

/// Returns the files of the certificate and of its key.
pub(crate) fn certificate_files(out: &Path) -> [PathBuf; 2] {
    ["certificate.pem", "certificate.key"].map(|name| out.join(name))
}

/// Creates the certificate and its key.
pub(crate) fn create_certificate(out: &Path) -> anyhow::Result<()> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let [certificate, key] = certificate_files(out);
    fs::write(certificate, pem("CERTIFICATE", pair.cert.der())?)?;
    fs::write(&key, pem("PRIVATE KEY", &pair.signing_key.serialize_der())?)?;
    // Tollgate refuses a key that other users can read.
    Ok(fs::set_permissions(key, fs::Permissions::from_mode(0o600))?)
}

/// Returns DER in PEM. OpenSSL requires lines of at most 64 characters (RFC 7468, 2).
fn pem(label: &str, der: &[u8]) -> anyhow::Result<String> {
    let text = Base64::encode_string(der);
    let lines: Result<Vec<&str>, _> = text.as_bytes().chunks(64).map(std::str::from_utf8).collect();
    Ok(format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines?.join("\n")))
}

pub(crate) const ISSUER: &str = "https://issuer.bench.example";
pub(crate) const AUDIENCE: &str = "bench";
/// The claims of each token, with the header in which the upstream receives it.
pub(crate) const CLAIMS: [(&str, &str, &str); 3] =
    [("sub", "X-User-Id", "ada"), ("tenant", "X-Tenant", "acme"), ("role", "X-Role", "member")];
/// Tokens are valid for longer than a measurement takes.
const VALID_FOR: Duration = Duration::from_hours(48);

/// A key of RSA with 2,048 bits, and the number of tokens that it has signed.
pub(crate) struct TokenIssuer {
    key: KeyPair,
    expires_at: u64,
    signed: Cell<u64>,
}

/// Returns the file of the public key in PEM.
pub(crate) fn public_key_file(out: &Path) -> PathBuf {
    out.join("issuer.pem")
}

impl TokenIssuer {
    /// Creates a key, and writes its public half.
    pub(crate) fn create(out: &Path) -> anyhow::Result<Self> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?;
        fs::write(public_key_file(out), pem("PUBLIC KEY", &key.subject_public_key_info())?)?;
        let expires_at = Clock::system().now().after(VALID_FOR).unix_seconds();
        Ok(Self { key, expires_at, signed: Cell::new(0) })
    }

    /// Signs a token that differs from all earlier ones.
    pub(crate) fn token(&self) -> anyhow::Result<String> {
        self.signed.set(self.signed.get() + 1);
        let [(sub, _, ada), (tenant, _, acme), (role, _, member)] = CLAIMS;
        let expires_at = self.expires_at;
        let number = self.signed.get().to_string();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "exp": expires_at, "jti": number, sub: ada, tenant: acme, role: member
        });
        let text = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        let signed = format!("{}.{}", text(br#"{"alg":"RS256","typ":"JWT"}"#), text(claims.to_string().as_bytes()));
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", text(&signature)))
    }

    /// Signs several tokens, all of which differ. It takes a few tenths of a millisecond per token.
    pub(crate) fn tokens(&self, count: usize) -> anyhow::Result<Vec<String>> {
        (0..count).map(|_| self.token()).collect()
    }

    /// Returns the JSON Web Key Set of the key (RFC 7517).
    pub(crate) fn jwks(&self) -> anyhow::Result<String> {
        let [modulus, exponent] = integers(self.key.der_bytes()).context("the public key is not one of RSA")?;
        let text = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        let key = json!({"kty": "RSA", "alg": "RS256", "use": "sig", "n": text(modulus), "e": text(exponent)});
        Ok(json!({"keys": [key]}).to_string())
    }
}

/// Returns the two integers of an `RSAPublicKey` in DER (RFC 8017, A.1.1), without leading zeros.
fn integers(der: &[u8]) -> Option<[&[u8]; 2]> {
    let (sequence, _) = element(der, 0x30)?;
    let (modulus, rest) = element(sequence, 0x02)?;
    let (exponent, _) = element(rest, 0x02)?;
    Some([modulus, exponent].map(|bytes| bytes.strip_prefix(&[0]).unwrap_or(bytes)))
}

/// Returns the content of the first element, which has this tag, and the bytes after it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let [first, length, rest @ ..] = der else { return None };
    let (length, rest) = if *length < 0x80 {
        (usize::from(*length), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(*length & 0x7f))?;
        (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
    };
    if *first != tag { None } else { rest.split_at_checked(length) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::SubjectText;
    use access::credentials::jwt::{self, Algorithm, JwtKey, KeySet, TokenTerms};

    #[test]
    fn tokens_differ_and_tollgate_verifies_them_with_the_public_key() {
        let dir = tempfile::tempdir().unwrap();
        let issuer = TokenIssuer::create(dir.path()).unwrap();
        let terms = TokenTerms {
            algorithms: [Algorithm::Rs256].into(),
            issuer: Some(ISSUER.into()),
            audiences: [AUDIENCE.into()].into(),
            leeway: Duration::ZERO,
            subject_issuer: SubjectText::parse(ISSUER).unwrap(),
        };
        let public = fs::read_to_string(public_key_file(dir.path())).unwrap();
        let keys = KeySet::of_key(JwtKey::public(&public).unwrap());
        let [first, second] = issuer.tokens(2).unwrap().try_into().unwrap();
        assert_ne!(first, second);
        for token in [first, second] {
            let verified = jwt::verify(token.as_bytes(), &terms, &keys, Clock::system().now()).unwrap();
            for (claim, _, value) in CLAIMS {
                assert_eq!(verified.claims.field_value(claim).unwrap().as_deref(), Some(value), "{claim}");
            }
        }
    }

    #[test]
    fn the_key_set_has_the_modulus_and_the_exponent() {
        let issuer = TokenIssuer::create(tempfile::tempdir().unwrap().path()).unwrap();
        let set: serde_json::Value = serde_json::from_str(&issuer.jwks().unwrap()).unwrap();
        let key = &set["keys"][0];
        let bytes = |name: &str| Base64UrlUnpadded::decode_vec(key[name].as_str().unwrap()).unwrap();
        assert_eq!((bytes("n").len(), bytes("n")[0] >= 0x80, bytes("e")), (256, true, vec![1, 0, 1]));
    }
}
