//! The keys of `insights`.

use std::time::Duration;

use super::forms::MONEY;
use access::amounts::usd;
use access::{NanoUsd, text};
use insights::settings::{ROLE_CHARS_MAX, ROLES_MAX, RULES_MAX, TODAY_MAX, VALUES_MAX};
use insights::{Class, Ratio};
use serde_json::{Value as Json, json};
use settings::field::{Entries, ValueList, default, list, maybe_nested, nested, optional, required, sections};
use settings::form::{Boolean, DurationForm, Scalar, TextForm, Whole, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

/// Maximum number of entries of `insights.tests`, because each load runs them.
const TESTS_MAX: usize = 1_000;

section! {
    InsightsInput {
        /// The time zone of days; no other exists. `billing.timezone` is the time zone of printed times.
        timezone: Input<String> = default(TIMEZONE, || UTC.to_owned());
        /// Rules of [classes](insights.md#classes) before the built-in ones; the first match decides.
        rules: Entries<ClassRuleInput> = sections::<ClassRuleInput>("none").at_most(RULES_MAX);
        /// Requests with expected classes, for [`tollgate check`](insights.md#classes).
        tests: Entries<ClassTestInput> = sections::<ClassTestInput>("none").at_most(TESTS_MAX);
        /// The [approval](insights.md#reviews) of days.
        signoff: SignoffInput = nested::<SignoffInput>();
        /// The search for unusual days.
        anomalies: AnomaliesInput = nested::<AnomaliesInput>();
        /// The forecast of the month.
        forecast: ForecastInput = nested::<ForecastInput>();
        /// The assumptions of savings.
        roi: RoiInput = nested::<RoiInput>();
        /// The cache of responses.
        cache: InsightsCacheInput = nested::<InsightsCacheInput>();
    }
}

section! {
    ClassRuleInput {
        /// A name that no other rule has.
        name: Option<Input<String>> = required(RULE_NAME);
        /// The class of requests that match.
        class: Option<Input<Class>> = required(CLASS);
        /// The conditions, which must all be met; without any, every request matches.
        when: ClassConditionsInput = nested::<ClassConditionsInput>();
        /// The confidence of the rule, with at most four decimals.
        confidence: Option<Input<Ratio>> = required(CONFIDENCE);
    }
}

section! {
    ClassConditionsInput {
        /// Programs, such as `codex`.
        client: ValueList<String> = list(RULE_NAME, VALUES_MAX, "any");
        /// Names of configured routes.
        route: ValueList<String> = list(RULE_NAME, VALUES_MAX, "any");
        /// Formats of LLM requests, such as `chat`; `none` for ordinary APIs.
        format: ValueList<String> = list(RULE_NAME, VALUES_MAX, "any");
        /// Names of models, as clients request them.
        model: ValueList<String> = list(RULE_NAME, VALUES_MAX, "any");
        /// Range of the status.
        status: Option<NumberRangeInput> = maybe_nested::<NumberRangeInput>();
        /// Whether the response was streamed.
        streamed: Option<Input<bool>> = optional(Boolean, "");
        /// Uses of the client's tools.
        tools: ValueList<&'static str> = list(TOOLS, VALUES_MAX, "any");
        /// Range of the number of the key's LLM requests on the day, without refused ones; 0 in a session or without a key.
        requests_per_key: Option<NumberRangeInput> = maybe_nested::<NumberRangeInput>();
        /// Range of the number of requests of the session on the day.
        requests_per_session: Option<NumberRangeInput> = maybe_nested::<NumberRangeInput>();
        /// Range of the seconds since the previous request of the session.
        interval_s: Option<NumberRangeInput> = maybe_nested::<NumberRangeInput>();
        /// Range of the number of input tokens.
        input_tokens: Option<NumberRangeInput> = maybe_nested::<NumberRangeInput>();
    }
}

section! {
    NumberRangeInput {
        /// A number; a range has `min`, `max` or both.
        min: Option<Input<u64>> = optional(NUMBER, "");
        /// A number; a range has `min`, `max` or both.
        max: Option<Input<u64>> = optional(NUMBER, "");
        rules: Rule::Values(one_key);
    }
}

section! {
    ClassTestInput {
        /// The metadata of a request.
        event: ClassEventInput = nested::<ClassEventInput>();
        /// The result that the rules must have.
        expect: ClassExpectInput = nested::<ClassExpectInput>();
        rules: Rule::Required("expect");
    }
}

section! {
    ClassEventInput {
        /// As in `rules[].when`; without a format, an ordinary API.
        client: Option<Input<String>> = optional(RULE_NAME, "");
        /// As in `rules[].when`; without a format, an ordinary API.
        route: Option<Input<String>> = optional(RULE_NAME, "");
        /// As in `rules[].when`; without a format, an ordinary API.
        format: Option<Input<String>> = optional(RULE_NAME, "");
        /// As in `rules[].when`; without a format, an ordinary API.
        model: Option<Input<String>> = optional(RULE_NAME, "");
        /// The status of the response.
        status: Input<u32> = default(Whole::<u32>::new(100, 599), || 200);
        /// Whether the response was streamed.
        streamed: Option<Input<bool>> = optional(Boolean, "");
        /// The use of the client's tools.
        tools: Option<Input<&'static str>> = optional(TOOLS, "");
        /// The number of the key's LLM requests on the day, without refused ones; 0 if it is not given, and in a session.
        requests_per_key: Option<Input<u64>> = optional(NUMBER, "");
        /// The number of requests of the session on the day.
        requests_per_session: Option<Input<u64>> = optional(NUMBER, "");
        /// The seconds since the previous request of the session.
        interval_s: Option<Input<u64>> = optional(NUMBER, "");
        /// The number of input tokens.
        input_tokens: Option<Input<u64>> = optional(NUMBER, "");
    }
}

section! {
    ClassExpectInput {
        /// The class that the rules must choose.
        class: Option<Input<Class>> = optional(CLASS, "");
        /// The name of the rule that decides.
        rule: Option<Input<String>> = optional(RULE_NAME, "");
        rules: Rule::Values(one_key);
    }
}

section! {
    SignoffInput {
        /// The roles that must all approve a day.
        roles: ValueList<String> = list(ROLE, ROLES_MAX, "`team_lead`, `finance`").or(roles).not_empty("at least one role");
    }
}

section! {
    AnomaliesInput {
        /// Number of earlier days with usage that the search needs.
        days_min: Input<u32> = default(Whole::<u32>::new(1, 366), || 14);
        /// The smallest deviation that is reported, in multiples of the usual one.
        score_min: Input<Ratio> = default(SCORE, || Ratio(35_000));
    }
}

section! {
    ForecastInput {
        /// The part of outcomes within the interval of the forecast.
        interval: Input<Ratio> = default(INTERVAL, || Ratio(8_000));
    }
}

section! {
    RoiInput {
        /// The cost of running the gateway, per month.
        gateway_cost: Input<NanoUsd> = default(MONEY, || NanoUsd(0));
    }
}

section! {
    InsightsCacheInput {
        /// Maximum age of responses of a day that is not complete.
        today: Input<Duration> = default(DurationForm::new(Duration::ZERO, TODAY_MAX), || Duration::from_secs(5));
        /// Whether nodes share responses through `redis`.
        redis: Input<bool> = default(Boolean, || false);
    }
}

fn one_key() -> Json {
    json!({"minProperties": 1})
}

fn roles() -> Vec<String> {
    ["team_lead", "finance"].map(str::to_owned).into()
}

const UTC: &str = "UTC";
const TIMEZONE: TextForm<String> = TextForm {
    parse: |zone| {
        // Usage is stored by UTC day, as quotas and invoices count it: another day could not be signed off.
        accept(
            zone,
            zone == UTC,
            "UTC, whose days usage and invoices have; `billing.timezone` is the zone of printed times",
        )
    },
    shown: |zone| Value::text(zone),
    cell: "`UTC`",
    pattern: "^UTC$",
    scalar: Scalar::Text,
};
const CLASS: Words<Class> = Words::new(&[
    (Class::AgentSession.as_str(), Class::AgentSession),
    (Class::ToolLoop.as_str(), Class::ToolLoop),
    (Class::Chat.as_str(), Class::Chat),
    (Class::Completion.as_str(), Class::Completion),
    (Class::Embedding.as_str(), Class::Embedding),
    (Class::Batch.as_str(), Class::Batch),
    (Class::PlainApi.as_str(), Class::PlainApi),
    (Class::HealthProbe.as_str(), Class::HealthProbe),
    (Class::Other.as_str(), Class::Other),
]);
const TOOLS: Words<&'static str> = Words::new(&[("none", "none"), ("offered", "offered"), ("called", "called")]);
/// No session has more requests, and no request more tokens.
const NUMBER: Whole<u64> = Whole::new(0, 1 << 53);
/// The longest name of a rule, a program, a route, a format or a model, in characters.
const NAME_CHARS_MAX: usize = 200;
const RULE_NAME: TextForm<String> = TextForm {
    parse: |name| {
        let has_length = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
        accept(name, has_length && text::is_plain(name), "1 to 200 visible characters in one line")
    },
    shown: |name| Value::text(name),
    cell: "1 to 200 characters",
    pattern: "^.{1,200}$",
    scalar: Scalar::Any,
};
const ROLE: TextForm<String> = TextForm {
    parse: |role| {
        let has_length = (1..=ROLE_CHARS_MAX).contains(&role.chars().count());
        accept(role, has_length && text::is_plain(role), "1 to 50 visible characters in one line")
    },
    shown: |role| Value::text(role),
    cell: "1 to 50 characters",
    pattern: "^.{1,50}$",
    scalar: Scalar::Any,
};
/// Decimal places of a ratio.
const PLACES: usize = 4;
const CONFIDENCE: TextForm<Ratio> = TextForm {
    parse: |text| {
        ratio(text)
            .filter(|part| *part <= Ratio::ONE)
            .ok_or_else(|| bad("a number from 0 to 1, with at most four decimals"))
    },
    shown: |part| shown(*part),
    cell: "0 to 1",
    pattern: r"^0*(0|1|0\.[0-9]{1,4}0*|1\.0+)$",
    scalar: Scalar::Number,
};
const SCORE: TextForm<Ratio> = TextForm {
    parse: |text| {
        let score = ratio(text).filter(|score| (Ratio(1)..=Ratio::MAX).contains(score));
        score.ok_or_else(|| bad("a number above 0 and at most 1000000, with at most four decimals"))
    },
    shown: |score| shown(*score),
    cell: "number above 0",
    pattern: r"^0*([1-9][0-9]*(\.[0-9]+)?|0\.0*[1-9][0-9]*)$",
    scalar: Scalar::Number,
};
const INTERVAL: Words<Ratio> = Words::new(&[
    ("0.5", Ratio(5_000)),
    ("0.8", Ratio(8_000)),
    ("0.9", Ratio(9_000)),
    ("0.95", Ratio(9_500)),
    ("0.99", Ratio(9_900)),
]);

fn ratio(text: &str) -> Option<Ratio> {
    usd::parse(text, PLACES).ok().and_then(|parts| i64::try_from(parts).ok()).map(Ratio)
}

fn shown(part: Ratio) -> Value {
    Value::Text(usd::written(part.0.unsigned_abs(), PLACES))
}
