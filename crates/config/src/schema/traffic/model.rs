//! The keys of `models`: the targets of a model, and what happens when one fails.

use std::time::Duration;

use settings::field::{Entries, ValueList, default, list, maybe_nested, nested, optional, required, sections};
use settings::form::{Boolean, DurationForm, Scalar, TextForm, Whole, WordOr, Words, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;

use super::{ANY_NAME, MODEL, is_model};
use crate::snapshot::fallback::CooldownInput;
use crate::snapshot::{FallbackCause, TARGETS_MAX, TargetStrategy};

const HOUR: Duration = Duration::from_secs(3_600);
const BACKOFF: DurationForm = DurationForm::new(Duration::ZERO, Duration::from_secs(60));
/// The time for which a session stays on its target, or none.
const STICKY: WordOr<DurationForm> =
    WordOr::new("off", DurationForm::new(Duration::from_secs(1), Duration::from_secs(7 * 24 * 3_600)));
const PROMPT_CACHE: Words<bool> = Words::new(&[("auto", true), ("off", false)]);
const STRATEGY: Words<TargetStrategy> = Words::new(&TargetStrategy::WORDS);
/// The name of a model with its provider, which is looked up in the prices.
const PRICED: TextForm<String> = TextForm {
    parse: |name| {
        let is_valid = name.split_once('/').is_some_and(|(provider, model)| !provider.is_empty() && is_model(model));
        accept(name, is_valid && is_model(name) && !name.contains('*'), "PROVIDER/MODEL: openai/gpt-5-mini")
    },
    shown: |name| Value::text(name),
    cell: "`PROVIDER/MODEL`",
    pattern: "^[!-)+-.0-~]+/[!-)+-~]+$",
    scalar: Scalar::Text,
};
/// A kind of failure, or a status.
const CAUSE: TextForm<FallbackCause> = TextForm {
    parse: |text| {
        let status = || text.parse().ok().filter(|status| (400..=599).contains(status)).map(FallbackCause::Status);
        let word = FallbackCause::WORDS.iter().find(|(word, _)| *word == text).map(|(_, cause)| *cause);
        let expected =
            "connect, reset, timeout, 5xx, quota, credential, not_found, context, or a status from 400 to 599";
        word.or_else(status).ok_or_else(|| bad(expected))
    },
    shown: |cause| match cause {
        FallbackCause::Status(status) => Value::Number((*status).into()),
        FallbackCause::Connect
        | FallbackCause::Reset
        | FallbackCause::Timeout
        | FallbackCause::ServerErrors
        | FallbackCause::Quota
        | FallbackCause::Credential
        | FallbackCause::NotFound
        | FallbackCause::Context => Value::text(cause.word()),
    },
    cell: "`connect`, `reset`, `timeout`, `5xx`, `quota`, `credential`, `not_found`, `context`, status",
    pattern: "^(connect|reset|timeout|5xx|quota|credential|not_found|context|[45][0-9][0-9])$",
    scalar: Scalar::Number,
};

section! {
    ModelInput {
        /// The name for clients: `fast`, `x/*`.
        name: Option<Input<String>> = required(MODEL);
        /// The credits of a request, with all attempts.
        credits: Input<u32> = default(Whole::u32_from(0), || 1);
        /// The providers of the model, in [order](fallback.md).
        targets: Entries<TargetInput> = sections::<TargetInput>("required").required().not_empty("at least one {provider, model}").at_most(TARGETS_MAX);
        /// The choice of the [first target](fallback.md#order).
        strategy: Input<TargetStrategy> = default(STRATEGY, TargetStrategy::default);
        /// The failures after which another attempt is made.
        retry: ModelRetryInput = nested::<ModelRetryInput>();
        /// When a target is left out for a time.
        cooldown: CooldownInput = nested::<CooldownInput>();
        /// Time for which a session keeps its target after a call.
        sticky: Input<Option<Duration>> = default(STICKY, || Some(HOUR));
        /// Maximum time from the head to the first content.
        first_content: Option<Input<Duration>> = optional(DurationForm::POSITIVE, "as [`ai.timeouts`](#ai)");
        /// Whether calls get the fields of [the model that serves them](translation.md#calls-that-are-not-translated).
        adapt: Input<bool> = default(Boolean, || true);
    }
}

section! {
    TargetInput {
        /// A provider of `providers`, or `mock`.
        provider: Option<Input<String>> = required(ANY_NAME);
        /// The provider's name of the model.
        model: Option<Input<String>> = required(MODEL);
        /// The share of calls with `weighted`; 0 is last.
        weight: Input<u32> = default(Whole::<u32>::new(0, 1_000), || 1);
        /// [Limits](fallback.md#limits-of-a-target) per process. At a limit, calls use the next target.
        limits: Option<TargetLimitsInput> = maybe_nested::<TargetLimitsInput>();
        /// Whether [translated](translation.md) calls with tools get a cache mark for Anthropic.
        prompt_cache: Input<bool> = default(PROMPT_CACHE, || true);
        /// `PROVIDER/MODEL` whose [prices, limits and rules](providers.md#prices-of-deployments) apply.
        price_as: Option<Input<String>> = optional(PRICED, "");
    }
}

section! {
    TargetLimitsInput {
        /// Maximum calls in a minute.
        requests: Option<Input<u32>> = optional(Whole::<u32>::new(1, 1_000_000), "no limit");
        /// Maximum tokens in a minute, counted when a response ends.
        tokens: Option<Input<u64>> = optional(Whole::<u64>::new(1, 1_000_000_000_000), "no limit");
        /// Maximum calls in flight.
        concurrent: Option<Input<u32>> = optional(Whole::<u32>::new(1, 1_000_000), "no limit");
    }
}

section! {
    ModelRetryInput {
        /// Maximum of further attempts. A model with one target needs this key for any.
        attempts: Input<u32> = default(Whole::<u32>::new(0, 32), || 3);
        /// Further attempts may begin within this time after the first one.
        within: Input<Duration> = default(DurationForm::POSITIVE, || Duration::from_secs(60));
        /// The first pause; it doubles, and is random.
        backoff: Input<Duration> = default(BACKOFF, || Duration::from_millis(250));
        /// The longest pause; a longer `Retry-After` ends the attempts.
        max_backoff: Input<Duration> = default(BACKOFF, || Duration::from_secs(5));
        /// The [failures](fallback.md#failures) before another attempt.
        on: ValueList<FallbackCause> = list(CAUSE, 64, "all but `context`, with `408` and `429`").or(|| FallbackCause::DEFAULT.to_vec());
    }
}
