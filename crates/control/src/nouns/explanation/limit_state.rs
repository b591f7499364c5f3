//! The present state of the rate limits of one request.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::exchange::limits::UNAUTHENTICATED;
use access::network::address;
use access::{BudgetScope, Mono};
use config::snapshot::{LimitDimension, LimitTier, RateLimit, TierBy, WindowLimit};
use config::{ExplainedAuthentication, Explanation, WrittenRequest};
use meter::limiter::LimitTerms;
use meter::limiter::key::{LimitKey, push, push_address, push_client, push_end, push_user};
use meter::rate::RateLevel;
use meter::window::counts::WindowCheck;
use serde::Serialize;
use utoipa::ToSchema;

use super::ExplanationSources;
use super::holder::{Holder, KeyHolder};
use crate::message::moment::rfc3339;

/// The reason for an unknown state in a process without the proxy.
const NO_PROXY: &str = "another process serves the proxy and counts the requests";
/// The name of the rate of the user's plan, which counts all of their keys together.
const RATE_OF_USER: &str = "requests_per_minute";
/// The name of the key's rate, which applies besides that of the user's plan.
const RATE_OF_KEY: &str = "key requests_per_minute";

/// `requests_per_minute` of a user or a key.
struct OwnedRate {
    limit: NonZeroU32,
    owner: BudgetScope,
    name: &'static str,
}

/// The part of a shared limit that this node counts.
struct NodePart {
    /// The requests that the node admits without Redis: its share of the limit.
    share: u32,
    /// Those that it would admit now.
    remaining: u32,
}

/// The kind of a rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitStateKind {
    /// A limit of `rate_limits`.
    RateLimit,
    /// `requests_per_minute` of the user's plan, or of the key.
    RequestsPerMinute,
    /// The limit of requests without a valid key.
    WithoutKey,
}

/// The state of a rate limit for one client.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LimitState {
    kind: LimitStateKind,
    /// Its name, as in `rate_limits` of the explanation.
    name: String,
    /// The number of requests; null if it is unknown or the client is not limited.
    limit: Option<u32>,
    /// The number of further requests that would be admitted now; null if it is unknown.
    remaining: Option<u32>,
    /// The time at which the whole limit is available again; null if it is now, or unknown.
    #[schema(format = DateTime)]
    resets_at: Option<String>,
    /// The reason why the state is unknown, or why the client is not limited; null if the state is known.
    reason: Option<String>,
    /// The position in the file.
    place: Option<String>,
    /// The counted things: `requests`, or the unit of a limit of tokens.
    #[serde(skip)]
    unit: &'static str,
}

/// The parts from which the state of limits follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct StateSources<'a> {
    pub(super) sources: ExplanationSources<'a>,
    pub(super) request: &'a WrittenRequest,
    /// The client of the request, if the route accepts its credential.
    pub(super) client: Option<&'a Holder<'a>>,
    pub(super) address: Option<IpAddr>,
}

impl fmt::Display for LimitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(limit) = self.limit {
            write!(f, ": {limit} {}", self.unit)?;
        }
        match (self.remaining, &self.reason) {
            (Some(remaining), _) => write!(f, ", {remaining} left")?,
            (None, Some(reason)) => write!(f, ", state unknown: {reason}")?,
            (None, None) => {}
        }
        if let Some(at) = &self.resets_at {
            write!(f, ", full again at {at}")?;
        }
        Ok(())
    }
}

impl LimitState {
    /// Returns a description of the limit if it admits no request now. The limit of requests without a key is another refusal.
    pub(super) fn used_up(&self) -> Option<String> {
        let limit = self.limit?;
        if self.remaining != Some(0) || self.kind == LimitStateKind::WithoutKey {
            return None;
        }
        let Self { name, unit, .. } = self;
        let place = self.place.as_ref().map(|place| format!(" ({place})")).unwrap_or_default();
        let again = self.resets_at.as_ref().map(|at| format!("; it is full again at {at}")).unwrap_or_default();
        Some(format!("the rate limit {name}{place} is used up: {limit} {unit}, {limit} used, 0 left{again}"))
    }

    const fn unknown(kind: LimitStateKind, name: String, limit: Option<u32>) -> Self {
        Self { kind, name, limit, remaining: None, resets_at: None, reason: None, place: None, unit: "requests" }
    }

    fn because(self, reason: &str) -> Self {
        Self { reason: Some(reason.to_owned()), ..self }
    }

    /// Reports the part of the state that this node knows.
    fn of_node(self, NodePart { share, remaining }: NodePart) -> Self {
        let unit = self.unit;
        self.because(&format!(
            "nodes share the limit through Redis; without Redis, this node would now admit {remaining} of its share of \
             {share} {unit}"
        ))
    }
}

