//! Compiles the rate limits of the proxy: those of all routes, of each plan, and of each route.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::schema::traffic::{
    DimensionInput, DimensionWord, LimitAlgorithm, LimitConsistency, LimitTermsInput, LimitUnit, OF_WINDOWS, PlanInput,
    RateLimitInput, RouteInput, TierValue, TrafficInput,
};
use crate::snapshot::{EXACT_MAX, LimitDimension, LimitStage, LimitTier, RateLimit, RateLimits, TierBy};
use access::Plan;
use meter::limiter::tokens::TokenLimitTerms;
use meter::limiter::{LimitTerms, RequestTerms};
use meter::rate::Rate;
use meter::window::{LIMIT_MAX, Window};
use settings::error::{Code, Problem, ValueOrigin};
use settings::field::{Either, Entries, MapEntry};
use settings::input::Input;
use settings::section::{Location, SettingsReader};

/// The key in `tiers` that is not a plan.
const BY: &str = "by";

/// Longest time in which a token bucket becomes full. Beyond 584 years, its clock would overflow.
const REFILL_MAX: Duration = Duration::from_hours(366 * 24);

/// The rate limits that were compiled so far.
pub(super) struct RateLimitList {
    rules: Vec<RateLimit>,
    of_all_routes: usize,
    of_plans: BTreeMap<Box<str>, Range<usize>>,
    /// The positions of the limits by their ids.
    taken: HashMap<Arc<str>, ValueOrigin>,
}

/// What a limit counts, apart from the number of requests.
struct Counting {
    unit: LimitUnit,
    algorithm: LimitAlgorithm,
    window: Duration,
    burst: Option<NonZeroU32>,
    /// Whether `consistency` is `exact`.
    is_exact: bool,
}

impl RateLimitList {
    /// Returns the limits of all routes and of plans; those with `without` are another limit. `token_plans` are the plans
    /// that access tokens may have.
    pub(super) fn before_routes(reader: &SettingsReader<'_>, traffic: &TrafficInput, token_plans: &[Plan]) -> Self {
        let mut list = Self { rules: Vec::new(), of_all_routes: 0, of_plans: BTreeMap::new(), taken: HashMap::new() };
        for entry in traffic.rate_limits.list.iter().filter(|entry| !entry.location.has("without")) {
            list.add(reader, &entry.rule, "");
        }
        list.rules.extend(of_token_plans(token_plans));
        list.of_all_routes = list.rules.len();
        list.add_plans(reader, &traffic.plans);
        list
    }

    /// Adds the limits of each plan, of which the plan is the only tier.
    fn add_plans(&mut self, reader: &SettingsReader<'_>, plans: &Entries<PlanInput>) {
        for plan in &plans.list {
            let Some(name) = plan.name.as_ref().map(|name| name.value.as_str()) else { continue };
            let first = self.rules.len();
            // The name of a route has no colon.
            let scope = format!("plan:{name}");
            for entry in &plan.rate_limits.list {
                if !entry.location.has("limit") {
                    entry.location.missing(reader, &["limit"]);
                }
                let Some(CountedTerms { dimensions, counting, limit }) = counted_terms(reader, &entry.terms) else {
                    continue;
                };
                let tier = limit.map(|limit| counting.tier(&counting.name(&dimensions), limit));
                let tiers = tier.map(|tier| (name.into(), tier)).into_iter().collect();
                self.push(reader, entry.location.at, RateLimit { tiers, ..counting.rule(&scope, dimensions) });
            }
            if self.rules.len() > first {
                self.of_plans.insert(name.into(), first..self.rules.len());
            }
        }
    }

