//! The head of an answer, judged.

use access::Refusal;
use http::{HeaderMap, HeaderValue, Response, header};

use crate::admit;
use crate::answer::Problem;

/// Refuses a response over HTTP/2 whose end two readers could see in two places. Over HTTP/1.1, the parser refuses it.
pub(super) fn check_head<B>(response: &Response<B>) -> Result<(), Problem> {
    let refuse = |message: &'static str| Err(Problem::new(Refusal::UpstreamProtocol, message));
    if !admit::is_coded_plainly(response.headers()) {
        return refuse("the upstream used an unknown transfer coding");
    }
    if !has_one_length(response.headers()) {
        return refuse("the upstream gave its answer more than one length");
    }
    Ok(())
}

/// Whether a head has at most one length, as one number or by chunks (RFC 9112, 6.3).
fn has_one_length(headers: &HeaderMap) -> bool {
    let is_number = |value: &HeaderValue| {
        value.as_bytes().iter().all(u8::is_ascii_digit)
            && value.to_str().is_ok_and(|digits| digits.parse::<u64>().is_ok())
    };
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => true,
        (Some(only), None) => is_number(only) && !headers.contains_key(header::TRANSFER_ENCODING),
        (Some(_), Some(_)) => false,
    }
}
