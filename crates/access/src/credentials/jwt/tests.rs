use base64ct::{Base64UrlUnpadded, Encoding};
use jsonwebtoken::{DecodingKey, EncodingKey, crypto};
use rcgen::PublicKeyData as _;

use super::*;
use crate::credentials::secret::Secret;

mod hostile;
mod vectors;

/// The time of the tests, in seconds.
const NOW: u64 = 1_795_176_000;
const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const CLAIMS: &str = r#"{"sub":"ada","iss":"https://id.example.com","aud":"api","exp":1795179600}"#;

fn now() -> Timestamp {
    Timestamp(NOW * 1_000_000)
}

fn terms(algorithms: &[Algorithm]) -> TokenTerms {
    TokenTerms {
        algorithms: algorithms.into(),
        issuer: Some("https://id.example.com".into()),
        audiences: ["api".into(), "other".into()].into(),
        leeway: Duration::from_secs(10),
        subject_issuer: SubjectText::parse("https://id.example.com").unwrap(),
    }
}

fn hmac() -> JwtKey {
    JwtKey::secret(&Secret::new(SECRET.to_owned())).unwrap()
}

fn encoded(text: &str) -> String {
    Base64UrlUnpadded::encode_string(text.as_bytes())
}

/// Signs any header and claims with an HMAC of `key`.
fn sign(header: &str, claims: &str, key: &[u8]) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let algorithm = if header.contains("HS512") { Algorithm::Hs512 } else { Algorithm::Hs256 };
    let signature = crypto::sign(message.as_bytes(), &EncodingKey::from_secret(key), algorithm.library()).unwrap();
    format!("{message}.{signature}")
}

