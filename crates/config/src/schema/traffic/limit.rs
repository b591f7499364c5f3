//! The keys of `rate_limits[]`, `routes[].rate_limits[]` and `plans[].rate_limits[]`.

use std::time::Duration;

use super::super::process::WINDOW;
use super::auth::{CLAIM, CLAIM_VALUE_PATTERN, ClaimInput, is_claim_value};
use super::forms::HEADER;
use crate::snapshot::LimitSubject;
use meter::limiter::tokens::{TOKEN_LIMIT_MAX, TokenUnit};
use meter::window;
use serde_json::{Value as Json, json};
use settings::documents::json::given;
use settings::field::{Either, MapEntry, MapKeys, OneOrMore, default, map_of, one_or_more, optional, required};
use settings::form::{Form, FormRefusal, Whole, Words};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

/// The words of `dimension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DimensionWord {
    Address,
    User,
    Key,
    Route,
    Model,
    Plan,
    Global,
}

/// The values of `unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitUnit {
    Requests,
    Concurrent,
    Tokens(TokenUnit),
}

/// The values of `algorithm`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitAlgorithm {
    SlidingWindow,
    TokenBucket,
}

/// The values of `consistency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitConsistency {
    Leased,
    Exact,
}

/// A value in `tiers`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TierValue {
    /// The tier of a client is its plan.
    Plan,
    /// The limit of one tier.
    Limit(u32),
}

/// The maximum of a limit; that of requests is smaller.
const LIMIT: Whole<u32> = Whole::new(1, TOKEN_LIMIT_MAX as u64);
const UNIT: Words<LimitUnit> = Words::new(&[
    ("requests", LimitUnit::Requests),
    ("concurrent", LimitUnit::Concurrent),
    (TokenUnit::All.word(), LimitUnit::Tokens(TokenUnit::All)),
    (TokenUnit::Input.word(), LimitUnit::Tokens(TokenUnit::Input)),
    (TokenUnit::Output.word(), LimitUnit::Tokens(TokenUnit::Output)),
]);
/// Maximum number of values by which one limit counts.
const DIMENSIONS_MAX: usize = 4;
const DIMENSION: OneOrMore<Words<DimensionWord>, DimensionInput> = one_or_more(
    Words::new(&[
        ("ip", DimensionWord::Address),
        ("user", DimensionWord::User),
        ("key", DimensionWord::Key),
        ("route", DimensionWord::Route),
        ("model", DimensionWord::Model),
        ("plan", DimensionWord::Plan),
        ("global", DimensionWord::Global),
    ]),
    "at least one of `ip`, `user`, `key`, `route`, `model`, `plan`, `global`, {header: NAME} and {claim: NAME}",
    DIMENSIONS_MAX,
);

section! {
    /// What a limit counts, and its maximum.
    LimitTermsInput {
        /// What requests of one count share; `ip` is the address (IPv6: /64), `global` nothing.
        dimension: Vec<Either<DimensionWord, DimensionInput>> = DIMENSION;
        /// Requests in a window, requests in flight, or [tokens](rate-limits.md#tokens) of LLM calls in a window.
        unit: Input<LimitUnit> = default(UNIT, || LimitUnit::Requests);
        /// Maximum of requests, at most 1000000, or of tokens; with `tiers`, of other clients.
        limit: Option<Input<u32>> = optional(LIMIT, "required without `tiers`");
        /// Length of the window; required without `concurrent`.
        window: Option<Input<Duration>> = optional(WINDOW, "");
        /// A [sliding window](rate-limits.md#sliding-windows), or a bucket.
        algorithm: Input<LimitAlgorithm> = default(
            Words::new(&[("sliding_window", LimitAlgorithm::SlidingWindow), ("token_bucket", LimitAlgorithm::TokenBucket)]),
            || LimitAlgorithm::SlidingWindow,
        );
        /// With `token_bucket`: requests or tokens at once.
        burst: Option<Input<u32>> = optional(LIMIT, "as `limit`");
        /// For requests, with [Redis](rate-limits.md#several-nodes): by batches, or each request.
        consistency: Option<Input<LimitConsistency>> = optional(
            Words::new(&[("leased", LimitConsistency::Leased), ("exact", LimitConsistency::Exact)]),
            "`leased`; limits up to 100 are always `exact`",
        );
        later: with;
        rules: Rule::Values(window_of_unit), Rule::Values(burst_of_bucket), Rule::Values(consistency_of_requests),
            Rule::Values(maximum_of_unit);
    }
}

section! {
    /// One limit of requests or tokens.
    RateLimitInput {
        ..terms: LimitTermsInput;
        /// Limits of plans, `{by: plan, free: 100}`, or of a claim, `{by: {claim: tier}, free: 100}`.
        tiers: Vec<MapEntry<TierValue, ClaimInput>> = map_of::<TierForm, ClaimInput>(TierForm, TIERS, TIERS_MAX);
        rules: Rule::RequiredUnless("limit", &["tiers"]), Rule::Values(tiers_by_plan), Rule::Values(tiers_of_unit);
    }
}

section! {
    /// One entry of `rate_limits`.
    LimitInput {
        ..rule: RateLimitInput;
        /// With `ip`: counts only requests without a valid key.
        without: Option<Input<LimitSubject>> = optional(Words::new(&[("key", LimitSubject::WithoutKey)]), "");
        rules: Rule::Values(without_key_by_address);
    }
}

section! {
    /// One entry of `plans[].rate_limits`.
    PlanLimitInput {
        ..terms: LimitTermsInput;
        rules: Rule::Required("limit");
    }
}

