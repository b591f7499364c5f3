//! Compiles the section `plans`.

use std::num::NonZeroU32;

use access::Plan;

use super::{UsedNames, budget, name};
use crate::grammar;
use crate::section::Section;

/// Plans if the file has none: name, credits per day, requests per minute.
const DEFAULT: [(&str, u64, u32); 3] = [("starter", 1_000, 60), ("pro", 10_000, 300), ("business", 100_000, 3_000)];

pub(super) fn plans(root: &Section<'_>) -> Vec<Plan> {
    if root.get("plans").is_none() {
        return DEFAULT
            .into_iter()
            .map(|(name, credits, requests)| Plan {
                credits_per_day: Some(credits),
                requests_per_minute: NonZeroU32::new(requests),
                ..Plan::unlimited(name)
            })
            .collect();
    }
    let mut taken = UsedNames::default();
    let mut plans = Vec::new();
    for section in root.sections("plans", &grammar::PLAN) {
        let name = name(&section, &mut taken, "plan");
        let credits_per_day = section.whole("credits_per_day", 0..=Plan::CREDITS_MAX);
        let requests_per_minute = section.whole("requests_per_minute", 1..=u64::from(Plan::REQUESTS_MAX.get()));
        let requests_per_minute =
            requests_per_minute.and_then(|rate| u32::try_from(rate).ok()).and_then(NonZeroU32::new);
        let budgets = budget::of_plan(&section);
        let shared_keys = section.boolean("shared_keys").unwrap_or(true);
        let Some(name) = name else {
            continue;
        };
        if name.value.bytes().any(|byte| byte.is_ascii_uppercase()) {
            section.bad(name.at, "name", "a name without capital letters");
            continue;
        }
        plans.push(Plan { name: name.value, credits_per_day, requests_per_minute, budgets, shared_keys });
    }
    plans
}
