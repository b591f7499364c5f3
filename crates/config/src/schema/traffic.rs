//! The keys that a reload may change: routes, upstreams, providers, models, plans, limits and budgets.

mod auth;
mod auth_type;
mod balance;
mod body;
mod bounds;
mod breaker;
mod cache;
mod check_headers;
mod cors;
mod credits;
mod discover;
mod forms;
mod header_text;
mod headers;
mod health;
mod insights;
mod key_place;
mod limit;
mod matches;
mod model;
mod plan_models;
mod plan_price;
mod provider;
mod request_test;
mod retry;
mod rewrite;
mod route;
mod secret_values;
mod weighted;

use std::path::PathBuf;
use std::time::Duration;

use super::name::NAME;
use super::network::NETWORK;
use super::price::PriceInput;
use super::process::BillingInput;
use crate::snapshot::retry::PoolInput;
use crate::snapshot::translation::TranslateInput;
use crate::snapshot::upstream::EjectionInput;
use crate::snapshot::{BudgetDimension, ForwardedFields, OnHangup, Origin, QuotaStatus, SignupMode, UnboundedCalls};
use access::{LimitPeriod, NanoUsd, Plan, PublicKey, QuotaName, WeekStart, Zone};
pub(crate) use auth::{
    AlternativeInput, AuthEntryInput, AuthInput, AuthMethodInput, KEYS as AUTH_KEYS,
    keys_of_other_types as auth_keys_of_other_types,
};
pub(crate) use auth_type::{AuthType, EntryType};
use balance::STRATEGY;
pub(crate) use balance::{HashInput, StrategyWord};
pub(crate) use body::{BodyInput, EDITS_MAX};
pub(crate) use bounds::AddressesInput;
pub(crate) use breaker::CircuitBreakerInput;
pub(crate) use cache::{CacheInput, CachePlace};
pub(crate) use cors::{CorsInput, WITH_WILDCARD as CORS_WITH_WILDCARD};
pub(crate) use credits::{CreditsInput, FACTORS_MAX};
pub(crate) use discover::{ConsulInput, DiscoverInput, DnsInput, EtcdInput, REFRESH_DEFAULT};
use forms::{
    AMOUNT, ANY_NAME, BACKEND, BUDGET_DIMENSION, CREDITS, FORWARDED, HEADERS, MODEL, MONEY, ON_HANGUP, PATH, PER, PLAN,
    PREFIX, PUBLIC_KEY, QUOTA_LENGTH, QUOTA_START, QUOTA_STATUS, QUOTAS_MAX, SERVER_NAME, SERVER_TOOL_ROUNDS_MAX,
    SIGNUP, SIGNUP_PLAN, UNBOUNDED, WEEK_START, ZONE,
};
pub(crate) use forms::{DRAIN_BYTES, DRAIN_TIME, QuotaLength, QuotaStart, is_model, parse_credential};
pub(crate) use header_text::{HeaderPiece, HeaderText};
pub(crate) use headers::{
    HEADERS_MAX, RequestTransformationsInput, ResponseTransformationsInput, TransformationsInput,
};
pub(crate) use health::{HealthCheckInput, OF_REQUESTS as HEALTH_KEYS_OF_REQUESTS};
pub(crate) use insights::{
    ClassConditionsInput, ClassEventInput, ClassExpectInput, ClassRuleInput, ClassTestInput, InsightsInput,
    NumberRangeInput,
};
use ipnet::IpNet;
pub(crate) use key_place::KeyPlaceWord;
pub(crate) use limit::{
    DimensionInput, DimensionWord, LimitAlgorithm, LimitConsistency, LimitInput, LimitTermsInput, LimitUnit,
    NOT_WITHOUT, OF_WINDOWS, PlanLimitInput, RateLimitInput, TierValue,
};
pub(crate) use matches::{ConditionInput, PathInput};
pub(crate) use model::{ModelInput, TargetInput};
pub(crate) use plan_models::ALIASES_MAX;
use plan_models::{ALIASES, PLAN_LIMITS_MAX, PLAN_MODEL, PLAN_MODELS_MAX};
pub(crate) use plan_price::{ChargeInput, ChargeModelWord, IncludedQuantity, PlanPriceInput};
pub(crate) use provider::{AwsInput, AzureVersion, BedrockEndpoint, KEYS_OF_KINDS, ProviderInput};
pub(crate) use request_test::{ExpectInput, RequestTestInput};
use retry::TOTAL;
pub(crate) use retry::{RetryInput, RouteTimeoutsInput};
pub(crate) use rewrite::{PathRewriteInput, QueryRewriteInput};
pub(crate) use route::{FallbackInput, RedirectInput, RespondInput, RouteInput};
pub(crate) use secret_values::is_secret_parameter;
use settings::field::{
    Either, Entries, ValueList, default, list, maybe_nested, nested, optional, or_empty, required, sections, single_or,
};
use settings::form::{Boolean, DurationForm, FILE, SizeForm, Whole, Words};
use settings::input::Input;
use settings::section;
use settings::spec::{RestartKeys, Rule};
pub(crate) use weighted::WeightedUpstreamInput;

