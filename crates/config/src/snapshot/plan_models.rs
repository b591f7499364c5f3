//! The models of plans, and the names under which their users may request them.

use std::collections::BTreeMap;

/// The keys `models` and `aliases` of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanModels {
    /// Names of `models` or `PROVIDER/MODEL`, or their beginnings with `*`; `None` means all.
    pub models: Option<Box<[Box<str>]>>,
    /// Names that the plan's users may request, each with the name in its place.
    pub aliases: BTreeMap<Box<str>, Box<str>>,
}