section! {
    DimensionInput {
        /// The name of a header; requests without it count together.
        header: Option<Input<String>> = optional(HEADER, "");
        /// The name of a claim.
        claim: Option<Input<String>> = optional(CLAIM, "");
        rules: Rule::ExactlyOne(&["header", "claim"]);
    }
}

section! {
    RouteLimitInput {
        /// Maximum of requests of a client in a window.
        requests: Option<Input<u32>> = required(super::super::process::LIMIT);
        /// Length of the [sliding window](decisions/0020-sliding-windows.md).
        window: Option<Input<Duration>> = required(WINDOW);
    }
}

/// Maximum number of tiers of a limit, and `by`.
const TIERS_MAX: usize = 65;
const TIERS: MapKeys = MapKeys {
    is_key: is_claim_value,
    expected: "`by`, and names of plans or values of the claim",
    pattern: CLAIM_VALUE_PATTERN,
};

fn reference() -> Json {
    json!({"$ref": "#/$defs/reference"})
}

/// The units of limits of tokens.
const TOKENS: [TokenUnit; 3] = [TokenUnit::All, TokenUnit::Input, TokenUnit::Output];
/// The keys that only limits in a window have.
pub(crate) const OF_WINDOWS: [&str; 3] = ["window", "algorithm", "burst"];
/// The keys that a limit with `without` does not have.
pub(crate) const NOT_WITHOUT: [&str; 5] = ["unit", "algorithm", "burst", "tiers", "consistency"];

/// The condition of `window`, `algorithm` and `burst` on `unit`.
fn window_of_unit() -> Json {
    let concurrent = json!({"required": ["unit"], "properties": {"unit": {"const": "concurrent"}}});
    let unknown = json!({"required": ["unit"], "properties": {"unit": reference()}});
    json!({
        "if": concurrent,
        "then": {"not": {"anyOf": OF_WINDOWS.map(given)}},
        "else": {"anyOf": [given("window"), unknown]},
    })
}

/// The condition of `burst` on `algorithm`.
fn burst_of_bucket() -> Json {
    let bucket = json!({"anyOf": [{"const": "token_bucket"}, reference()]});
    json!({"anyOf": [
        {"not": given("burst")},
        {"required": ["algorithm"], "properties": {"algorithm": bucket}},
    ]})
}

/// The condition of `consistency` on `unit`.
fn consistency_of_requests() -> Json {
    let mut others = vec![json!("concurrent")];
    others.extend(TOKENS.map(|unit| json!(unit.word())));
    let other = json!({"required": ["unit"], "properties": {"unit": {"enum": others}}});
    json!({"not": {"allOf": [given("consistency"), other]}})
}

/// The condition of numbers on `unit`.
fn maximum_of_unit() -> Json {
    let number = || json!({"anyOf": [{"maximum": window::LIMIT_MAX}, {"type": ["string", "null"]}]});
    json!({"anyOf": [has_tokens(), {"properties": {"limit": number(), "burst": number()}}]})
}

/// The condition of the numbers in `tiers` on `unit`.
fn tiers_of_unit() -> Json {
    let number = json!({"anyOf": [{"maximum": window::LIMIT_MAX}, {"type": ["string", "null", "object"]}]});
    json!({"anyOf": [has_tokens(), {"properties": {"tiers": {"additionalProperties": number}}}]})
}

fn has_tokens() -> Json {
    let units = TOKENS.map(|unit| json!({"const": unit.word()}));
    json!({"required": ["unit"], "properties": {"unit": {"anyOf": units.into_iter().chain([reference()]).collect::<Vec<_>>()}}})
}

/// The condition of the values in `tiers` on their keys.
fn tiers_by_plan() -> Json {
    let by = json!({"anyOf": [{"const": "plan"}, {"type": "object"}, reference()]});
    let of_plans = json!({
        "if": {"properties": {"by": {"const": "plan"}}},
        "then": {"propertyNames": {"pattern": "^[a-z0-9._-]{1,64}$"}},
    });
    json!({"properties": {"tiers": {"anyOf": [
        {"type": "null"},
        {
            "required": ["by"],
            "minProperties": 2,
            "properties": {"by": by},
            "additionalProperties": {"not": {"anyOf": [{"const": "plan"}, {"type": "object"}]}},
            "allOf": [of_plans],
        },
    ]}}})
}

/// The conditions of `without`.
fn without_key_by_address() -> Json {
    let address = json!({"anyOf": [{"const": "ip"}, reference()]});
    let only = json!({"anyOf": [address, {"type": "array", "maxItems": 1, "items": address}]});
    json!({"anyOf": [
        {"not": given("without")},
        {"properties": {"dimension": only}, "not": {"anyOf": NOT_WITHOUT.map(given)}},
    ]})
}

/// The values in `tiers`.
#[derive(Debug, Clone, Copy)]
struct TierForm;

impl Form for TierForm {
    type Value = TierValue;

    fn parse(&self, text: &str) -> Result<TierValue, FormRefusal> {
        if text == "plan" {
            return Ok(TierValue::Plan);
        }
        let expected = format!("`plan` for `by`, and a whole number from 1 to {TOKEN_LIMIT_MAX} for each plan");
        LIMIT.parse(text).map(TierValue::Limit).map_err(|_| FormRefusal::Bad(expected))
    }

    fn shown(&self, value: &TierValue) -> Value {
        match value {
            TierValue::Plan => Value::text("plan"),
            TierValue::Limit(limit) => LIMIT.shown(limit),
        }
    }

    fn cell(&self) -> String {
        LIMIT.cell()
    }

    fn schema(&self) -> Json {
        json!({"anyOf": [{"const": "plan"}, LIMIT.schema()]})
    }
}