/// Maximum number of entries of `tests`, because each load runs them.
const TESTS_MAX: usize = 1_000;
/// Maximum number of entries of `auth`.
const AUTH_ENTRIES_MAX: usize = 64;
/// Maximum number of entries of `health_paths`.
const HEALTH_PATHS_MAX: usize = 16;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

section! {
    /// What a reload may change.
    TrafficInput {
        /// Deadlines of ordinary requests.
        timeouts: TimeoutsInput = nested::<TimeoutsInput>();
        /// Bounds of heads and bodies.
        sizes: SizesInput = nested::<SizesInput>();
        /// What happens to an LLM call after the client disconnects.
        on_hangup: Option<Either<OnHangup, OnHangupInput>> =
            single_or(ON_HANGUP, nested::<OnHangupInput>(), Some(|| OnHangup::Cancel));
        /// Replaces every provider with the [mock](mock.md).
        mock: Input<bool> = default(Boolean, || false);
        /// The LLM providers that serve models.
        providers: Entries<ProviderInput> = sections::<ProviderInput>("from [variables](#the-environment)");
        /// Names that clients may request.
        models: Entries<ModelInput> = sections::<ModelInput>("none");
        /// Prices that replace the built-in ones.
        prices: Entries<PriceInput> = sections::<PriceInput>("none");
        /// A [price file](prices.md#price-files) with newer prices.
        prices_file: Option<Input<PathBuf>> = or_empty(FILE, "none");
        /// The key that signs `prices_file`.
        prices_key: Option<Input<PublicKey>> = optional(PUBLIC_KEY, "none");
        /// The LLM endpoints of the proxy.
        ai: AiInput = nested::<AiInput>();
        /// Plans that startup creates; `tollgate plans apply` changes existing ones.
        plans: Entries<PlanInput> = sections::<PlanInput>(
            "`starter` (1,000 credits a day, 60 requests a minute), `pro` (10,000, 300), `business` (100,000, 3,000)",
        );
        /// [Credits by tokens](budgets.md#credits-by-tokens), in place of the flat credits of models.
        credits: Option<CreditsInput> = maybe_nested::<CreditsInput>();
        /// Registration by admins, invitation, or anybody.
        signup: Input<SignupMode> = default(SIGNUP, || SignupMode::Closed);
        /// The plan of users who register.
        signup_plan: Input<String> = default(SIGNUP_PLAN, || "starter".to_owned());
        /// Subscriptions, invoices and payments.
        billing: BillingInput = nested::<BillingInput>();
        /// Budgets of keys, users and plans.
        budgets: BudgetsInput = nested::<BudgetsInput>();
        /// Status for exhausted quotas and budgets; `auto` chooses by [client](clients.md#exhausted-quotas).
        quota_status: Input<QuotaStatus> = default(QUOTA_STATUS, || QuotaStatus::TooManyRequests);
        /// The explanation of [days](insights.md). `POST /config` replaces it.
        insights: InsightsInput = nested::<InsightsInput>();
        /// Targets of ordinary routes.
        upstreams: Entries<UpstreamInput> = sections::<UpstreamInput>("none");
        /// Look-ups of names. With this section, [each address](discovery.md#names-in-urls) of a name in `backends[].url` is a backend.
        dns: Option<DnsInput> = maybe_nested::<DnsInput>();
        /// The [etcd](discovery.md#etcd) cluster of `discover: {etcd: …}`. With `config.etcd`, a change needs a restart.
        etcd: Option<EtcdInput> = maybe_nested::<EtcdInput>();
        /// The [Consul](discovery.md#consul) agent of `discover: {consul: …}`.
        consul: Option<ConsulInput> = maybe_nested::<ConsulInput>();
        /// The [credentials](authentication.md) that routes may require.
        auth: Entries<AuthEntryInput> = sections::<AuthEntryInput>("none").at_most(AUTH_ENTRIES_MAX);
        /// Exact paths that need [no credentials](authentication.md#health-checks) for GET and HEAD; `[]` is off.
        health_paths: ValueList<String> = list(PATH, HEALTH_PATHS_MAX, "`/health`, `/livez`, `/readyz`").or(health_paths);
        /// Paths that backends may read differently than Tollgate ([ambiguous paths](routing.md#ambiguous-paths)).
        paths: PathsInput = nested::<PathsInput>();
        /// Routes that are not LLM endpoints.
        routes: Entries<RouteInput> = sections::<RouteInput>("none");
        /// Proxies with a trusted `X-Forwarded-For` ([client addresses](#client-addresses)).
        trusted_proxies: ValueList<Vec<IpNet>> = list(NETWORK, 256, "none").or_single();
        /// What upstreams receive of `X-Forwarded-*` from `trusted_proxies` ([headers that backends trust](#headers-that-backends-trust)): `append` keeps it, `replace` does not; `true` also writes `Forwarded` (RFC 7239).
        forwarded: Input<ForwardedFields> = default(FORWARDED, || ForwardedFields::Append);
        /// Whether requests to upstreams have `Via`, with `brand.key_prefix`.
        via: Input<bool> = default(Boolean, || false);
        /// [Rate limits](rate-limits.md) of all routes, and of requests without a valid key; `[]` is no limit.
        rate_limits: Entries<LimitInput> = sections::<LimitInput>("100 a minute per address without a valid key");
        /// Requests with expected results for [`tollgate check`](explain.md#tests).
        tests: Entries<RequestTestInput> = sections::<RequestTestInput>("none").at_most(TESTS_MAX);
        /// The [circuit breaker](upstreams.md#circuit-breakers) of each backend and provider.
        circuit_breaker: Option<CircuitBreakerInput> = maybe_nested::<CircuitBreakerInput>();
        rules: Rule::Requires("prices_key", "prices_file");
    }
}