    /// Adds the limits of a route, and returns their positions; `scope` identifies the route.
    pub(super) fn of_route(&mut self, reader: &SettingsReader<'_>, route: &RouteInput, scope: &str) -> Range<usize> {
        let first = self.rules.len();
        if let Some(limit) = &route.rate_limit
            && let Some(requests) = &limit.requests
            && let Some(window) = &limit.window
            && let Some(requests) = NonZeroU32::new(requests.value)
        {
            let unit = LimitUnit::Requests;
            let algorithm = LimitAlgorithm::SlidingWindow;
            let counting = Counting { unit, algorithm, window: window.value, burst: None, is_exact: false };
            let dimensions: Box<[LimitDimension]> = Box::new([LimitDimension::Client]);
            let usual = counting.tier(&counting.name(&dimensions), requests);
            let rule = counting.rule(scope, dimensions);
            self.push(reader, limit.location.at, RateLimit { usual: Some(usual), ..rule });
        }
        for entry in &route.rate_limits.list {
            if let LimitUnit::Tokens(_) = entry.terms.unit.value {
                let key = entry.location.name("unit");
                let at = entry.terms.unit.value_origin().unwrap_or(entry.location.at);
                let expected = "`requests` or `concurrent`: requests of a route have no tokens. Limits of tokens belong into the \
                                top-level `rate_limits` or `plans[].rate_limits`, which apply to LLM endpoints";
                reader.bad(at, &key, expected);
                continue;
            }
            if entry.terms.dimension.iter().any(is_model) {
                let key = entry.location.name("dimension");
                reader.bad(entry.location.at, &key, "another dimension than `model`, which only LLM endpoints have");
                continue;
            }
            self.add(reader, entry, scope);
        }
        first..self.rules.len()
    }

    pub(super) fn finish(self) -> RateLimits {
        RateLimits::new(self.rules, self.of_all_routes, self.of_plans)
    }

    /// Adds the limit of an entry; `scope` identifies its route.
    fn add(&mut self, reader: &SettingsReader<'_>, entry: &RateLimitInput, scope: &str) {
        let terms = counted_terms(reader, &entry.terms);
        let has_limit = entry.location.has("limit") || entry.location.has("tiers");
        if !has_limit {
            entry.location.missing(reader, &["limit"]);
        }
        let (tier_by, tiers) = tiers(reader, entry);
        let Some(CountedTerms { dimensions, counting, limit }) = terms else { return };
        if !has_limit {
            return;
        }
        let name = counting.name(&dimensions);
        let tier = |limit| counting.tier(&name, limit);
        let usual = limit.map(tier);
        let tiers = tiers.into_iter().map(|(name, limit)| (name, tier(limit))).collect();
        self.push(reader, entry.location.at, RateLimit { usual, tier_by, tiers, ..counting.rule(scope, dimensions) });
    }

    /// Adds a limit, unless another one counts the same.
    fn push(&mut self, reader: &SettingsReader<'_>, at: ValueOrigin, mut rule: RateLimit) {
        if rule.stage == LimitStage::Request && !rule.tiers.is_empty() {
            rule.stage = LimitStage::Client;
        }
        let tiers = rule.usual.iter().chain(rule.tiers.iter().map(|(_, tier)| tier));
        if tiers.filter_map(LimitTier::refill).any(|refill| refill > REFILL_MAX) {
            let problem = Problem::new(Code::BadValue, at, "an empty bucket needs more than 366 days to refill");
            reader.report(problem.expected("a smaller `burst`, a larger `limit` or a shorter `window`"));
            return;
        }
        if let Some(first) = self.taken.get(&rule.id) {
            let message = "a second rate limit counts the same requests by the same dimension in the same window";
            let problem = Problem::new(Code::Duplicate, at, message);
            reader.report(problem.expected("another `dimension`, `unit`, `algorithm` or `window`").first(Some(*first)));
            return;
        }
        self.taken.insert(rule.id.clone(), at);
        self.rules.push(RateLimit { place: at.place(), ..rule });
    }
}

/// What an entry counts, and its maximum.
struct CountedTerms {
    dimensions: Box<[LimitDimension]>,
    counting: Counting,
    /// `None` if only tiers are limited.
    limit: Option<NonZeroU32>,
}

fn counted_terms(reader: &SettingsReader<'_>, terms: &LimitTermsInput) -> Option<CountedTerms> {
    let dimensions = dimensions(reader, terms);
    let counting = counting(reader, terms);
    let limit = terms.limit.as_ref().and_then(|limit| NonZeroU32::new(limit.value));
    Some(CountedTerms { dimensions: dimensions?, counting: counting?, limit })
}

fn is_model(dimension: &Either<DimensionWord, DimensionInput>) -> bool {
    matches!(dimension, Either::Single(word) if word.value == DimensionWord::Model)
}

/// The name of the limit of plans of access tokens, which is no dimension: `plan` counts the clients of a plan together.
const TOKEN_PLAN: &str = "token_plan";

