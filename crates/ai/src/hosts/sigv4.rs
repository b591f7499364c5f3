//! Signatures of requests to Amazon's services: Signature Version 4.
//!
//! A signature covers the method `POST`, the path, the host, the time and the body, but no query.

use std::fmt::Write as _;

use access::{Secret, Timestamp};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::digest::Output;
use sha2::{Digest, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The last part of each scope.
const TERMINATOR: &str = "aws4_request";
/// The length of a block of SHA-256, in bytes.
const BLOCK_BYTES: usize = 64;
/// Characters of a path that are not encoded: RFC 3986's unreserved characters, and the slash.
const IN_PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Keys of an account of Amazon, for one service in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsCredential {
    /// The public name of the key.
    pub access_key_id: Secret,
    /// The key that signs.
    pub secret_access_key: Secret,
    /// The token of temporary keys.
    pub session_token: Option<Secret>,
    /// The region, such as `us-east-1`.
    pub region: Box<str>,
    /// The service, such as `bedrock-mantle`.
    pub service: &'static str,
}

/// The parts of a request that are signed. The method is `POST`, and the request has no query.
#[derive(Debug, Clone, Copy)]
pub struct SignedParts<'a> {
    /// The value of `Host`.
    pub host: &'a str,
    /// The path as it is sent.
    pub path: &'a str,
    /// The SHA-256 of the body in lowercase hexadecimal digits: see [`body_hash`].
    pub body_hash: &'a str,
}

/// The headers of a signed request.
#[derive(Debug)]
pub struct SignedHeaders {
    /// The value of `Authorization`.
    pub authorization: Secret,
    /// The value of `X-Amz-Date`.
    pub date: String,
    /// The value of `X-Amz-Security-Token`.
    pub session_token: Option<Secret>,
}

/// The parts of a request in the form that is signed.
#[derive(Clone, Copy)]
struct CanonicalRequest<'a> {
    method: &'a str,
    /// The path as it is sent, encoded again.
    path: &'a str,
    /// Headers in lowercase, in the order of their names.
    headers: &'a [(&'a str, &'a str)],
    body_hash: &'a str,
    /// The value of `X-Amz-Date`.
    date: &'a str,
}

/// Returns the SHA-256 of a body in pieces, in lowercase hexadecimal digits.
#[must_use]
pub fn body_hash<P: AsRef<[u8]>>(pieces: &[P]) -> String {
    let mut hash = Sha256::new();
    pieces.iter().for_each(|piece| hash.update(piece));
    hex(&hash.finalize())
}

impl AwsCredential {
    /// Signs a request that is sent at `at`. Amazon accepts it for five minutes.
    #[must_use]
    pub fn sign(&self, parts: SignedParts<'_>, at: Timestamp) -> SignedHeaders {
        let date = basic_time(at);
        let SignedParts { host, path, body_hash } = parts;
        let mut headers = vec![("host", host), ("x-amz-date", date.as_str())];
        headers.extend(self.session_token.as_ref().map(|token| ("x-amz-security-token", token.expose())));
        let path = utf8_percent_encode(path, &IN_PATH).to_string();
        let canonical = CanonicalRequest { method: "POST", path: &path, headers: &headers, body_hash, date: &date };
        let authorization = self.authorization(canonical);
        SignedHeaders { authorization, session_token: self.session_token.clone(), date }
    }

    /// Returns the value of `Authorization`.
    fn authorization(&self, request: CanonicalRequest<'_>) -> Secret {
        let CanonicalRequest { method, path, headers, body_hash, date } = request;
        let Self { access_key_id, secret_access_key, region, service, .. } = self;
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = Secret::new(format!("{method}\n{path}\n\n{lines}\n{names}\n{body_hash}"));
        let day = date.split('T').next().unwrap_or_default();
        let scope = format!("{day}/{region}/{service}/{TERMINATOR}");
        let hash = hex(&Sha256::digest(canonical.expose().as_bytes()));
        let signed = format!("{ALGORITHM}\n{date}\n{scope}\n{hash}");
        let first = Secret::new(format!("AWS4{}", secret_access_key.expose()));
        let of_day = hmac(first.expose().as_bytes(), day.as_bytes());
        let key = [region, *service, TERMINATOR].iter().fold(of_day, |key, part| hmac(&key, part.as_bytes()));
        let signature = hex(&hmac(&key, signed.as_bytes()));
        let id = access_key_id.expose();
        Secret::new(format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}"))
    }
}

