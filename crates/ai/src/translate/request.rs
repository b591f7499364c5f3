//! Requests: decoders of the client's format, encoders of the provider's.

use super::{TranslatedRequest, TranslationOptions, UntranslatableCall};
use crate::format::Format;

pub(super) fn translate(
    _from: Format,
    _to: Format,
    _body: &[u8],
    _options: &TranslationOptions<'_>,
) -> Result<TranslatedRequest, UntranslatableCall> {
    Err(UntranslatableCall { param: "model".to_owned(), message: "not yet".to_owned() })
}
