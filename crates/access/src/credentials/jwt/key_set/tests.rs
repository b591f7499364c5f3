use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};

use super::*;
use crate::credentials::jwt::{JwtError, TokenTerms, verify};
use crate::{SubjectText, Timestamp};

/// The Ed25519 key of RFC 8037 (A.2).
const ED25519: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
/// The P-256 key of RFC 7517 (A.1).
const P256: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
const NOW: Timestamp = Timestamp(1_795_176_000 * 1_000_000);

/// An RSA key with a modulus of this many bytes.
fn rsa(bytes: usize) -> String {
    rsa_with(&[vec![0xc1; bytes - 1], vec![1]].concat(), &[1, 0, 1])
}

fn rsa_with(modulus: &[u8], exponent: &[u8]) -> String {
    use base64ct::{Base64UrlUnpadded as Base64, Encoding};
    format!(r#""kty":"RSA","n":"{}","e":"{}""#, Base64::encode_string(modulus), Base64::encode_string(exponent))
}

fn set(keys: &[&str]) -> Result<KeySet, KeySetError> {
    let keys: Vec<String> = keys.iter().map(|key| format!("{{{key}}}")).collect();
    KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
}

/// Returns the number of keys that are tried for a token.
fn tried(keys: &[&str], id: Option<&str>, algorithm: Algorithm) -> Result<usize, NoCandidate> {
    set(keys).unwrap().candidates(id, algorithm).map(|keys| keys.len())
}

#[test]
fn keys_that_cannot_verify_tokens_are_skipped() {
    let big = rsa(256);
    let with = |key: &str, more: &str| format!("{key},{more}");
    let even = rsa_with(&[0xc1; 256].map(|byte| byte & 0xfe), &[1, 0, 1]);
    let one = rsa_with(&[[0xc1; 255].as_slice(), &[1]].concat(), &[1]);
    let padded = rsa_with(&[[0, 0xc1].as_slice(), &[0xc1; 254], &[1]].concat(), &[0, 1, 0, 1]);
    for (key, is_usable) in [
        (ED25519.to_owned(), true),
        (P256.to_owned(), true),
        (big.clone(), true),
        (padded, true),
        (ED25519.replace("cHURo", "cHURo="), true),
        (with(ED25519, r#""alg":"Ed25519""#), true),
        (with(ED25519, r#""alg":"EdDSA""#), true),
        (with(ED25519, r#""alg":"Ed448""#), false),
        (ED25519.replace("cHURo", "cHURo=="), false),
        (rsa(256).replace("_", "/"), true),
        (rsa(1_024), true),
        (with(&big, r#""use":"sig","key_ops":["verify"],"alg":"PS256","kid":"1""#), true),
        (with(P256, r#""alg":"ES256""#), true),
        (with(&big, r#""x5c":["MIIB"],"ext":true"#), true),
        (rsa(255), false),
        (rsa(1_025), false),
        (even, false),
        (one, false),
        (with(&big, r#""use":"enc""#), false),
        (with(&big, r#""use":1"#), false),
        (with(&big, r#""key_ops":["sign"]"#), false),
        (with(&big, r#""key_ops":"verify""#), false),
        (with(&big, r#""alg":"RSA-OAEP""#), false),
        (with(&big, r#""alg":"ES256""#), false),
        (with(&big, r#""alg":"HS256""#), false),
        (with(&big, r#""alg":null"#), false),
        (with(&big, r#""kid":7"#), false),
        (with(&big, &format!(r#""kid":"{}""#, "k".repeat(257))), false),
        (with(&big, r#""d":"AQAB""#), false),
        (with(&big, r#""crv":"P-256""#), false),
        (P256.replace("P-256", "P-384"), false),
        (P256.replace("P-256", "secp256k1"), false),
        (P256.replace("MKBC", ""), false),
        (ED25519.replace("Ed25519", "X25519"), false),
        (ED25519.replace("11qY", ""), false),
        (ED25519.replace("11qY", "11q="), false),
        (r#""kty":"oct","k":"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY""#.to_owned(), false),
        (r#""kty":"RSA""#.to_owned(), false),
        (r#""kid":"1""#.to_owned(), false),
    ] {
        let found = set(&[&key]).map(|set| set.len());
        assert_eq!(found, if is_usable { Ok(1) } else { Err(KeySetError::NoKey) }, "{key}");
        if key != ED25519 {
            assert_eq!(set(&[&key, ED25519]).map(|set| set.len()), Ok(1 + usize::from(is_usable)), "{key}");
        }
    }
}

#[test]
fn documents_that_are_no_key_sets_are_refused() {
    use KeySetError::{Malformed, NoKey, TooMany};
    let repeated = format!(r#"{{"keys":[{{{ED25519},{ED25519}}}]}}"#);
    let many = format!(r#"{{"keys":[{}]}}"#, vec![format!("{{{ED25519}}}"); KEYS_MAX + 1].join(","));
    for (document, expected) in [
        ("", Malformed),
        ("<html>", Malformed),
        ("[]", Malformed),
        ("{}", Malformed),
        (r#"{"keys":{}}"#, Malformed),
        (r#"{"keys":[],"keys":[]}"#, Malformed),
        (r#"{"keys":[]} "#, NoKey),
        (r#"{"keys":[]} x"#, Malformed),
        (r#"{"keys":["a",1,null,[]]}"#, NoKey),
        (&repeated, Malformed),
        (&many, TooMany),
    ] {
        assert_eq!(KeySet::parse(document.as_bytes()).map(|set| set.len()), Err(expected), "{document:.60}");
    }
    assert!(!set(&[ED25519]).unwrap().is_empty());
}

#[test]
fn a_token_chooses_among_the_keys_of_the_set_only() {
    use NoCandidate::{Algorithm as Other, TooMany, UnknownId};
    let one = &format!(r#"{ED25519},"kid":"1""#)[..];
    let two = &format!(r#"{P256},"kid":"2""#)[..];
    let eddsa = Algorithm::EdDsa;
    for (keys, id, expected) in [
        (&[one, two][..], Some("1"), Ok(1)),
        (&[one, two], Some("2"), Err(Other)),
        (&[one, two], Some("3"), Err(UnknownId)),
        (&[one, two], Some(""), Err(UnknownId)),
        (&[one, two], None, Ok(1)),
        (&[two], None, Err(Other)),
        // Two keys with one `kid` are both the issuer's.
        (&[one, one], Some("1"), Ok(2)),
        // An issuer with a key without `kid` may still write one in its tokens.
        (&[ED25519, two], Some("1"), Ok(1)),
        (&[ED25519, one], Some("1"), Ok(1)),
        (&[one; 4], None, Ok(4)),
        (&[one; 5], None, Err(TooMany)),
        (&[one; 5], Some("1"), Err(TooMany)),
    ] {
        assert_eq!(tried(keys, id, eddsa), expected, "{} {id:?}", keys.len());
    }
    let restricted = format!(r#"{},"alg":"RS256""#, rsa(256));
    assert_eq!(tried(&[&restricted], None, Algorithm::Rs256), Ok(1));
    assert_eq!(tried(&[&restricted], None, Algorithm::Rs512), Err(Other));
}

#[test]
fn a_token_is_verified_with_the_key_that_it_names() {
    use base64ct::{Base64UrlUnpadded as Base64, Encoding};
    let pairs = [(); 2].map(|()| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let keys: Vec<String> = pairs
        .iter()
        .zip(["a", "b"])
        .map(|(pair, id)| {
            let (x, y) = pair.der_bytes()[1..].split_at(32);
            let x = Base64::encode_string(x);
            let y = Base64::encode_string(y);
            format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"{id}""#)
        })
        .collect();
    let set = set(&[&keys[0], &keys[1]]).unwrap();
    let signing = jsonwebtoken::EncodingKey::from_ec_der(&pairs[1].serialize_der());
    let terms = TokenTerms {
        algorithms: [Algorithm::Es256, Algorithm::EdDsa].into(),
        issuer: None,
        audiences: Box::default(),
        leeway: std::time::Duration::ZERO,
        subject_issuer: SubjectText::parse("test").unwrap(),
    };
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"b"}"#, Ok(())),
        (r#"{"alg":"ES256"}"#, Ok(())),
        (r#"{"alg":"ES256","kid":"a"}"#, Err(JwtError::Signature)),
        (r#"{"alg":"ES256","kid":"c"}"#, Err(JwtError::UnknownKey)),
        (r#"{"alg":"EdDSA","kid":"b"}"#, Err(JwtError::Algorithm)),
        (r#"{"alg":"HS256","kid":"b"}"#, Err(JwtError::Algorithm)),
    ] {
        let encoded = |text: &str| Base64::encode_string(text.as_bytes());
        let message = format!("{}.{}", encoded(header), encoded(r#"{"sub":"ada","exp":1795179600}"#));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &signing, jsonwebtoken::Algorithm::ES256).unwrap();
        let token = format!("{message}.{signature}");
        assert_eq!(verify(token.as_bytes(), &terms, &set, NOW).map(|_| ()), expected, "{header}");
    }
    let many = self::set(&[ED25519; TRIED_MAX + 1]).unwrap();
    let unnamed = format!("{}.e30.AA", Base64::encode_string(br#"{"alg":"EdDSA"}"#));
    assert_eq!(verify(unnamed.as_bytes(), &terms, &many, NOW).map(|_| ()), Err(JwtError::KeyUnnamed));
}

#[test]
fn a_byte_order_mark_before_the_document_is_ignored() {
    let document = format!("{{\"keys\":[{{{ED25519}}}]}}");
    assert_eq!(KeySet::parse(format!("\u{feff}{document}").as_bytes()).map(|set| set.len()), Ok(1));
    assert!(KeySet::parse(format!("\u{feff}\u{feff}{document}").as_bytes()).is_err());
}
