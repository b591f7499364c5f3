//! Tokens of attackers, each with the reason of its refusal.

use super::*;
use JwtError::{
    Algorithm as Alg, Audience, Claim, Expired, Issuer, Malformed, NotYet, Signature, TooLong, TooMany, Unsupported,
};

const HS256: &str = r#"{"alg":"HS256"}"#;

/// Headers that are signed with the right secret.
#[test]
fn headers_choose_neither_the_key_nor_the_rules() {
    let nested = format!(r#"{{"alg":"HS256","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let many: String = (0..300).map(|n| format!(r#","{n}":1"#)).collect();
    let long_kid = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(257));
    let many = format!(r#"{{"alg":"HS256"{many}}}"#);
    let cases = [
        (r#"{"alg":"none"}"#, Alg),
        (r#"{"alg":"None"}"#, Alg),
        (r#"{"alg":"NONE"}"#, Alg),
        (r#"{"alg":"nOnE"}"#, Alg),
        (r#"{"alg":"none "}"#, Alg),
        (r#"{"alg":""}"#, Alg),
        (r#"{"alg":"hs256"}"#, Alg),
        (r#"{"alg":"HS256 "}"#, Alg),
        (r#"{"alg":"HS256\u0000"}"#, Alg),
        (r#"{"alg":"HS384"}"#, Alg),
        (r#"{"alg":"HS512"}"#, Alg),
        (r#"{"alg":"RS256"}"#, Alg),
        (r#"{"alg":"ES256K"}"#, Alg),
        (r#"{"alg":"RSA-OAEP"}"#, Alg),
        (r#"{"alg":null}"#, Malformed),
        (r#"{"alg":["HS256"]}"#, Malformed),
        (r#"{"alg":{"HS256":1}}"#, Malformed),
        (r#"{"alg":256}"#, Malformed),
        (r#"{}"#, Malformed),
        (r#"{"Alg":"HS256"}"#, Malformed),
        (r#"{"alg":"none","alg":"HS256"}"#, Malformed),
        (r#"{"alg":"HS256","alg":"none"}"#, Malformed),
        (r#"{"alg":"HS256","\u0061lg":"none"}"#, Malformed),
        (r#"{"alg":"HS256","kid":1}"#, Malformed),
        (r#"{"alg":"HS256","kid":null}"#, Malformed),
        (r#"{"alg":"HS256","typ":1}"#, Malformed),
        (r#"{"alg":"HS256","typ":"logout+jwt"}"#, Unsupported),
        (r#"{"alg":"HS256","typ":"application/dpop+jwt"}"#, Unsupported),
        (r#"{"alg":"HS256","crit":["exp"]}"#, Unsupported),
        (r#"{"alg":"HS256","crit":[]}"#, Unsupported),
        (r#"{"alg":"HS256","crit":null}"#, Unsupported),
        (r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#, Unsupported),
        (r#"{"alg":"HS256","b64":false}"#, Unsupported),
        (r#"{"alg":"HS256","b64":true}"#, Unsupported),
        (r#"{"alg":"HS256","zip":"DEF"}"#, Unsupported),
        (r#"{"alg":"HS256","enc":"A256GCM"}"#, Unsupported),
        (r#"[{"alg":"HS256"}]"#, Malformed),
        (r#""HS256""#, Malformed),
        (r#"{"alg":"HS256"} "#, Claim("exp")),
        (r#"{"alg":"HS256"}{"alg":"none"}"#, Malformed),
        (r#"{"alg":"HS256",}"#, Malformed),
        (r#"{'alg':'HS256'}"#, Malformed),
        ("\u{feff}{\"alg\":\"HS256\"}", Malformed),
        (&nested, Malformed),
        (&many, TooMany),
        (&long_kid, Malformed),
    ];
    for (header, expected) in cases {
        let token = sign(header, "{}", SECRET.as_bytes());
        let found = verify(token.as_bytes(), &terms(&[Algorithm::Hs256]), &KeySet::of_key(hmac()), now()).map(|_| ());
        assert_eq!(found, Err(expected), "{header}");
    }
}

/// Headers that name another key, in tokens of the issuer and of an attacker.
#[test]
fn names_of_other_keys_are_ignored() {
    for header in [
        r#"{"alg":"HS256","kid":"../../dev/null"}"#,
        r#"{"alg":"HS256","kid":"' UNION SELECT 'key"}"#,
        r#"{"alg":"HS256","jku":"https://evil.example/jwks"}"#,
        r#"{"alg":"HS256","x5u":"https://evil.example/cert"}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#,
        r#"{"alg":"HS256","x5c":["MIIB"]}"#,
    ] {
        for (key, expected) in [(SECRET.as_bytes(), Ok(())), (b"\0", Err(Signature)), (b"AA", Err(Signature))] {
            let token = sign(header, CLAIMS, key);
            let found =
                verify(token.as_bytes(), &terms(&[Algorithm::Hs256]), &KeySet::of_key(hmac()), now()).map(|_| ());
            assert_eq!(found, expected, "{header}");
        }
    }
}

/// Texts that are not the compact form of a valid token.
#[test]
fn only_the_compact_form_is_a_token() {
    let valid = sign(HS256, CLAIMS, SECRET.as_bytes());
    let [header, claims, signature] = valid.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = sign(HS256, &CLAIMS.replace("ada", "root"), b"another secret of an attacker, with 32 bytes");
    let none = encoded(r#"{"alg":"none"}"#);
    let cases = [
        (String::new(), Malformed),
        (".".to_owned(), Malformed),
        ("..".to_owned(), Malformed),
        ("...".to_owned(), Malformed),
        (header.to_owned(), Malformed),
        (format!("{header}.{claims}"), Malformed),
        (format!("{header}.{claims}."), Malformed),
        (format!("{none}.{claims}."), Malformed),
        (format!("{none}.{claims}.{signature}"), Alg),
        (format!("{valid}."), Malformed),
        (format!(".{valid}"), Malformed),
        (format!("{valid}.x"), Malformed),
        (format!("{valid}.x.y"), Malformed),
        (format!("{header}..{signature}"), Signature),
        (format!(".{claims}.{signature}"), Malformed),
        (format!("{header}.{claims}.{signature}="), Signature),
        (format!("{header}=.{claims}.{signature}"), Malformed),
        (format!("{header}.{claims}=.{signature}"), Signature),
        (format!(" {valid}"), Malformed),
        (format!("{valid} "), Signature),
        (format!("{header}. {claims}.{signature}"), Signature),
        (format!("{header}\n.{claims}.{signature}"), Malformed),
        (format!("{valid}\u{0}"), Signature),
        (format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")), Signature),
        (format!("{header}.{claims}.{}", &signature[..signature.len() - 1]), Signature),
        (format!("{header}.{claims}.{}", &signature[..8]), Signature),
        (format!("{header}.{claims}.A{signature}"), Signature),
        (format!("{header}.{claims}.{}", "A".repeat(43)), Signature),
        (format!("{header}.{}.{signature}", encoded(&CLAIMS.replace("ada", "bob"))), Signature),
        (format!("{}.{claims}.{signature}", encoded(r#"{"alg":"HS256","kid":"x"}"#)), Signature),
        (other, Signature),
        ("a".repeat(100 * 1024), TooLong),
        (format!("{header}.{}.{signature}", "A".repeat(100 * 1024)), TooLong),
        ("é.é.é".to_owned(), Malformed),
        // Encrypted tokens have five parts, and JSON is another serialization.
        (format!("{header}.{claims}.{claims}.{claims}.{signature}"), Malformed),
        (r#"{"payload":"e30","protected":"e30","signature":"AA"}"#.to_owned(), Malformed),
    ];
    for (token, expected) in cases {
        let found = verify(token.as_bytes(), &terms(&[Algorithm::Hs256]), &KeySet::of_key(hmac()), now()).map(|_| ());
        assert_eq!(found, Err(expected), "{}", &token[..token.len().min(200)]);
    }
    assert_eq!(
        verify(b"\xff\xfe.a.b", &terms(&[Algorithm::Hs256]), &KeySet::of_key(hmac()), now()).map(|_| ()),
        Err(Malformed)
    );
}

/// Claims that are signed with the right secret.
#[test]
fn claims_of_other_types_are_refused() {
    let rest = r#""sub":"ada","iss":"https://id.example.com","aud":"api","exp":1795179600"#;
    let long = "x".repeat(256);
    let changed = |from: &str, to: &str| format!("{{{}}}", rest.replace(from, to));
    let exp = |value: &str| changed("1795179600", value);
    let cases = [
        (exp("\"1795179600\""), Claim("exp")),
        (exp("null"), Claim("exp")),
        (exp("true"), Claim("exp")),
        (exp("[1795179600]"), Claim("exp")),
        (exp("{}"), Claim("exp")),
        (exp("-1"), Claim("exp")),
        (exp("-1e300"), Claim("exp")),
        (exp("1e999"), Malformed),
        (exp("NaN"), Malformed),
        (exp("0x6AFFFFFF"), Malformed),
        (exp("01795179600"), Malformed),
        (exp("1"), Expired),
        (changed(",\"exp\":1795179600", ""), Claim("exp")),
        (format!("{{{rest},\"exp\":9999999999}}"), Malformed),
        (format!("{{{rest},\"sub\":\"root\"}}"), Malformed),
        (format!("{{{rest},\"nbf\":\"0\"}}"), Claim("nbf")),
        (format!("{{{rest},\"nbf\":9999999999}}"), NotYet),
        (format!("{{{rest},\"iat\":\"x\"}}"), Claim("iat")),
        (changed("\"ada\"", "1"), Claim("sub")),
        (changed("\"ada\"", "null"), Claim("sub")),
        (changed("\"ada\"", "[\"ada\"]"), Claim("sub")),
        (changed("\"ada\"", "\"\""), Claim("sub")),
        (changed("\"ada\"", "\"a\\u0000b\""), Claim("sub")),
        (changed("\"ada\"", "\"a\\nb\""), Claim("sub")),
        (changed("ada", &long), Claim("sub")),
        (changed("\"sub\":\"ada\",", ""), Claim("sub")),
        (changed("id.example.com", "id.example.com/"), Issuer),
        (changed("id.example.com", "ID.example.com"), Issuer),
        (changed("\"https://id.example.com\"", "[\"https://id.example.com\"]"), Claim("iss")),
        (changed("\"iss\":\"https://id.example.com\",", ""), Claim("iss")),
        (changed("\"api\"", "\"apis\""), Audience),
        (changed("\"api\"", "\"\""), Audience),
        (changed("\"api\"", "[]"), Audience),
        (changed("\"api\"", "[\"x\"]"), Audience),
        (changed("\"api\"", "[\"api\",1]"), Claim("aud")),
        (changed("\"api\"", "{\"api\":1}"), Claim("aud")),
        (changed("\"api\"", "null"), Claim("aud")),
        (changed("\"aud\":\"api\",", ""), Claim("aud")),
        (format!("[{{{rest}}}]"), Malformed),
        ("null".to_owned(), Malformed),
        (String::new(), Malformed),
        (format!("{{{rest}}}{{}}"), Malformed),
        (format!("{{{rest},\"x\":{{\"a\":1,\"a\":2}}}}"), Malformed),
        (format!("{{{rest},\"x\":[{}]}}", vec!["1"; 4_097].join(",")), TooMany),
        (sign(HS256, CLAIMS, SECRET.as_bytes()), Malformed),
    ];
    for (claims, expected) in cases {
        assert_eq!(check_claims(&claims).map(|_| ()), Err(expected), "{claims}");
    }
    assert!(check_claims(&format!("{{{rest}}}")).is_ok());
    assert!(check_claims(&format!("{{{rest},\"x\":[{}]}}", vec!["1"; 4_096].join(","))).is_ok());
}

#[test]
fn a_public_key_is_never_a_secret() {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let pem = public_pem(&pair);
    let der = pair.subject_public_key_info();
    let key = JwtKey::public(&pem).unwrap();
    for secret in [pem.as_bytes(), pem.trim().as_bytes(), der.as_slice()] {
        let token = sign(HS256, CLAIMS, secret);
        for algorithms in [&[Algorithm::Rs256] as &[_], &[Algorithm::Rs256, Algorithm::Hs256]] {
            let found = verify(token.as_bytes(), &terms(algorithms), &KeySet::of_key(key.clone()), now()).map(|_| ());
            assert_eq!(found, Err(Alg));
        }
    }
}
