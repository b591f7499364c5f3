//! The examples of RFC 7515, appendix A. Their claims have no `sub`, so a valid signature ends with that refusal.

use super::*;

const PAYLOAD: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// A time before the `exp` of the examples, in seconds.
const BEFORE: u64 = 1_300_819_000;

fn check(header: &str, signature: &str, key: &JwtKey, algorithm: Algorithm) {
    let terms = TokenTerms { issuer: Some("joe".into()), audiences: [].into(), ..terms(&[algorithm]) };
    let token = format!("{header}.{PAYLOAD}.{signature}");
    let at = |token: &str, seconds: u64| {
        verify(token.as_bytes(), &terms, &KeySet::of_key(key.clone()), Timestamp(seconds * 1_000_000))
            .map(|_| ())
            .unwrap_err()
    };
    assert_eq!(at(&token, BEFORE), JwtError::Claim("sub"));
    assert_eq!(at(&token, BEFORE + 1_000), JwtError::Expired);
    for part in [PAYLOAD, signature] {
        for index in [0, part.len() / 2] {
            let mut changed = part.to_owned().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            let changed = token.replace(part, std::str::from_utf8(&changed).unwrap());
            assert_eq!(at(&changed, BEFORE), JwtError::Signature, "{index}");
        }
    }
}

#[test]
fn a1_hs256() {
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let key = JwtKey::of_bytes(&Base64UrlUnpadded::decode_vec(secret).unwrap());
    let header = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9";
    check(header, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", &key, Algorithm::Hs256);
}

#[test]
fn a2_rs256() {
    let modulus = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    let key = JwtKey::of_rsa(DecodingKey::from_rsa_components(modulus, "AQAB").unwrap());
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    check("eyJhbGciOiJSUzI1NiJ9", signature, &key, Algorithm::Rs256);
}

#[test]
fn a3_es256() {
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    let key = JwtKey::of_p256(DecodingKey::from_ec_components(x, y).unwrap());
    let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    check("eyJhbGciOiJFUzI1NiJ9", signature, &key, Algorithm::Es256);
}