/// Returns the paths of the health checks of most services.
fn health_paths() -> Vec<String> {
    ["/health", "/livez", "/readyz"].map(str::to_owned).into()
}

section! {
    PathsInput {
        /// Whether a run of slashes becomes one.
        merge_slashes: Option<Input<bool>> = optional(Boolean, "`false`, but `//` [must not reach other routes](routing.md#ambiguous-paths)");
        /// Whether paths with `%2F`, `%5C` or `\\` get 400, or may reach other routes.
        encoded_slashes: Option<Input<Ambiguity>> = optional(AMBIGUITY, "must not reach other routes");
        /// The same for paths with `;` or `%3B`.
        semicolons: Option<Input<Ambiguity>> = optional(AMBIGUITY, "must not reach other routes");
        /// Whether paths with escapes of other characters may reach other routes.
        reserved_escapes: Option<Input<KeptPaths>> = optional(KEEP, "must not");
        /// Whether paths with escapes of escapes may.
        double_escapes: Option<Input<KeptPaths>> = optional(KEEP, "must not");
        /// Whether paths with letters in another case may.
        letter_case: Option<Input<KeptPaths>> = optional(KEEP, "must not");
        /// Whether segments that begin or end with blanks, or end with full stops, may.
        blanks: Option<Input<KeptPaths>> = optional(KEEP, "must not");
    }
}