/// Returns the limit that counts the requests of each subject of access tokens by its plan.
fn of_token_plans(plans: &[Plan]) -> Option<RateLimit> {
    let tier = |plan: &Plan| {
        let limit = plan.requests_per_minute?;
        let terms = LimitTerms::Requests(RequestTerms::TokenBucket(Rate::per_minute(limit)));
        let policy = format!("\"{TOKEN_PLAN}\";q={limit};w=60").into();
        Some((plan.name.as_str().into(), LimitTier { terms, is_exact: false, policy }))
    };
    let tiers: Box<[_]> = plans.iter().filter_map(tier).collect();
    let tier_by = TierBy::TokenPlan;
    let dimensions = Box::new([LimitDimension::User]);
    let id = "plan of a token".into();
    let name = TOKEN_PLAN.into();
    let stage = LimitStage::Client;
    (!tiers.is_empty()).then_some(RateLimit { id, name, stage, dimensions, usual: None, tier_by, tiers, place: None })
}

impl Counting {
    /// Returns a limit of this kind without numbers of requests.
    fn rule(&self, scope: &str, dimensions: Box<[LimitDimension]>) -> RateLimit {
        let Self { unit, algorithm, window, .. } = self;
        let name = self.name(&dimensions);
        let kind = match (unit, algorithm) {
            (LimitUnit::Concurrent, _) => "concurrent".to_owned(),
            (LimitUnit::Requests, LimitAlgorithm::SlidingWindow) => "window".to_owned(),
            (LimitUnit::Requests, LimitAlgorithm::TokenBucket) => "bucket".to_owned(),
            (LimitUnit::Tokens(unit), LimitAlgorithm::SlidingWindow) => format!("{}-window", unit.word()),
            (LimitUnit::Tokens(unit), LimitAlgorithm::TokenBucket) => format!("{}-bucket", unit.word()),
        };
        let stage = match unit {
            LimitUnit::Tokens(_) => LimitStage::Tokens,
            LimitUnit::Requests | LimitUnit::Concurrent => LimitStage::from_dimensions(&dimensions, false),
        };
        let identity: Vec<String> = dimensions.iter().map(identity).collect();
        let id = format!("{} {kind} {} {scope}", identity.join("+"), window.as_millis());
        RateLimit {
            id: id.into(),
            name: name.into(),
            stage,
            dimensions,
            usual: None,
            tier_by: TierBy::Plan,
            tiers: Box::default(),
            place: None,
        }
    }

    /// Returns the name of the limit in metrics and header fields.
    fn name(&self, dimensions: &[LimitDimension]) -> String {
        let dimensions = dimensions.iter().map(written).collect::<Vec<_>>().join("+");
        match self.unit {
            LimitUnit::Tokens(unit) => format!("{dimensions}:{}", unit.word()),
            LimitUnit::Requests | LimitUnit::Concurrent => dimensions,
        }
    }

    fn tier(&self, name: &str, limit: NonZeroU32) -> LimitTier {
        let seconds = self.window.as_millis().div_ceil(1_000);
        match self.unit {
            LimitUnit::Concurrent => LimitTier {
                terms: LimitTerms::Concurrent(limit),
                policy: format!("\"{name}\";q={limit};qu=\"concurrent-requests\"").into(),
                is_exact: false,
            },
            LimitUnit::Tokens(unit) => {
                let terms = match self.algorithm {
                    LimitAlgorithm::SlidingWindow => TokenLimitTerms::sliding_window(unit, limit, self.window),
                    LimitAlgorithm::TokenBucket => {
                        TokenLimitTerms::token_bucket(unit, limit, self.window, self.burst.unwrap_or(limit))
                    }
                };
                LimitTier {
                    terms: LimitTerms::Tokens(terms),
                    policy: format!("\"{name}\";q={limit};qu=\"{}\";w={seconds}", unit.word()).into(),
                    is_exact: true,
                }
            }
            LimitUnit::Requests => {
                let terms = match self.algorithm {
                    LimitAlgorithm::SlidingWindow => RequestTerms::SlidingWindow(Window::new(limit, self.window)),
                    LimitAlgorithm::TokenBucket => {
                        RequestTerms::TokenBucket(Rate::new(limit, self.window).with_burst(self.burst.unwrap_or(limit)))
                    }
                };
                let policy = format!("\"{name}\";q={limit};w={seconds}").into();
                let is_exact = self.is_exact || limit <= EXACT_MAX;
                LimitTier { terms: LimitTerms::Requests(terms), policy, is_exact }
            }
        }
    }
}

