//! The names of files that browsers store.

use http::HeaderValue;

use crate::message::problem::Problem;

/// Returns the header `Content-Disposition` of a file that is named by an id and its extension.
///
/// # Errors
/// An internal error if the extension is not valid in a header.
pub(crate) fn named(id: &str, extension: &str) -> Result<HeaderValue, Problem> {
    let plain: String = id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
    HeaderValue::try_from(format!("attachment; filename=\"tollgate-{plain}.{extension}\"")).map_err(Problem::fault)
}