/// What happens to a path that backends may read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ambiguity {
    Refuse,
    Keep,
}

const AMBIGUITY: Words<Ambiguity> = Words::new(&[("refuse", Ambiguity::Refuse), ("keep", Ambiguity::Keep)]);

/// The acceptance of paths that backends may read as those of other routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeptPaths;

const KEEP: Words<KeptPaths> = Words::new(&[("keep", KeptPaths)]);

section! {
    TimeoutsInput {
        /// Maximum time to connect, TLS included.
        connect: Input<Duration> = default(DurationForm::POSITIVE, || Duration::from_secs(2));
        /// Maximum time until the response's head.
        first_byte: Input<Duration> = default(DurationForm::POSITIVE, || Duration::from_secs(60));
        /// Maximum time without a byte.
        idle: Input<Duration> = default(DurationForm::POSITIVE, || Duration::from_secs(60));
        /// Maximum time of a request with all attempts, except event streams, gRPC and tunnels.
        total: Input<Option<Duration>> = default(TOTAL, || Some(Duration::from_secs(15 * 60)));
    }
}

section! {
    SizesInput {
        /// Maximum head of a request.
        headers: Input<u64> = default(HEADERS, || 64 * KIB);
        /// Maximum body of a request.
        body: Input<u64> = default(SizeForm::POSITIVE, || 32 * MIB);
        /// Maximum of all buffered bodies, [shared among keys](#memory-for-buffered-bodies).
        buffered: Input<u64> = default(SizeForm::POSITIVE, || 256 * MIB);
        restart: RestartKeys::Only(&["buffered"]);
    }
}

section! {
    OnHangupInput {
        /// Bounds of the rest of the response that is read.
        drain: Option<HangupDrainInput> = maybe_nested::<HangupDrainInput>();
        rules: Rule::Required("drain");
    }
}

section! {
    HangupDrainInput {
        /// Maximum to read after the disconnect.
        bytes: Input<u64> = default(SizeForm::POSITIVE, || DRAIN_BYTES);
        /// Maximum time for that.
        r#for: Input<Duration> = default(DurationForm::POSITIVE, || DRAIN_TIME);
    }
}

section! {
    AiInput {
        /// Whether LLM endpoints exist.
        enabled: Input<bool> = default(Boolean, || true);
        /// Prepended to each endpoint: `/llm/v1/chat/completions`.
        prefix: Input<String> = default(PREFIX, || "/".to_owned());
        /// Deadlines of LLM requests.
        timeouts: AiTimeoutsInput = nested::<AiTimeoutsInput>();
        /// Calls that are [translated](translation.md) into another format.
        translate: TranslateInput = nested::<TranslateInput>();
    }
}

section! {
    AiTimeoutsInput {
        /// Maximum time to connect, TLS included.
        connect: Option<Input<Duration>> = optional(DurationForm::POSITIVE, "as [`timeouts`](#timeouts)");
        /// Maximum time until the response's head.
        first_byte: Input<Duration> = default(DurationForm::POSITIVE, || Duration::from_secs(10 * 60));
        /// Maximum time from the head to the first content, if [another target](fallback.md) exists.
        first_content: Option<Input<Duration>> = optional(DurationForm::POSITIVE, "no limit");
        /// Maximum time without a byte of the provider, [within which](clients.md#silent-providers) streams have signs of life.
        idle: Option<Input<Duration>> = optional(DurationForm::POSITIVE, "as `first_byte`");
        /// Maximum time of the whole request.
        total: Input<Duration> = default(DurationForm::POSITIVE, || Duration::from_secs(30 * 60));
    }
}