/// Returns the dimensions in a fixed order.
fn dimensions(reader: &SettingsReader<'_>, entry: &LimitTermsInput) -> Option<Box<[LimitDimension]>> {
    let dimension = |input: &Either<DimensionWord, DimensionInput>| match input {
        Either::Single(word) => Some(match word.value {
            DimensionWord::Address => LimitDimension::Address,
            DimensionWord::User => LimitDimension::User,
            DimensionWord::Key => LimitDimension::Key,
            DimensionWord::Route => LimitDimension::Route,
            DimensionWord::Model => LimitDimension::Model,
            DimensionWord::Plan => LimitDimension::Plan,
            DimensionWord::Global => LimitDimension::Global,
        }),
        Either::Nested(by) => named(reader, by),
    };
    let mut dimensions: Vec<LimitDimension> = entry.dimension.iter().map(dimension).collect::<Option<_>>()?;
    dimensions.sort();
    if let Some([first, _]) = dimensions.array_windows().find(|[one, other]| one == other) {
        let message = format!("`{}` has `{}` twice", entry.location.name("dimension"), written(first));
        reader.report(Problem::new(Code::Duplicate, entry.location.at, message).expected("each once"));
        return None;
    }
    (!dimensions.is_empty()).then(|| dimensions.into())
}

/// Returns the dimension of a header or a claim.
fn named(reader: &SettingsReader<'_>, by: &DimensionInput) -> Option<LimitDimension> {
    match (by.location.has("header"), by.location.has("claim")) {
        (true, false) => Some(LimitDimension::Header(by.header.as_ref()?.value.as_str().into())),
        (false, true) => Some(LimitDimension::Claim(by.claim.as_ref()?.value.as_str().into())),
        (false, false) => {
            by.location.missing(reader, &["header", "claim"]);
            None
        }
        (true, true) => {
            let message = format!("`{}` has `header` and `claim`", by.location.path);
            reader.report(Problem::new(Code::BadValue, by.location.at, message).expected("one of them"));
            None
        }
    }
}

/// Returns what the entry counts, and reports keys that do not fit to its unit or its algorithm.
fn counting(reader: &SettingsReader<'_>, entry: &LimitTermsInput) -> Option<Counting> {
    let LimitTermsInput { location, unit, limit, algorithm, window, burst, consistency, .. } = entry;
    let unit = unit.value;
    let algorithm = algorithm.value;
    if let Some(consistency) = consistency
        && unit != LimitUnit::Requests
    {
        let what = if unit == LimitUnit::Concurrent {
            "requests in flight"
        } else {
            "tokens, about which Redis decides for each call"
        };
        let message = format!("`{}` has no effect on {what}", location.name("consistency"));
        reader.report(Problem::new(Code::BadValue, consistency.value_origin(), message).expected("no `consistency`"));
        return None;
    }
    if unit == LimitUnit::Concurrent {
        let mut is_valid = is_of_requests(reader, location, "limit", limit.as_ref());
        for key in OF_WINDOWS.into_iter().filter(|key| location.has(key)) {
            let message = format!("`{}` has no effect on requests in flight", location.name(key));
            reader.report(Problem::new(Code::BadValue, location.at, message).expected(format!("no `{key}`")));
            is_valid = false;
        }
        return is_valid.then_some(Counting { unit, algorithm, window: Duration::ZERO, burst: None, is_exact: false });
    }
    if !location.has("window") {
        location.missing(reader, &["window"]);
    }
    if location.has("burst") && algorithm != LimitAlgorithm::TokenBucket {
        let message = format!("`{}` has no effect on a sliding window", location.name("burst"));
        let problem = Problem::new(Code::BadValue, burst.as_ref().and_then(|burst| burst.value_origin()), message);
        reader.report(problem.expected("`algorithm: token_bucket`, or no `burst`"));
        return None;
    }
    let mut numbers = [("limit", limit), ("burst", burst)].into_iter();
    if unit == LimitUnit::Requests
        && !numbers.all(|(key, number)| is_of_requests(reader, location, key, number.as_ref()))
    {
        return None;
    }
    let burst = burst.as_ref().and_then(|burst| NonZeroU32::new(burst.value));
    Some(Counting {
        unit,
        algorithm,
        window: window.as_ref()?.value,
        burst,
        is_exact: consistency.as_ref().is_some_and(|word| word.value == LimitConsistency::Exact),
    })
}

