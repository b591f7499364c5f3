//! One public key of a JSON Web Key Set (RFC 7517, 4; RFC 7518, 6; RFC 8037, 2).

use base64ct::{Base64UrlUnpadded, Encoding};

use super::KID_LEN_MAX;
use super::algorithm::Algorithm;
use super::json::Json;
use super::key::JwtKey;

/// Lengths of RSA moduli in bits.
const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 8_192;
/// Maximum length of an RSA exponent in bytes. The usual one, 65,537, has 3.
const RSA_EXPONENT_LEN_MAX: usize = 8;

/// A key with the restrictions of its document.
#[derive(Clone)]
pub(super) struct Jwk {
    /// The `kid` of the key.
    pub(super) id: Option<Box<str>>,
    /// The only algorithm for which it may be used.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) key: JwtKey,
}

impl Jwk {
    pub(super) fn supports(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.key.supports(algorithm)
    }
}

/// Reads one entry of `keys`; `None` if it cannot verify tokens. Issuers publish keys of kinds that only other services
/// need, so such an entry does not spoil the document (RFC 7517, 5).
pub(super) fn read(entry: &Json) -> Option<Jwk> {
    let Json::Object(members) = entry else { return None };
    let of = |name: &str| members.iter().find(|(known, _)| **known == *name).map(|(_, value)| value);
    let text = |name: &str| of(name).and_then(Json::text);
    // A private key in a public document is known to all.
    if of("d").is_some() || of("k").is_some() || !is_for_signatures(of("use"), of("key_ops")) {
        return None;
    }
    let id = match of("kid") {
        None => None,
        Some(Json::Text(id)) if id.len() <= KID_LEN_MAX => Some(id.clone()),
        Some(_) => return None,
    };
    let algorithm = match of("alg") {
        None => None,
        Some(name) => Some(Algorithm::parse(name.text()?)?),
    };
    let bytes = |name: &str| decode(text(name)?);
    let key = match (text("kty")?, text("crv")) {
        ("RSA", None) => rsa(&bytes("n")?, &bytes("e")?)?,
        ("EC", Some("P-256")) => JwtKey::p256(&bytes("x")?, &bytes("y")?)?,
        ("EC", Some("P-384")) => JwtKey::p384(&bytes("x")?, &bytes("y")?)?,
        ("OKP", Some("Ed25519")) => JwtKey::ed25519(&bytes("x")?)?,
        _ => return None,
    };
    if algorithm.is_some_and(|algorithm| !key.supports(algorithm)) {
        return None;
    }
    Some(Jwk { id, algorithm, key })
}

/// Decodes a number. Some issuers pad it, or use the alphabet of ordinary base64, against RFC 7515 (2).
fn decode(text: &str) -> Option<Vec<u8>> {
    let unpadded = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let is_padded = unpadded.len() == text.len() || text.len().is_multiple_of(4);
    is_padded.then(|| Base64UrlUnpadded::decode_vec(&unpadded.replace('+', "-").replace('/', "_")).ok())?
}

/// Whether `use` and `key_ops` permit the verification of signatures (RFC 7517, 4.2 and 4.3).
fn is_for_signatures(usage: Option<&Json>, operations: Option<&Json>) -> bool {
    let is_used = usage.is_none_or(|usage| usage.text() == Some("sig"));
    let is_permitted = match operations {
        None => true,
        Some(Json::List(list)) => list.iter().any(|operation| operation.text() == Some("verify")),
        Some(_) => false,
    };
    is_used && is_permitted
}

/// Creates an RSA key whose modulus and exponent are odd and have permitted lengths.
fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<JwtKey> {
    let modulus = without_zeros(modulus);
    let exponent = without_zeros(exponent);
    let first = modulus.first()?;
    let last = modulus.last()?;
    let bits = modulus.len() * 8 - usize::try_from(first.leading_zeros()).ok()?;
    let is_odd = last % 2 == 1 && exponent.last()? % 2 == 1;
    // An exponent of 1 makes each message its own signature.
    let is_valid = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits)
        && is_odd
        && exponent.len() <= RSA_EXPONENT_LEN_MAX
        && exponent != [1].as_slice();
    is_valid.then(|| JwtKey::rsa(modulus, exponent))
}

/// Removes zeros before the first digit, which some issuers write against RFC 7518 (2).
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}
