//! The forms of the models and aliases of a plan.

use settings::field::Map;
use settings::form::{Scalar, TextForm, accept};
use settings::section::setting::Value;

use super::forms::is_model;

/// Maximum number of entries of `plans[].models`.
pub(super) const PLAN_MODELS_MAX: usize = 256;
/// Maximum number of entries of `plans[].aliases`.
pub(crate) const ALIASES_MAX: usize = 256;
/// Maximum number of entries of `plans[].rate_limits`, in each of which a request of the plan's users may count.
pub(super) const PLAN_LIMITS_MAX: usize = 64;
/// A name, or a beginning of names with `*`.
pub(super) const PLAN_MODEL: TextForm<String> = TextForm {
    parse: |name| {
        accept(name, is_plan_model(name), "1 to 256 visible ASCII characters without a space, `*` only at the end")
    },
    shown: |name| Value::text(name),
    cell: "1 to 256 visible ASCII characters",
    pattern: "^[!-)+-~]{0,255}[!-~]$",
    scalar: Scalar::Any,
};
/// A name without `*`.
const EXACT_MODEL: TextForm<String> = TextForm {
    parse: |name| accept(name, is_exact(name), EXACT_EXPECTED),
    shown: |name| Value::text(name),
    cell: "1 to 256 visible ASCII characters",
    pattern: EXACT_PATTERN,
    scalar: Scalar::Any,
};
const EXACT_EXPECTED: &str = "1 to 256 visible ASCII characters without a space and without `*`";
const EXACT_PATTERN: &str = "^[!-)+-~]{1,256}$";
/// The aliases of a plan.
pub(super) const ALIASES: Map<TextForm<String>> = Map::new(EXACT_MODEL, is_exact, EXACT_EXPECTED, EXACT_PATTERN);

/// Whether `name` is a name, or a beginning of names with `*`.
pub(super) fn is_plan_model(name: &str) -> bool {
    is_model(name) && !name.strip_suffix('*').unwrap_or(name).contains('*')
}

fn is_exact(name: &str) -> bool {
    is_model(name) && !name.contains('*')
}