/// Reports a number that is too large for requests.
fn is_of_requests(reader: &SettingsReader<'_>, location: &Location, key: &str, number: Option<&Input<u32>>) -> bool {
    let is_valid = number.is_none_or(|number| number.value <= LIMIT_MAX);
    if !is_valid && let Some(number) = number {
        let expected = format!("a whole number from 1 to {LIMIT_MAX}, or a `unit` of tokens");
        reader.bad(number.value_origin().unwrap_or(location.at), &location.name(key), &expected);
    }
    is_valid
}

/// Returns what decides the tier of a client, and the limits of the tiers.
fn tiers(reader: &SettingsReader<'_>, entry: &RateLimitInput) -> (TierBy, Vec<(Box<str>, NonZeroU32)>) {
    let mut by = None;
    let mut tiers = Vec::new();
    for MapEntry { name: key, at, value } in &entry.tiers {
        match (key == BY, value) {
            (true, Either::Single(Input { value: TierValue::Plan, .. })) => by = Some(TierBy::Plan),
            (true, Either::Nested(claim)) => {
                by = claim.claim.as_ref().map(|name| TierBy::Claim(name.value.as_str().into()));
            }
            (false, Either::Single(tier @ Input { value: TierValue::Limit(limit), .. })) => {
                let is_of_tokens = matches!(entry.terms.unit.value, LimitUnit::Tokens(_));
                let number = tier.derived(*limit);
                if is_of_tokens || is_of_requests(reader, &entry.location, &format!("tiers.{key}"), Some(&number)) {
                    tiers.extend(NonZeroU32::new(*limit).map(|limit| (Box::from(key.as_str()), limit)));
                }
            }
            (is_by, value) => {
                let at = if let Either::Single(tier) = value { tier.value_origin() } else { None }.unwrap_or(*at);
                let name = format!("{}.{key}", entry.location.name("tiers"));
                reader.bad(at, &name, if is_by { "`plan`, or {claim: NAME}" } else { "a number of requests" });
            }
        }
    }
    let has_by = entry.tiers.iter().any(|tier| tier.name == BY);
    let has_tier = entry.tiers.iter().any(|tier| tier.name != BY);
    if entry.location.has("tiers") && !(has_by && has_tier) {
        let expected = "{by: plan, PLAN: LIMIT} or {by: {claim: NAME}, VALUE: LIMIT}, with at least one tier";
        reader.bad(entry.location.at, &entry.location.name("tiers"), expected);
    }
    let by = by.unwrap_or_default();
    for MapEntry { name, at, .. } in &entry.tiers {
        if by == TierBy::Plan && !Plan::is_name(name) {
            reader.bad(*at, &entry.location.name("tiers"), "`by`, and names of plans");
        }
    }
    (by, tiers)
}

/// Replaces characters that a header field cannot carry within a quoted name (RFC 9651, 3.3.3).
fn plain(name: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_graphic() && !matches!(character, '"' | '\\');
    name.chars().map(|character| if is_plain(&character) { character } else { '_' }).collect()
}

/// Returns the text of a dimension in the id of a limit. No two dimensions have the same.
fn identity(dimension: &LimitDimension) -> String {
    if let LimitDimension::Claim(name) = dimension { format!("claim:{name:?}") } else { written(dimension) }
}

fn written(dimension: &LimitDimension) -> String {
    match dimension {
        LimitDimension::Address => "ip".to_owned(),
        LimitDimension::User => "user".to_owned(),
        LimitDimension::Key => "key".to_owned(),
        LimitDimension::Client => "client".to_owned(),
        LimitDimension::Header(name) => format!("header:{name}"),
        LimitDimension::Claim(name) => format!("claim:{}", plain(name)),
        LimitDimension::Route => "route".to_owned(),
        LimitDimension::Model => "model".to_owned(),
        LimitDimension::Plan => "plan".to_owned(),
        LimitDimension::Global => "global".to_owned(),
    }
}
