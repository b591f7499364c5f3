//! The cause of an error, for the log.

use std::error::Error;

/// Returns the text of an error and of the errors that caused it.
pub(crate) fn cause_text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
