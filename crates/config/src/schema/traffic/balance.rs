//! The keys that choose among the backends of an upstream.

use super::auth::CLAIM;
use super::forms::HEADER;
use serde_json::{Value as Json, json};
use settings::documents::json::given;
use settings::field::optional;
use settings::form::{Scalar, TextForm, Words, accept};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

/// The words of `strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StrategyWord {
    RoundRobin,
    LeastConnections,
    IpHash,
    Hash,
    Random,
    Ewma,
}

/// Weights count for each strategy, so `weighted_round_robin` is another word for `round_robin`.
pub(crate) const STRATEGY: Words<StrategyWord> = Words::new(&[
    ("round_robin", StrategyWord::RoundRobin),
    ("weighted_round_robin", StrategyWord::RoundRobin),
    ("least_connections", StrategyWord::LeastConnections),
    ("ewma", StrategyWord::Ewma),
    ("random", StrategyWord::Random),
    ("ip_hash", StrategyWord::IpHash),
    ("hash", StrategyWord::Hash),
]);

/// Maximum length of the name of a cookie or query parameter.
const NAME_LEN_MAX: usize = 64;
const NAME: TextForm<String> = TextForm {
    parse: |name| {
        let has_length = (1..=NAME_LEN_MAX).contains(&name.len());
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        accept(name, has_length && is_plain, "a name such as session or user_id")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: "^[A-Za-z0-9_.-]{1,64}$",
    scalar: Scalar::Any,
};

section! {
    HashInput {
        /// The name of the header, cookie, claim or query parameter.
        header: Option<Input<String>> = optional(HEADER, "");
        /// The name of the header, cookie, claim or query parameter.
        cookie: Option<Input<String>> = optional(NAME, "");
        /// The name of the header, cookie, claim or query parameter.
        claim: Option<Input<String>> = optional(CLAIM, "");
        /// The name of the header, cookie, claim or query parameter.
        query: Option<Input<String>> = optional(NAME, "");
        rules: Rule::ExactlyOne(&["header", "cookie", "claim", "query"]);
    }
}

/// A backend has a weight above 0.
pub(super) fn some_weight() -> Json {
    let drained = json!({"required": ["weight"], "properties": {"weight": {"const": 0}}});
    json!({"anyOf": [
        {"not": given("backends")},
        {"properties": {"backends": {"anyOf": [{"contains": {"not": drained}}, {"maxItems": 0}]}}},
    ]})
}

/// The strategy `hash` has a value.
pub(super) fn value_of_hash() -> Json {
    json!({"anyOf": [{"not": {"required": ["strategy"], "properties": {"strategy": {"const": "hash"}}}}, given("hash")]})
}