/// What an explanation knows of the values by which limits count.
#[derive(Clone, Copy)]
struct CountedValues<'a> {
    route: &'a str,
    /// The name under which limits count the model; `None` if it is not known.
    model: Option<&'a str>,
}

impl StateSources<'_> {
    /// Returns the states of all rate limits that apply to the request.
    pub(super) fn limits(&self, explanation: &Explanation) -> Vec<LimitState> {
        let rules = self.sources.snapshot.rate_limits_of(self.request);
        let route = explanation.route.as_ref().map_or("", |route| &route.name);
        let model = self.limited_model(explanation);
        let values = CountedValues { route, model: model.as_deref() };
        let explained = explanation.rate_limits.iter();
        let mut states: Vec<LimitState> = rules
            .into_iter()
            .zip(explained)
            .map(|(rule, explained)| LimitState { place: explained.place.clone(), ..self.rule(rule, values) })
            .collect();
        // Requests to which the gateway itself responds are free.
        let is_free = explanation.action.as_ref().is_some_and(|action| !matches!(action.kind, "forward" | "inference"));
        if let Some(Holder::Key(holder)) = self.client {
            states.extend(self.requests_per_minute(holder, is_free));
        }
        let needs_credential = explanation.authentication.as_ref().is_some_and(ExplainedAuthentication::is_required);
        if needs_credential && self.client.is_none() {
            states.extend(self.sources.snapshot.traffic.unauthenticated.map(|limit| self.without_key(limit)));
        }
        states
    }

    /// Returns the name under which limits by model count the explained call.
    fn limited_model(&self, explanation: &Explanation) -> Option<Arc<str>> {
        let target = explanation.action.as_ref()?.targets.first()?;
        let traffic = &self.sources.snapshot.traffic;
        let plan = self.client.and_then(Holder::plan);
        let requested = traffic.meant_in_plan(plan, explanation.model.as_deref()?);
        Some(traffic.limited_name(requested, &target.provider, &target.model))
    }

    fn rule(&self, rule: &RateLimit, values: CountedValues<'_>) -> LimitState {
        let tier = match (&rule.tier_by, self.client) {
            (TierBy::Plan, Some(client)) | (TierBy::TokenPlan, Some(client @ Holder::Listed(_))) => client.plan(),
            _ => None,
        };
        let kind = LimitStateKind::RateLimit;
        let name = rule.name.to_string();
        let Some(LimitTier { terms, .. }) = rule.tier(tier) else {
            return LimitState::unknown(kind, name, None)
                .because("the tier of the client is not limited, or not known");
        };
        let unit = if let LimitTerms::Tokens(terms) = terms { terms.unit().word() } else { "requests" };
        let unknown = LimitState { unit, ..LimitState::unknown(kind, name, Some(terms.limit())) };
        let Some(counters) = self.sources.counters else { return unknown.because(NO_PROXY) };
        let mut key = match self.key(rule, values) {
            Ok(key) => key,
            Err(reason) => return unknown.because(reason),
        };
        if let Some(tier) = tier.filter(|tier| rule.listed(tier).is_some()) {
            push(&mut key, tier.as_bytes());
        }
        // Requests in flight are counted by each process.
        let nodes = if !matches!(terms, LimitTerms::Concurrent(_)) { counters.nodes } else { None };
        let counted = nodes.map_or(*terms, |nodes| terms.share(nodes));
        let level = counters.meter.rules().find(&rule.id).map(|rules| rules.level(&key, counted, self.now()));
        match (nodes, level) {
            (Some(_), level) => {
                let share = counted.at_once();
                unknown.of_node(NodePart { share, remaining: level.map_or(share, |level| level.remaining) })
            }
            (None, Some(level)) => self.known(unknown, level),
            (None, None) => LimitState { remaining: Some(terms.at_once()), ..unknown },
        }
    }

    /// Returns the key under which the limit would count the request, or the value that is missing.
    fn key(&self, rule: &RateLimit, values: CountedValues<'_>) -> Result<LimitKey, &'static str> {
        const NEEDS_ADDRESS: &str = "the address of the client is not given";
        const NEEDS_KEY: &str = "the key of the client is not given, or the route accepts no keys";
        const NEEDS_MODEL: &str = "the model of the call is not given, or not served";
        const NO_PLAN: &str = "the client has no plan, so the limit does not count it";
        const NO_KEY: &str = "the client has no key of a user, so the limit does not count it";
        let subject = self.client.map(Holder::subject);
        let mut key = LimitKey::new();
        for dimension in &rule.dimensions {
            match dimension {
                LimitDimension::Address => push_address(&mut key, self.address.ok_or(NEEDS_ADDRESS)?),
                LimitDimension::User => push_user(&mut key, subject.as_ref().ok_or(NEEDS_KEY)?).ok_or(NEEDS_KEY)?,
                LimitDimension::Key => {
                    let caller = subject.as_ref().ok_or(NEEDS_KEY)?.caller().ok_or(NO_KEY)?;
                    push(&mut key, &caller.key.0.to_be_bytes());
                }
                LimitDimension::Client => match (&subject, self.address) {
                    (Some(subject), address) => {
                        let address = address.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
                        push_client(&mut key, subject, address).ok_or(NEEDS_KEY)?;
                    }
                    (None, Some(address)) => push_address(&mut key, address),
                    (None, None) => return Err("neither the key nor the address of the client is given"),
                },
                LimitDimension::Header(name) => {
                    self.request.field(name).for_each(|value| push(&mut key, value.as_bytes()));
                    push_end(&mut key);
                }
                LimitDimension::Claim(_) => return Err("the claims of the access token are not known"),
                LimitDimension::Route => push(&mut key, values.route.as_bytes()),
                LimitDimension::Model => push(&mut key, values.model.ok_or(NEEDS_MODEL)?.as_bytes()),
                LimitDimension::Plan => {
                    let plan = self.client.ok_or(NEEDS_KEY)?.plan();
                    push(&mut key, plan.ok_or(NO_PLAN)?.as_bytes());
                }
                LimitDimension::Global => {}
            }
        }
        Ok(key)
    }

    /// Returns the states of `requests_per_minute` of the user's plan, and of the key.
    fn requests_per_minute(&self, holder: &KeyHolder, is_free: bool) -> impl Iterator<Item = LimitState> {
        let of_user = (holder.user.plan.requests_per_minute, BudgetScope::User(holder.user.no), RATE_OF_USER);
        let of_key = (holder.key.bounds.requests_per_minute, BudgetScope::Key(holder.key.no), RATE_OF_KEY);
        [of_user, of_key].into_iter().filter_map(move |(limit, owner, name)| {
            Some(self.owned_rate(OwnedRate { limit: limit?, owner, name }, is_free))
        })
    }

    fn owned_rate(&self, OwnedRate { limit, owner, name }: OwnedRate, is_free: bool) -> LimitState {
        let kind = LimitStateKind::RequestsPerMinute;
        let name = name.to_owned();
        let Some(counters) = self.sources.counters else {
            return LimitState::unknown(kind, name, Some(limit.get())).because(NO_PROXY);
        };
        let level = |limit| counters.meter.rate_level(owner, limit, is_free, self.now());
        let whole = level(limit);
        let unknown = LimitState::unknown(kind, name, Some(whole.limit));
        match counters.nodes {
            Some(nodes) => {
                let of_node = level(NonZeroU32::new(limit.get() / nodes).unwrap_or(NonZeroU32::MIN));
                unknown.of_node(NodePart { share: of_node.limit, remaining: of_node.remaining })
            }
            None => self.known(unknown, whole),
        }
    }

    fn without_key(&self, WindowLimit { limit, window, .. }: WindowLimit) -> LimitState {
        let unknown = LimitState::unknown(LimitStateKind::WithoutKey, UNAUTHENTICATED.to_owned(), Some(limit.get()));
        let (counters, client) = match (self.sources.counters, self.address) {
            (None, _) => return unknown.because(NO_PROXY),
            (Some(_), None) => return unknown.because("the address of the client is not given"),
            (Some(counters), Some(client)) => (counters, client),
        };
        let key = address::network(client).to_string();
        let check = WindowCheck { name: UNAUTHENTICATED, key: &key, limit, window };
        let level = counters.unauthenticated.peek(&[check], self.now());
        if counters.nodes.is_some() {
            // Without Redis, each node applies the whole limit.
            return unknown.of_node(NodePart { share: level.limit, remaining: level.remaining });
        }
        self.known(unknown, RateLevel { limit: level.limit, remaining: level.remaining, reset: level.reset })
    }

    fn known(&self, state: LimitState, level: RateLevel) -> LimitState {
        let is_full = state.limit.is_some_and(|limit| level.remaining >= limit) || level.reset.is_zero();
        let resets_at = (!is_full).then(|| rfc3339(self.sources.clock.now().after(level.reset)));
        LimitState { remaining: Some(level.remaining), resets_at, ..state }
    }

    fn now(&self) -> Mono {
        self.sources.clock.mono()
    }
}
