//! The rate limits of the proxy: `rate_limits`, and those of plans and routes.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use meter::limiter::tokens::{TokenAlgorithm, TokenLimitTerms};
use meter::limiter::{LimitTerms, RequestTerms};
use settings::place::Place;

/// Limits up to this number are always exact: a part of a smaller limit is of little use to a node.
pub const EXACT_MAX: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// All rate limits: those of all routes first, then those of each plan, then those of each route.
#[derive(Debug, Clone, Default)]
pub struct RateLimits {
    rules: Vec<RateLimit>,
    of_all_routes: usize,
    /// The positions of the limits of plans, by the names of the plans.
    of_plans: BTreeMap<Box<str>, Range<usize>>,
    /// Whether a limit counts by the model.
    has_models: bool,
    /// Whether a limit counts tokens.
    has_tokens: bool,
}

/// One entry of `rate_limits`, or `rate_limit` of a route. An entry of a plan has one tier, which is the plan.
#[derive(Debug, Clone)]
pub struct RateLimit {
    /// Identifies the counters of the limit, also after a reload that changes the number of requests.
    pub id: Arc<str>,
    /// Its name in metrics and header fields: `ip`, `ip+route`, or `key:tokens`.
    pub name: Arc<str>,
    /// The time at which it applies.
    pub stage: LimitStage,
    /// The values that requests of one counter have in common, in a fixed order. Not empty.
    pub dimensions: Box<[LimitDimension]>,
    /// The limit of clients whose tier has no other one; `None` does not limit them.
    pub usual: Option<LimitTier>,
    /// What decides the tier of a client.
    pub tier_by: TierBy,
    /// Limits of tiers, by their names.
    pub tiers: Box<[(Box<str>, LimitTier)]>,
    /// Its position in the file; `None` if a variable has it.
    pub place: Option<Place>,
}

/// When a limit applies to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitStage {
    /// It applies before authentication.
    Request,
    /// It applies after authentication.
    Client,
    /// It applies after the model of an LLM call is known.
    Model,
    /// It applies after that, to the tokens that an LLM call probably uses.
    Tokens,
}

/// What decides the tier of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum TierBy {
    /// The plan of its user.
    #[default]
    Plan,
    /// The value of this claim of its access token.
    Claim(Box<str>),
    /// The plan of its access token. Keys have the limits of plans in the meter.
    TokenPlan,
}

/// A number of requests, and how header fields describe it.
#[derive(Debug, Clone)]
pub struct LimitTier {
    /// The number of requests.
    pub terms: LimitTerms,
    /// Whether Redis decides about each request; otherwise nodes ask for several at once.
    pub is_exact: bool,
    /// The value of `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10, 3).
    pub policy: Arc<str>,
}

impl LimitTier {
    /// Returns the time in which an empty token bucket becomes full; `None` for other limits.
    pub(crate) fn refill(&self) -> Option<Duration> {
        match self.terms {
            LimitTerms::Requests(RequestTerms::TokenBucket(rate)) => Some(rate.refill()),
            LimitTerms::Tokens(terms) => terms.refill(),
            LimitTerms::Requests(RequestTerms::SlidingWindow(_)) | LimitTerms::Concurrent(_) => None,
        }
    }
}

/// A value of a request by which a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitDimension {
    /// The client's address; an IPv6 address counts with its whole /64.
    Address,
    /// The user of the key. Other identities are users themselves; anonymous requests have none.
    User,
    /// The key. Requests without a key have none.
    Key,
    /// The key, else another identity, else the address.
    Client,
    /// The value of a header, whose name is in lowercase.
    Header(Box<str>),
    /// The value of a claim of the access token. Requests without a token have none.
    Claim(Box<str>),
    /// The route that the request matches.
    Route,
    /// The model of an LLM call. Other requests have none.
    Model,
    /// The plan of the client. Requests of clients without a plan have none.
    Plan,
    /// The same for all requests.
    Global,
}

impl LimitDimension {
    /// Returns the word of the dimension in the configuration; `client` is that of `routes[].rate_limit`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Address => "ip",
            Self::User => "user",
            Self::Key => "key",
            Self::Client => "client",
            Self::Header(_) => "header",
            Self::Claim(_) => "claim",
            Self::Route => "route",
            Self::Model => "model",
            Self::Plan => "plan",
            Self::Global => "global",
        }
    }
}

impl fmt::Display for LimitDimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) | Self::Claim(name) => write!(f, "{} {name}", self.word()),
            Self::Address
            | Self::User
            | Self::Key
            | Self::Client
            | Self::Route
            | Self::Model
            | Self::Plan
            | Self::Global => f.write_str(self.word()),
        }
    }
}