/// Returns the HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Output<Sha256> {
    let mut block = [0; BLOCK_BYTES];
    let hashed;
    let key = if key.len() > BLOCK_BYTES {
        hashed = Sha256::digest(key);
        hashed.as_slice()
    } else {
        key
    };
    block.iter_mut().zip(key).for_each(|(octet, of_key)| *octet = *of_key);
    let inner = Sha256::new().chain_update(block.map(|octet| octet ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|octet| octet ^ 0x5c)).chain_update(inner).finalize()
}

/// Returns the time as `YYYYMMDDTHHMMSSZ`.
fn basic_time(at: Timestamp) -> String {
    let day = at.day().to_string().replace('-', "");
    let second = at.unix_seconds() % 86_400;
    let hour = second / 3_600;
    let minute = second / 60 % 60;
    let second = second % 60;
    format!("{day}T{hour:02}{minute:02}{second:02}Z")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30T12:36:00Z, the time of Amazon's test suite.
    const AT: Timestamp = Timestamp(1_440_938_160_000_000);
    const DATE: &str = "20150830T123600Z";
    /// The token of the test `post-sts-header-before`.
    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    fn credential(token: Option<&str>) -> AwsCredential {
        let secret = |text: &str| Secret::new(text.to_owned());
        AwsCredential {
            access_key_id: secret("AKIDEXAMPLE"),
            secret_access_key: secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: token.map(secret),
            region: "us-east-1".into(),
            service: "service",
        }
    }

    /// Returns the value of `Authorization` with these signed headers and this signature.
    fn expected(names: &str, signature: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, \
             Signature={signature}"
        )
    }

    /// The tests `post-vanilla` and `post-sts-header-before` of Amazon's suite.
    #[test]
    fn requests_have_the_signatures_of_amazons_test_suite() {
        for (token, names, signature) in [
            (None, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            (
                Some(TOKEN),
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ] {
            let parts = SignedParts { host: "example.amazonaws.com", path: "/", body_hash: &body_hash::<&[u8]>(&[]) };
            let signed = credential(token).sign(parts, AT);
            assert_eq!(signed.authorization.expose(), expected(names, signature));
            assert_eq!((signed.date.as_str(), signed.session_token.is_some()), (DATE, token.is_some()));
        }
    }

    /// The test `post-x-www-form-urlencoded` of Amazon's suite, and `get-vanilla`.
    #[test]
    fn the_body_in_pieces_and_the_method_are_signed() {
        let host = ("host", "example.amazonaws.com");
        let typed = ("content-type", "application/x-www-form-urlencoded");
        let headers = [typed, host, ("x-amz-date", DATE)];
        let body_hash = &super::body_hash(&["Param1=", "value1"]);
        let request = CanonicalRequest { method: "POST", path: "/", headers: &headers, body_hash, date: DATE };
        let signed = credential(None).authorization(request);
        let signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        assert_eq!(signed.expose(), expected("content-type;host;x-amz-date", signature));
        let headers = &headers[1..];
        let body_hash = &super::body_hash(&[""]);
        let signed = credential(None).authorization(CanonicalRequest { method: "GET", headers, body_hash, ..request });
        let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert_eq!(signed.expose(), expected("host;x-amz-date", signature));
    }

    /// RFC 4231, test case 6.
    #[test]
    fn a_key_that_is_longer_than_a_block_is_hashed() {
        let code = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hex(&code), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn an_encoded_path_is_encoded_again() {
        let signed = |path| {
            let parts = SignedParts { host: "h", path, body_hash: "" };
            credential(None).sign(parts, AT).authorization.expose().to_owned()
        };
        let headers = &[("host", "h"), ("x-amz-date", DATE)];
        let request = CanonicalRequest { method: "POST", path: "/a%2520b", headers, body_hash: "", date: DATE };
        let direct = credential(None).authorization(request);
        assert_eq!(signed("/a%20b"), direct.expose());
        assert_ne!(signed("/a%20b"), signed("/a"));
    }

    #[test]
    fn keys_do_not_print() {
        let printed = format!("{:?}", credential(Some("TOKEN")));
        for part in ["AKIDEXAMPLE", "wJalr", "TOKEN"] {
            assert!(!printed.contains(part), "{printed}");
        }
    }
}
