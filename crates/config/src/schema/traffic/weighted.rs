//! The list of `routes[].upstreams`.

use settings::field::{default, maybe_nested, required};
use settings::form::Whole;
use settings::input::Input;
use settings::section;

use super::forms::ANY_NAME;
use super::headers::TransformationsInput;

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
