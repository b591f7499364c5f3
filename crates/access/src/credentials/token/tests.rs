use uuid::Uuid;

use super::*;

pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
pub(super) const SECRET: &str = "0123456789abcdef0123456789abcdef";

const ISSUER: &str = "acme";
const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;
/// The claims of a valid token.
const BODY: &str = r#"{"iss":"acme","aud":"control","jti":"00000000-0000-0000-0000-000000000003","sub":"00000000-0000-0000-0000-000000000001","sid":"00000000-0000-0000-0000-000000000002","iat":1,"nbf":1,"exp":9999999999}"#;

pub(super) fn signer(secret: &str) -> Signer {
    Signer::new(&Secret::new(secret.to_owned()), ISSUER).unwrap()
}

pub(super) fn claims() -> Claims {
    Claims {
        id: TokenId(Uuid::from_u128(3)),
        user: UserId(Uuid::from_u128(1)),
        session: SessionId(Uuid::from_u128(2)),
        issued_at: NOW,
        expires_at: Timestamp(NOW.0 + 86_400_000_000),
    }
}

/// A correctly signed token with any header and claims.
fn signed(header: &str, claims: &str) -> String {
    let signer = signer(SECRET);
    let part = |json: &str| {
        // The library cannot encode base64url alone: a token is created, and its parts are reused.
        let token = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &serde_json::from_str::<Box<serde_json::value::RawValue>>(json).unwrap(),
            &signer.signs,
        );
        token.unwrap().split('.').nth(1).unwrap().to_owned()
    };
    let message = format!("{}.{}", part(header), part(claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &signer.signs, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn a_token_has_the_signed_claims() {
    let token = signer(SECRET).sign(&claims());
    assert_eq!(signer(SECRET).read(token.expose(), NOW), Ok(claims()));
    assert!(token.expose().len() < 450, "{}", token.expose().len());
    assert_eq!(format!("{:?} {token:?}", signer(SECRET)), "Signer(…) ***");
}

#[test]
fn the_signers_of_sessions_and_of_browsers_do_not_read_each_others_tokens() {
    let sessions = signer(SECRET);
    let browsers = sessions.of_browsers();
    assert_eq!(browsers.read(browsers.sign(&claims()).expose(), NOW), Ok(claims()));
    assert_eq!(browsers.read(sessions.sign(&claims()).expose(), NOW), Err(TokenError::Malformed));
    assert_eq!(sessions.read(browsers.sign(&claims()).expose(), NOW), Err(TokenError::Malformed));
}

#[test]
fn a_token_ends_at_its_second_without_leeway() {
    let signer = signer(SECRET);
    let claims = claims();
    let token = signer.sign(&claims);
    let at = |micros: u64| signer.read(token.expose(), Timestamp(micros));
    assert_eq!(at(claims.expires_at.0 - 1), Ok(claims));
    assert_eq!(at(claims.expires_at.0), Err(TokenError::Expired));
    // A node whose clock is behind accepts the token as well.
    assert_eq!(at(NOW.0 - 60_000_000), Ok(claims));
}

#[test]
fn a_short_secret_is_refused() {
    for len in 0..SECRET_BYTES_MIN {
        assert_eq!(Signer::new(&Secret::new("x".repeat(len)), ISSUER).map(|_| ()), Err(ShortSecret));
    }
    assert!(ShortSecret.to_string().contains("32 bytes"), "{ShortSecret}");
}

#[test]
fn only_hs256_of_this_secret_is_read() {
    let signer = signer(SECRET);
    let token = signer.sign(&claims());
    let (message, signature) = token.expose().rsplit_once('.').unwrap();
    let payload = message.split_once('.').unwrap().1;
    let other = super::tests::signer("another secret of thirty-two bytes").sign(&claims());
    let of = |algorithm: Algorithm| {
        let written = serde_json::from_str::<serde_json::Value>(BODY).unwrap();
        jsonwebtoken::encode(&Header::new(algorithm), &written, &signer.signs).unwrap()
    };
    let body = BODY;
    for (token, why) in [
        (String::new(), "nothing"),
        ("a.b.c".to_owned(), "no JSON"),
        ("..".to_owned(), "empty parts"),
        (message.to_owned(), "no signature"),
        (format!("{message}."), "an empty signature"),
        (format!("{message}.{signature}A"), "a longer signature"),
        (format!("{message}.{signature}."), "a fourth part"),
        (format!(" {}", token.expose()), "a space"),
        // {"alg":"none"}, and none in other cases.
        (format!("eyJhbGciOiJub25lIn0.{payload}."), "alg none"),
        (format!("eyJhbGciOiJub25lIn0.{payload}.{signature}"), "alg none with a signature"),
        (format!("eyJhbGciOiJOb05lIn0.{payload}."), "alg NoNe"),
        (of(Algorithm::HS384), "HS384 with the same secret"),
        (of(Algorithm::HS512), "HS512 with the same secret"),
        (other.expose().to_owned(), "another secret"),
        (signed(r#"{"typ":"JWT","alg":"RS256"}"#, body), "says RS256"),
        (signed(r#"{"typ":"JWT"}"#, body), "no algorithm"),
        (signed(HEADER, &body.replace("-000000000001", "-00")), "no ids"),
        (signed(HEADER, r#"{"iat":1}"#), "no claims"),
        (signed(HEADER, &body.replace("9999999999", "-1")), "a negative moment"),
        (signed(HEADER, &body.replace("9999999999", "1e400")), "no moment"),
        (format!("{}.{}", "A".repeat(10_000_000), signature), "10 MB"),
    ] {
        assert_eq!(signer.read(&token, NOW), Err(TokenError::Malformed), "{why}");
    }
    let fine = signed(HEADER, body);
    assert!(signer.read(&fine, NOW).is_ok(), "without the changes, the token is valid");
}

#[test]
fn a_token_of_another_issuer_audience_or_time_is_refused() {
    let signer = signer(SECRET);
    let now = NOW.unix_seconds();
    let other = Signer::new(&Secret::new(SECRET.to_owned()), "other").unwrap().sign(&claims());
    assert_eq!(signer.read(other.expose(), NOW), Err(TokenError::Malformed), "another issuer");
    let without = |claim: &str| {
        let mut written: serde_json::Value = serde_json::from_str(BODY).unwrap();
        written.as_object_mut().unwrap().remove(claim).unwrap();
        written.to_string()
    };
    let with_nbf = |nbf: u64| BODY.replace("\"nbf\":1", &format!("\"nbf\":{nbf}"));
    for (header, body, why) in [
        (HEADER, without("iss"), "no issuer"),
        (HEADER, without("aud"), "no audience"),
        (HEADER, without("jti"), "no id"),
        (HEADER, without("nbf"), "no begin"),
        (HEADER, BODY.replace("acme", "acme2"), "another issuer"),
        (HEADER, BODY.replace("\"control\"", "\"proxy\""), "another audience"),
        (HEADER, BODY.replace("\"control\"", "[\"proxy\"]"), "a list of other audiences"),
        (HEADER, BODY.replace("-000000000003", "-xyz"), "an id that is none"),
        (HEADER, with_nbf(now + 301), "valid later"),
        (HEADER, with_nbf(u64::MAX), "valid never"),
        (r#"{"typ":"JWT","alg":"HS256","crit":["exp"]}"#, BODY.to_owned(), "a critical extension"),
        (r#"{"typ":"JWT","alg":"HS256","crit":[]}"#, BODY.to_owned(), "an empty list of critical extensions"),
        (r#"{"typ":"JWT","alg":"HS256","crit":"b64","b64":false}"#, BODY.to_owned(), "a malformed one"),
    ] {
        assert_eq!(signer.read(&signed(header, &body), NOW), Err(TokenError::Malformed), "{why}");
    }
    assert!(signer.read(&signed(HEADER, &with_nbf(now + 300)), NOW).is_ok(), "clocks differ");
}

#[test]
fn the_last_moment_that_can_be_written_does_not_overflow() {
    let claims = Claims { expires_at: Timestamp(u64::MAX), ..claims() };
    let token = signer(SECRET).sign(&claims);
    let read = signer(SECRET).read(token.expose(), NOW).unwrap();
    assert_eq!(read.expires_at.unix_seconds(), claims.expires_at.unix_seconds());
}

#[test]
fn the_provider_is_named_however_often_signers_are_made() {
    install();
    install();
    assert!(aws_lc::DEFAULT_PROVIDER.install_default().is_err(), "the provider was installed");
    let token = signer(SECRET).sign(&claims());
    assert!(signer(SECRET).read(token.expose(), NOW).is_ok());
}