impl RateLimits {
    /// Returns the limits; the first `of_all_routes` apply to every route, and those at `of_plans` to the clients of a plan.
    #[must_use]
    pub(crate) fn new(rules: Vec<RateLimit>, of_all_routes: usize, of_plans: BTreeMap<Box<str>, Range<usize>>) -> Self {
        let has = |stage| rules.iter().any(|rule| rule.stage == stage);
        let has_models = has(LimitStage::Model);
        let has_tokens = has(LimitStage::Tokens);
        Self { rules, of_all_routes, of_plans, has_models, has_tokens }
    }

    /// Whether a limit counts the tokens of LLM calls.
    #[must_use]
    pub const fn has_tokens(&self) -> bool {
        self.has_tokens
    }

    /// Whether a limit counts LLM calls by their model.
    #[must_use]
    pub const fn has_models(&self) -> bool {
        self.has_models
    }

    /// Whether no route has a limit.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns all limits. Their positions identify them within the snapshot.
    #[must_use]
    pub fn all(&self) -> &[RateLimit] {
        &self.rules
    }

    /// Returns the positions of the limits that apply to a client of this plan on a route whose own limits are at `of_route`.
    pub fn positions(&self, plan: Option<&str>, of_route: &Range<usize>) -> impl Iterator<Item = usize> + use<> {
        let of_plan = plan.map_or(0..0, |plan| self.of_plan(plan));
        (0..self.of_all_routes).chain(of_plan).chain(of_route.clone())
    }

    /// Returns the positions of the limits that may apply to a client of any plan on such a route.
    pub fn positions_of_all_plans(&self, of_route: &Range<usize>) -> impl Iterator<Item = usize> + use<> {
        let last = self.of_plans.values().map(|positions| positions.end).max().unwrap_or(self.of_all_routes);
        (0..last).chain(of_route.clone())
    }

    /// Returns the positions of the limits of a plan.
    #[must_use]
    pub fn of_plan(&self, plan: &str) -> Range<usize> {
        self.of_plans.get(plan).cloned().unwrap_or_default()
    }
}

impl RateLimit {
    /// Returns the word of the algorithm: `sliding_window`, `token_bucket` or `concurrent`.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        let tier = self.usual.as_ref().or_else(|| self.tiers.first().map(|(_, tier)| tier));
        match tier.map(|tier| tier.terms) {
            Some(LimitTerms::Concurrent(_)) => "concurrent",
            Some(LimitTerms::Requests(RequestTerms::TokenBucket(_))) => "token_bucket",
            Some(LimitTerms::Tokens(terms)) if is_bucket(terms) => "token_bucket",
            Some(LimitTerms::Requests(RequestTerms::SlidingWindow(_)) | LimitTerms::Tokens(_)) | None => {
                "sliding_window"
            }
        }
    }

    /// Whether the limit can apply only after authentication.
    #[must_use]
    pub fn needs_client(&self) -> bool {
        self.stage != LimitStage::Request
    }

    /// Whether the limit applies only to LLM calls.
    #[must_use]
    pub const fn needs_call(&self) -> bool {
        matches!(self.stage, LimitStage::Model | LimitStage::Tokens)
    }

    /// Returns the limit of clients of this tier; `None` if they are not limited.
    #[must_use]
    pub fn tier(&self, name: Option<&str>) -> Option<&LimitTier> {
        name.and_then(|name| self.listed(name)).or(self.usual.as_ref())
    }

    /// Returns the limit that `tiers` lists for this tier.
    #[must_use]
    pub fn listed(&self, name: &str) -> Option<&LimitTier> {
        self.tiers.iter().find(|(known, _)| **known == *name).map(|(_, tier)| tier)
    }
}

impl LimitStage {
    /// Returns when a limit by these dimensions applies that counts no tokens; `has_tiers`: clients have different ones.
    #[must_use]
    pub(crate) fn from_dimensions(dimensions: &[LimitDimension], has_tiers: bool) -> Self {
        use LimitDimension::{Address, Claim, Client, Global, Header, Key, Model, Plan, Route, User};
        let of_client = |dimension: &LimitDimension| match dimension {
            User | Key | Client | Claim(_) | Plan => true,
            Address | Header(_) | Route | Model | Global => false,
        };
        if dimensions.contains(&Model) {
            // The body is read after authentication.
            Self::Model
        } else if has_tiers || dimensions.iter().any(of_client) {
            Self::Client
        } else {
            Self::Request
        }
    }
}

const fn is_bucket(terms: TokenLimitTerms) -> bool {
    matches!(terms.algorithm(), TokenAlgorithm::TokenBucket { .. })
}