/// Verifies claims that are signed as HS256 tokens are.
fn check_claims(claims: &str) -> Result<VerifiedToken, JwtError> {
    let token = sign(r#"{"alg":"HS256","typ":"JWT"}"#, claims, SECRET.as_bytes());
    verify(token.as_bytes(), &terms(&[Algorithm::Hs256]), &KeySet::of_key(hmac()), now())
}

#[test]
fn a_valid_token_is_its_subject() {
    let verified = check_claims(CLAIMS).unwrap();
    let name = verified.subject.name().unwrap();
    assert_eq!((name.issuer, name.name), ("https://id.example.com", "ada"));
    assert_eq!(verified.expires_at, Timestamp((1_795_179_600 + 10) * 1_000_000));
    assert_eq!(format!("{:?}", verified.claims), "ClaimSet(4)");
}

#[test]
fn times_are_compared_with_the_leeway() {
    let check = |times: &str| {
        let claims = format!(r#"{{"sub":"ada","iss":"https://id.example.com","aud":["x","other"],{times}}}"#);
        check_claims(&claims).map(|_| ())
    };
    for (times, expected) in [
        (format!(r#""exp":{}"#, NOW + 1), Ok(())),
        (format!(r#""exp":{}"#, NOW - 9), Ok(())),
        (format!(r#""exp":{}"#, NOW - 10), Err(JwtError::Expired)),
        (format!(r#""exp":{}.5"#, NOW - 10), Ok(())),
        (format!(r#""exp":{},"nbf":{}"#, NOW + 99, NOW + 10), Ok(())),
        (format!(r#""exp":{},"nbf":{}"#, NOW + 99, NOW + 11), Err(JwtError::NotYet)),
        (format!(r#""exp":{}"#, u64::MAX), Ok(())),
        (r#""exp":1e300"#.to_owned(), Err(JwtError::Claim("exp"))),
        (r#""exp":0"#.to_owned(), Err(JwtError::Expired)),
    ] {
        assert_eq!(check(&times), expected, "{times}");
    }
}

#[test]
fn every_algorithm_verifies_with_its_key_and_with_no_other() {
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let p256 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let keys = [
        (hmac(), EncodingKey::from_secret(SECRET.as_bytes()), "HS"),
        (public(&rsa), EncodingKey::from_rsa_pem(private_pem(&rsa).as_bytes()).unwrap(), "RS PS"),
        (public(&p256), EncodingKey::from_ec_pem(private_pem(&p256).as_bytes()).unwrap(), "ES256"),
        (public(&p384), EncodingKey::from_ec_pem(private_pem(&p384).as_bytes()).unwrap(), "ES384"),
        (public(&ed), EncodingKey::from_ed_pem(private_pem(&ed).as_bytes()).unwrap(), "EdDSA Ed25519"),
    ];
    for (name, algorithm) in Algorithm::NAMES {
        let fits = |of: &str| of.split(' ').any(|start| name.starts_with(start));
        let (_, signs, _) = keys.iter().find(|(.., of)| fits(of)).unwrap();
        let message = format!("{}.{}", encoded(&format!(r#"{{"alg":"{name}"}}"#)), encoded(CLAIMS));
        let signature = crypto::sign(message.as_bytes(), signs, algorithm.library()).unwrap();
        let token = format!("{message}.{signature}");
        let all: Vec<Algorithm> = Algorithm::NAMES.iter().map(|(_, algorithm)| *algorithm).collect();
        for (key, _, of) in &keys {
            let expected = if fits(of) { Ok(()) } else { Err(JwtError::Algorithm) };
            assert_eq!(
                verify(token.as_bytes(), &terms(&all), &KeySet::of_key(key.clone()), now()).map(|_| ()),
                expected,
                "{name} {of}"
            );
        }
        let others: Vec<Algorithm> = all.into_iter().filter(|other| other != algorithm).collect();
        for (key, ..) in &keys {
            let refused = verify(token.as_bytes(), &terms(&others), &KeySet::of_key(key.clone()), now()).map(|_| ());
            assert_eq!(refused, Err(JwtError::Algorithm), "{name}");
        }
    }
}

fn public(pair: &rcgen::KeyPair) -> JwtKey {
    JwtKey::public(&public_pem(pair)).unwrap()
}

/// Returns a text as `openssl` writes it (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let text = base64ct::Base64::encode_string(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn public_pem(pair: &rcgen::KeyPair) -> String {
    pem("PUBLIC KEY", &pair.subject_public_key_info())
}

fn private_pem(pair: &rcgen::KeyPair) -> String {
    pem("PRIVATE KEY", &pair.serialize_der())
}

#[test]
fn only_strong_public_keys_are_accepted() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let pem = public_pem(&pair);
    assert!(JwtKey::public(&pem).is_ok());
    // Its point is longer than those of the supported curves.
    let p521 = [
        &b"\x30\x81\x9b\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x23\x03\x81\x86\x00\x04"[..],
        &[1; 132],
    ];
    let p521 = self::pem("PUBLIC KEY", &p521.concat());
    // 512 bits.
    let weak = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf\n9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ==\n-----END PUBLIC KEY-----\n";
    for text in ["", "x", &p521, weak, &private_pem(&pair), &format!("{pem}{pem}"), SECRET] {
        assert_eq!(JwtKey::public(text).map(|_| ()), Err(JwtKeyError::PublicKey), "{text}");
    }
    assert_eq!(JwtKey::secret(&Secret::new(pem)).map(|_| ()), Err(JwtKeyError::SecretIsPem));
}

#[test]
fn requirements_compare_texts_numbers_lists_and_words() {
    let claims = r#"{"sub":"ada","iss":"https://id.example.com","aud":"api","exp":1795179600,"tenant":"acme","level":3,
        "verified":true,"roles":["admin",7],"scope":"users.read users.write","scp":["a","b"],"none":null,"at":{"x":1}}"#;
    let verified = check_claims(claims).unwrap();
    for (claim, value, expected) in [
        ("tenant", "acme", true),
        ("tenant", "acm", false),
        ("tenant", "ACME", false),
        ("level", "3", true),
        ("level", "3.0", false),
        ("verified", "true", true),
        ("verified", "false", false),
        ("roles", "admin", true),
        ("roles", "7", true),
        ("roles", "adm", false),
        ("scope", "users.read", true),
        ("scope", "users.write users.read", true),
        ("scope", "users", false),
        ("scope", "users.read admin", false),
        ("scp", "a b", true),
        ("scp", "a c", false),
        ("none", "null", false),
        ("at", "x", false),
        ("missing", "x", false),
    ] {
        let requirement = Requirement { claim: claim.into(), value: value.into() };
        assert_eq!(verified.claims.meets(&requirement), expected, "{claim} {value}");
    }
    let verified = check_claims(&CLAIMS.replace(r#"{"sub""#, r#"{"scope":7,"sub""#)).unwrap();
    let requirement = Requirement { claim: "scope".into(), value: "7".into() };
    assert!(!verified.claims.meets(&requirement), "a number has no words");
}

#[test]
fn claims_become_fields_whole_or_not_at_all() {
    let long = "x".repeat(1_025);
    let claims = format!(
        r#"{{"sub":"ada","iss":"https://id.example.com","aud":"api","exp":1795179600,"name":"José Ñ","n":1.5,"large":123456789012345678901,"whole":-7,"b":false,
        "null":null,"list":["a"],"object":{{}},"long":"{long}","empty":"","space":" admin","line":"a\r\nx-admin: 1",
        "nul":"a\u0000","c1":"a\u0085b","tab":"a\tb"}}"#
    );
    let verified = check_claims(&claims).unwrap();
    let text = |text: &str| Ok(Some(text.to_owned()));
    for (name, expected) in [
        ("sub", text("ada")),
        ("name", text("José Ñ")),
        ("n", Err(ClaimError::Inexact)),
        ("large", Err(ClaimError::Inexact)),
        ("whole", text("-7")),
        ("b", text("false")),
        ("null", Ok(None)),
        ("missing", Ok(None)),
        ("list", Err(ClaimError::Compound)),
        ("object", Err(ClaimError::Compound)),
        ("long", Err(ClaimError::TooLong)),
        ("empty", Err(ClaimError::Unsafe)),
        ("space", Err(ClaimError::Unsafe)),
        ("line", Err(ClaimError::Unsafe)),
        ("nul", Err(ClaimError::Unsafe)),
        ("c1", Err(ClaimError::Unsafe)),
        ("tab", Err(ClaimError::Unsafe)),
    ] {
        assert_eq!(verified.claims.field_value(name).map(|value| value.map(Into::into)), expected, "{name}");
    }
}

#[test]
fn lists_of_groups_are_read_and_longer_ones_have_their_own_message() {
    let with_groups = |count: usize| {
        let groups: Vec<&str> = (0..count - 1).map(|_| "7").chain(["8"]).collect();
        check_claims(&CLAIMS.replace('}', &format!(",\"groups\":[{}]}}", groups.join(","))))
    };
    let requirement = Requirement { claim: "groups".into(), value: "8".into() };
    for count in [1, 257, 4_096] {
        assert!(with_groups(count).unwrap().claims.meets(&requirement), "{count}");
    }
    assert_eq!(with_groups(4_097).map(|_| ()), Err(JwtError::TooMany));
    assert_eq!(with_groups(100_000).map(|_| ()), Err(JwtError::TooLong));
    let claims: String = (0..300).map(|number| format!(",\"{number}\":1")).collect();
    assert_eq!(check_claims(&CLAIMS.replace('}', &format!("{claims}}}"))).map(|_| ()), Err(JwtError::TooMany));
}

#[test]
fn ed25519_has_two_names() {
    assert_eq!(Algorithm::parse("Ed25519"), Algorithm::parse("EdDSA"));
    assert_eq!(Algorithm::parse("ed25519"), None);
}
