//! A provider's errors in Google's words: `google.rpc.Status`.

use crate::error::google_status;
use crate::failures::failure::ProviderErrorKind;
use crate::translate::event::ProviderFailure;
use crate::translate::object_writer::{ObjectWriter, list};

const INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const QUOTA: &str = "type.googleapis.com/google.rpc.QuotaFailure";
const RETRY: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// The id of a quota with which gemini-cli does not repeat a call: see [`crate::error`].
const QUOTA_ID: &str = "BalancePerDay";

/// The seconds in the provider's `Retry-After`, if it has sent any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::translate::response) struct RetryDelay(pub(in crate::translate::response) Option<u64>);

/// Returns the whole error body, which is also the last element of a stream.
pub(super) fn body(failure: &ProviderFailure, request_id: &str, RetryDelay(delay): RetryDelay) -> String {
    let ProviderFailure { status, kind, code, message, .. } = failure;
    let metadata = ObjectWriter::new().with("request_id", request_id).end();
    let info = code.iter().map(|reason| ObjectWriter::new().with("@type", INFO).with("reason", reason));
    let mut details: Vec<String> = info.map(|info| info.with_raw("metadata", &metadata).end()).collect();
    if *kind == ProviderErrorKind::Quota {
        let violation = ObjectWriter::new().with("description", message).with("quotaId", QUOTA_ID).end();
        let violations = list(&[violation]);
        details.push(ObjectWriter::new().with("@type", QUOTA).with_raw("violations", &violations).end());
    } else if let Some(seconds) = delay {
        let delay = format!("{seconds}s");
        details.push(ObjectWriter::new().with("@type", RETRY).with("retryDelay", &delay).end());
    }
    let error = ObjectWriter::new().with("code", status).with("message", message);
    let error = error.with("status", google_status(*status)).with_raw("details", &list(&details)).end();
    ObjectWriter::new().with_raw("error", &error).end()
}