section! {
    PlanInput {
        ..price: PlanPriceInput;
        /// The name, without capital letters.
        name: Option<Input<String>> = required(PLAN);
        /// Credits per user, or per [subject](authentication.md#plans), in a UTC day.
        credits_per_day: Option<Input<u64>> = optional(Whole::<u64>::new(0, Plan::CREDITS_MAX.rounded_down()), "no limit");
        /// Requests of each user, or subject, over all of their keys; also the maximum burst.
        requests_per_minute: Option<Input<u32>> =
            optional(Whole::<u32>::new(1, Plan::REQUESTS_MAX.get() as u64), "no limit");
        /// Credits by tokens for the plan's users, in place of the top-level `credits`.
        credits: Option<CreditsInput> = maybe_nested::<CreditsInput>();
        /// Whether LLM calls may use shared credentials.
        shared_keys: Input<bool> = default(Boolean, || true);
        /// [Budgets](budgets.md) of each user.
        budgets: Entries<PlanBudgetInput> = sections::<PlanBudgetInput>("none");
        /// [Quotas](budgets.md#windows) of each user in windows, in addition to the budgets.
        quotas: Entries<PlanQuotaInput> = sections::<PlanQuotaInput>("none").at_most(QUOTAS_MAX);
        /// The [time zone](budgets.md#windows) of the quotas' days, weeks and months.
        timezone: Input<Zone> = default(ZONE, || Zone::UTC);
        /// The first day of the quotas' weeks.
        week_start: Input<WeekStart> = default(WEEK_START, || WeekStart::Monday);
        /// The [models](keys.md#models-of-plans) of the plan: names of `models` or PROVIDER/MODEL, or their beginnings with `*`.
        models: ValueList<String> = list(PLAN_MODEL, PLAN_MODELS_MAX, "all");
        /// [Names](keys.md#models-of-plans) that the plan's users may request in place of others, at most 256: `{gpt-4o: fast}`.
        aliases: Vec<(String, Input<String>)> = ALIASES;
        /// [Rate limits](rate-limits.md#limits-of-plans) of the plan's users, in addition to the limits of all routes.
        rate_limits: Entries<PlanLimitInput> = sections::<PlanLimitInput>("none").at_most(PLAN_LIMITS_MAX);
    }
}

section! {
    PlanBudgetInput {
        /// Dollars; exactly one of three measures.
        money: Option<Input<NanoUsd>> = optional(MONEY, "");
        /// Credits; exactly one of three measures.
        credits: Option<Input<u64>> = optional(CREDITS, "");
        /// Tokens of all classes; exactly one of three measures.
        tokens: Option<Input<u64>> = optional(AMOUNT, "");
        /// The period in UTC.
        per: Option<Input<LimitPeriod>> = required(PER);
        rules: Rule::ExactlyOne(&["money", "credits", "tokens"]);
    }
}

section! {
    PlanQuotaInput {
        /// The name in responses and messages: 1 to 32 of `a-z`, `0-9`, `-`, `_` and `.`.
        name: Option<Input<QuotaName>> = optional(forms::QUOTA_NAME, "its length");
        /// Dollars; exactly one of three measures.
        money: Option<Input<NanoUsd>> = optional(MONEY, "");
        /// Credits; exactly one of three measures.
        credits: Option<Input<u64>> = optional(CREDITS, "");
        /// Tokens of all classes; exactly one of three measures.
        tokens: Option<Input<u64>> = optional(AMOUNT, "");
        /// The length of the window.
        per: Option<Input<QuotaLength>> = required(QUOTA_LENGTH);
        /// When the window opens: with the first call after the last one ended, at local midnight, or at the hour of the
        /// first payment and then again and again.
        from: Option<Input<QuotaStart>> = optional(
            QUOTA_START,
            "`calendar` of a day, week or month, `subscription` of a period, otherwise `first_use`"
        );
        rules: Rule::ExactlyOne(&["money", "credits", "tokens"]), Rule::Values(forms::start_of_length);
    }
}

section! {
    BudgetsInput {
        /// [Budgets](budgets.md), one per dimension, measure and period.
        limits: Entries<BudgetInput> = sections::<BudgetInput>("none");
        /// Calls without a bound of their cost: refuse them, or reserve the model's maximum.
        unbounded: Input<UnboundedCalls> = default(UNBOUNDED, || UnboundedCalls::Refuse);
        /// Lowers the maximum output of a call to its budgets, instead of a refusal.
        clamp: Input<bool> = default(Boolean, || false);
        /// Reserved rounds of a provider's tool without a cap, such as web search.
        server_tool_rounds: Input<u64> =
            default(Whole::<u64>::new(1, SERVER_TOOL_ROUNDS_MAX), || ai::bound::TOOL_ROUNDS);
    }
}

