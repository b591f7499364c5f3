//! `plans`.

use std::num::NonZeroU32;

use access::Plan;

use super::{Taken, name};
use crate::grammar;
use crate::section::Section;

/// Plans where the file has none: name, credits a day, requests a minute.
const DEFAULT: [(&str, u64, u32); 3] = [("starter", 1_000, 60), ("pro", 10_000, 300), ("business", 100_000, 3_000)];
/// Most credits a day: what the store's integers hold.
const CREDITS_MAX: u64 = i64::MAX.unsigned_abs();

pub(super) fn plans(root: &Section<'_>) -> Vec<Plan> {
    if root.get("plans").is_none() {
        return DEFAULT
            .into_iter()
            .map(|(name, credits, requests)| Plan {
                name: name.to_owned(),
                credits_per_day: Some(credits),
                requests_per_minute: NonZeroU32::new(requests),
                shared_keys: true,
            })
            .collect();
    }
    let mut taken = Taken::default();
    let mut plans = Vec::new();
    for section in root.sections("plans", &grammar::PLAN) {
        let name = name(&section, &mut taken, "plan");
        let credits_per_day = section.whole("credits_per_day", 0..=CREDITS_MAX);
        let requests_per_minute = section.whole_u32("requests_per_minute", 1).and_then(NonZeroU32::new);
        let shared_keys = section.boolean("shared_keys").unwrap_or(true);
        let Some(name) = name else {
            continue;
        };
        if name.value.bytes().any(|byte| byte.is_ascii_uppercase()) {
            section.bad(name.at, "name", "a name without capital letters");
            continue;
        }
        plans.push(Plan { name: name.value, credits_per_day, requests_per_minute, shared_keys });
    }
    plans
}
