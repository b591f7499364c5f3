//! The checked configuration: immutable, plain data, which no code validates again.

mod addresses;
mod alternatives;
mod ambiguous;
mod auth;
mod billing;
mod body_changes;
mod budgets;
mod cache;
mod conditions;
mod cors;
pub mod credentials;
mod credit_rates;
mod discovery;
mod export;
pub(crate) mod fallback;
mod fixed_response;
mod forward_auth;
mod header_rules;
mod key_places;
mod mail;
mod normal_form;
mod origin;
mod path_forms;
mod pattern;
mod plan_models;
mod policy;
mod priced_models;
mod process;
pub(crate) mod process_keys;
mod rate_limit;
mod redirect;
pub(crate) mod retry;
mod rewrite;
mod route;
mod router;
mod select;
mod service_accounts;
mod signup;
mod split;
pub(crate) mod template;
mod timeouts;
mod traces;
mod traffic;
pub(crate) mod translation;
mod treatment;
pub mod trusted_headers;
pub(crate) mod upstream;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use addresses::AddressRules;
pub(crate) use alternatives::position;
pub use alternatives::{PresentedCredentials, choose};
pub use ambiguous::{PathRefusal, RefusedPaths, merged};
pub use auth::{
    Auth, BasicEntry, ClaimHeader, JwtEntry, JwtKeys, JwtRule, KeyEntry, RedisKeyEntry, TokenPlan, WithheldHeaders,
};
pub use billing::{Billing, BillingReview, BillingTax, MidtransAccount, PaymentMethod, Seller, TaxFraction};
pub use body_changes::BodyChanges;
pub use budgets::{BudgetDimension, BudgetLimit, Budgets, LimitPlaces, QuotaStatus, UnboundedCalls};
pub use cache::CacheRules;
pub(crate) use conditions::ConditionOn;
pub use conditions::{
    Condition, Conditions, DisputedPart, RequestParts, ValueMatch, WrittenParts, decoded, is_list, parameters,
};
pub(crate) use cors::browser_origin;
pub use cors::{AllowedOrigin, Cors, is_announced_method};
pub use credit_rates::{CreditRates, PlanCreditRates};
pub use discovery::{
    ConsulSettings, Discovery, DnsSettings, EtcdSettings, MEMBERS_MAX, MemberList, MemberPart, MemberSource,
    SourceStatus,
};
pub use export::{ExportDestination, ExportSettings, NatsServer};
pub use fallback::{
    CooldownRules, FallbackCause, FallbackRules, TARGETS_MAX, TargetLimit, TargetLimits, TargetStrategy,
};
pub use fixed_response::FixedResponse;
pub use forward_auth::{ServiceEntry, ServiceUrl};
pub use header_rules::{HeaderPart, HeaderRules, HeaderTemplate, ResponseRules};
pub use key_places::{KEY_PROTOCOL, KeyPlaces, WithoutKeys};
pub use mail::{Mail, MailSender, SmtpSecurity, SmtpServer};
pub use normal_form::{normalized, normalized_target, unreserved};
pub use origin::{Backend, Origin, Scheme};
pub use path_forms::{PathForm, PathSteps};
pub use pattern::{Pattern, PatternError};
pub use plan_models::PlanModels;
pub use policy::{BuiltInPolicies, ContentCoding, Events, PolicyLabels, RoutePolicy};
pub use priced_models::{PricedModel, PricedModels};
pub use process::{
    Brand, ClientMode, ConfigKey, Connections, Control, Listener, MinVersion, Process, TlsSettings, WORKERS_MAX,
};
pub use process_keys::{
    ApiReferences, ControlConnections, Drain, Durability, Lease, Log, LogFormat, MetricsAccess, PublicUrl,
    ReadinessSettings, Retention, SpoolSettings, StoreOutage, StoreSettings, UpgradeSettings, Webhooks,
};
pub use rate_limit::{EXACT_MAX, LimitDimension, LimitStage, LimitTier, RateLimit, RateLimits, TierBy};
pub use redirect::{Redirect, RedirectParts, RedirectTarget, RequestedOrigin};
pub use retry::{PoolRules, ProviderPoolRules, RetryCause, RetryRules};
pub(crate) use rewrite::encoded;
pub use rewrite::{Composition, PathRewrite, QueryRewrite, ReceivedTarget, Rewrite, TextPart, UpstreamHost};
pub use route::{Action, HostMatch, HostName, ListenerMatch, PathMatch, Route, RouteMatches, Upgrade};
pub use router::{Match, RouteRequest, Router};
pub use select::Selection;
pub use signup::{Signup, SignupMode};
pub use split::{Split, UpstreamChanges, WeightedUpstream};
pub use template::{Segment, Template};
pub use timeouts::Timeouts;
pub use traces::{TraceLink, TraceSample, Traces};
pub use traffic::{
    AccountObjects, Ai, Credential, ForwardedFields, Issuer, Mock, MockModel, MockTarget, Model, OnHangup, PriceFile,
    PriceSource, Provider, Sizes, Target, Traffic,
};
pub use translation::TranslationRules;
pub use upstream::{BreakerRules, EjectionRules, ErrorRate, HashedValue, HealthCheck, HealthProbe, Strategy, Upstream};

/// The whole configuration, as one value that a request uses to its end.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The name of the file, as it was given; empty without a file.
    pub file: Arc<str>,
    /// What a reload cannot change.
    pub process: Process,
    /// What a reload may change.
    pub traffic: Traffic,
}

/// One entry of `control.rate_limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimit {
    /// The dimension by which requests are counted.
    pub dimension: Dimension,
    /// The requests that are counted.
    pub whose: LimitSubject,
    /// Maximum number of requests in any window.
    pub limit: NonZeroU32,
    /// The length of the window.
    pub window: Duration,
}

/// The values of `rate_limits[].dimension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Requests are counted per key.
    Key,
    /// Requests are counted per address; an IPv6 address counts with its whole /64.
    Address,
}

/// The conditions `rate_limits[].with` and `without`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitSubject {
    /// All requests are counted.
    Everybodys,
    /// Requests with neither a valid key nor a session are counted.
    WithoutKey,
    /// Requests with a session are counted.
    WithSession,
}
