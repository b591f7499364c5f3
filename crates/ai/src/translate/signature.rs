//! Capsules in the field `thoughtSignature`. Google's clients decode its base64 and encode it again, so that the text of a
//! capsule is within base64.

use base64ct::{Base64, Base64Unpadded, Encoding as _};

/// Begins every capsule in base64: no signature of Google begins so.
pub(super) const SIGNATURE_PREFIX: &str = "dGcxL";
/// Longest field that is read, in bytes. A capsule is shorter.
const SIGNATURE_BYTES_MAX: usize = 384 * 1024;

/// Returns the text of a capsule as the client receives it.
pub(super) fn of_capsule(capsule: &str) -> String {
    Base64::encode_string(capsule.as_bytes())
}

/// Returns the text of the capsule in a field of the client's; `None` if the field has another content.
pub(super) fn capsule_of(signature: &str) -> Option<String> {
    let is_one = signature.starts_with(SIGNATURE_PREFIX) && signature.len() <= SIGNATURE_BYTES_MAX;
    if !is_one {
        return None;
    }
    // The letters of a capsule are those of ASCII, in which both alphabets of base64 are the same.
    String::from_utf8(Base64Unpadded::decode_vec(signature.trim_end_matches('=')).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::capsule::CAPSULE_PREFIX;
    use super::*;

    #[test]
    fn a_capsule_comes_back_from_clients_that_decode_the_field() {
        for length in 0..9 {
            let capsule = format!("{CAPSULE_PREFIX}{}", &"Az09-_zZ9"[..length]);
            let sent = of_capsule(&capsule);
            assert!(sent.starts_with(SIGNATURE_PREFIX) && !sent.contains(['+', '/']), "{sent}");
            assert_eq!(capsule_of(&sent).as_deref(), Some(capsule.as_str()));
            assert_eq!(capsule_of(sent.trim_end_matches('=')), Some(capsule));
        }
        for other in ["", "CiQB", "dGcxL!", "dGcxLv8", &format!("dGcxL{}", "A".repeat(SIGNATURE_BYTES_MAX))] {
            assert_eq!(capsule_of(other), None, "{}", other.len());
        }
    }
}
