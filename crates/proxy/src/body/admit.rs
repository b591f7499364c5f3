//! Checks that every request must pass before its client is identified: a valid head, and an announced size within the bounds
//! of its route.

use access::Refusal;
use config::snapshot::Sizes;
use http1::{AnnouncedContent, Violation};

use crate::client::head::Head;
use crate::refusal::problem::Problem;

/// Refuses an invalid head, and a tunnel.
pub(crate) fn check_head(head: &Head, sizes: &Sizes) -> Result<(), Problem> {
    if head.is_connect() {
        // The target of a tunnel allows no method.
        return Err(Problem::new(Refusal::MethodNotAllowed, "CONNECT is not served here").allowing(""));
    }
    if let Some(violation) = head.violation() {
        return Err(refused(violation, sizes));
    }
    Ok(())
}

/// Refuses a body whose announced length is over `body_bytes_max`.
pub(crate) fn check_length(head: &Head, body_bytes_max: u64) -> Result<(), Problem> {
    match head.announced() {
        AnnouncedContent::Length(bytes) if bytes > body_bytes_max => Err(too_large(body_bytes_max)),
        AnnouncedContent::Length(_) | AnnouncedContent::Chunked | AnnouncedContent::Nothing => Ok(()),
    }
}

fn refused(violation: Violation, sizes: &Sizes) -> Problem {
    let refusal = if violation.is_head_too_large() { Refusal::HeaderTooLarge } else { Refusal::BadRequest };
    let mut message = violation.to_string();
    if violation == Violation::HeadTooLarge {
        message.push_str(&format!(": at most {} bytes are accepted", sizes.headers_bytes_max));
    }
    Problem::new(refusal, message)
}

/// The refusal of a body over `body_bytes_max`.
pub(crate) fn too_large(body_bytes_max: u64) -> Problem {
    Problem::new(Refusal::PayloadTooLarge, format!("the request's body is larger than {body_bytes_max} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::head::tests::{get, head};

    fn sizes() -> Sizes {
        Sizes { headers_bytes_max: 200, body_bytes_max: 10, buffered_bytes_max: 100 }
    }

    fn check(head: &Head) -> Option<Refusal> {
        check_head(head, &sizes()).err().map(|problem| problem.refusal)
    }

    #[test]
    fn heads_are_checked() {
        assert_eq!(check(&get(&[])), None);
        assert_eq!(check(&head("CONNECT h:1", &[])), Some(Refusal::MethodNotAllowed));
        for violation in Violation::ALL {
            let code = if violation.is_head_too_large() { Refusal::HeaderTooLarge } else { Refusal::BadRequest };
            for line in [None, Some((&b"POST"[..], &b"/a"[..]))] {
                assert_eq!(check(&Head::refused(line, *violation)), Some(code), "{violation:?}");
            }
        }
        let tunnel = Head::refused(Some((b"CONNECT", b"h:1")), Violation::TwoHosts);
        assert_eq!(check(&tunnel), Some(Refusal::MethodNotAllowed));
        for (length, expected) in [("10", None), ("11", Some(Refusal::PayloadTooLarge))] {
            let checked = check_length(&get(&[("content-length", length)]), 10);
            assert_eq!(checked.err().map(|problem| problem.refusal), expected, "{length}");
        }
        let large = check_head(&Head::refused(None, Violation::HeadTooLarge), &sizes()).unwrap_err();
        assert!(large.message.ends_with("at most 200 bytes are accepted"), "{}", large.message);
    }
}
