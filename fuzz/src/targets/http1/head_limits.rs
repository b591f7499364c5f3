//! The limits of heads in all targets.

use http1::{HeadLimits, limits};

/// The maximum of a head. Inputs reach it.
const HEAD_BYTES_MAX: usize = limits::TRAILERS_BYTES_MAX;
const LINE_BYTES_MAX: usize = 1024;
pub(super) const FIELDS_MAX: usize = 100;

pub(super) fn head_limits() -> HeadLimits {
    HeadLimits::new(HEAD_BYTES_MAX, LINE_BYTES_MAX, FIELDS_MAX)
}
