//! The list of `routes[].upstreams`.

use super::super::field::{default, maybe_nested, required};
use super::super::form::Whole;
use super::super::section;
use super::forms::ANY_NAME;
use super::headers::TransformationsInput;
use crate::input::Input;

/// Maximum number of upstreams of a route.
pub(super) const UPSTREAMS_MAX: usize = 32;

section! {
    WeightedUpstreamInput {
        /// An upstream of `upstreams`.
        name: Option<Input<String>> = required(ANY_NAME);
        /// Its [share of the requests](routing.md#weighted-upstreams). With 0, none.
        weight: Input<u32> = default(Whole::<u32>::new(0, 1_000_000), || 1);
        /// Its own changes: each key replaces [the route's](routing.md#weighted-upstreams).
        transformations: Option<TransformationsInput> = maybe_nested::<TransformationsInput>();
    }
}