section! {
    /// One entry of `budgets.limits`.
    BudgetInput {
        ..budget: PlanBudgetInput;
        /// Each key, each user, each plan's users together, or all users.
        dimension: Option<Input<BudgetDimension>> = required(BUDGET_DIMENSION);
    }
}

/// Maximum number of backends of an upstream.
const BACKENDS_MAX: usize = 256;
const SLOW_START_MAX: Duration = Duration::from_secs(3_600);

section! {
    UpstreamInput {
        /// The name that routes use.
        name: Option<Input<String>> = required(NAME);
        /// The servers of the upstream.
        backends: Entries<BackendInput> = sections::<BackendInput>("required, unless `discover` is set")
            .not_empty("at least one {url: http://HOST:PORT}")
            .at_most(BACKENDS_MAX)
            .required_unless("discover");
        /// The [source](discovery.md) of further backends.
        discover: Option<DiscoverInput> = maybe_nested::<DiscoverInput>();
        /// The [choice of the backend](upstreams.md#choice-of-a-backend).
        strategy: Input<StrategyWord> = default(STRATEGY, || StrategyWord::RoundRobin);
        /// The value that determines the backend, for the strategy `hash`.
        hash: Option<HashInput> = maybe_nested::<HashInput>();
        /// Time after which a new or recovered backend gets its whole share. Not for hashes.
        slow_start: Input<Duration> = default(DurationForm::new(Duration::ZERO, SLOW_START_MAX), || Duration::from_secs(10));
        /// The TLS to backends with `https`.
        tls: Option<UpstreamTlsInput> = maybe_nested::<UpstreamTlsInput>();
        /// Whether backends may have link-local or metadata addresses. Only in the file.
        allow_link_local: Input<bool> = default(Boolean, || false);
        /// The [circuit breaker](upstreams.md#circuit-breakers) of each backend, instead of the file's.
        circuit_breaker: Option<CircuitBreakerInput> = maybe_nested::<CircuitBreakerInput>();
        /// The [ejection](upstreams.md#ejection) of backends that fail repeatedly.
        ejection: Option<EjectionInput> = maybe_nested::<EjectionInput>();
        /// [Health checks](upstreams.md#health-checks) of the backends.
        health_check: Option<HealthCheckInput> = maybe_nested::<HealthCheckInput>();
        /// [Retries](upstreams.md#retries); without the section, only of requests without any effect.
        retry: Option<RetryInput> = maybe_nested::<RetryInput>();
        /// The [connections](upstreams.md#connections) to the backends.
        pool: Option<PoolInput> = maybe_nested::<PoolInput>();
        rules: Rule::RequiredUnless("backends", &["discover"]), Rule::Values(balance::some_weight), Rule::Values(balance::value_of_hash);
    }
}

section! {
    UpstreamTlsInput {
        /// The certificate authorities, in PEM.
        ca: Option<Input<PathBuf>> = optional(FILE, "Mozilla's");
        /// The client certificate, in PEM.
        cert: Option<Input<PathBuf>> = optional(FILE, "none");
        /// Its private key, in PEM.
        key: Option<Input<PathBuf>> = optional(FILE, "none");
        /// The name in certificates, and SNI.
        server_name: Option<Input<String>> = optional(SERVER_NAME, "the host of the URL");
        rules: Rule::Requires("cert", "key"), Rule::Requires("key", "cert");
    }
}

section! {
    BackendInput {
        /// `http`: HTTP/1.1; `https`: HTTP/2 or HTTP/1.1 (ALPN); `h2c`: HTTP/2 without TLS; [`unix`](upstreams.md#unix-sockets): HTTP/1.1 over a Unix socket, only in the file.
        url: Option<Input<Origin>> = required(BACKEND);
        /// The share of the requests.
        weight: Input<u32> = default(Whole::<u32>::new(0, 1_000), || 1);
    }
}
