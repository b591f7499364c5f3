//! Compiles the rate limits of the admin API and of the proxy, and the proxies that Tollgate trusts.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::schema::process::ControlLimitInput;
use crate::schema::traffic::{
    DimensionWord, LimitAlgorithm, LimitInput, LimitTermsInput, LimitUnit, NOT_WITHOUT, RateLimitInput,
};
use crate::snapshot::{Dimension, LimitSubject, WindowLimit};
use ipnet::IpNet;
use settings::error::{Code, Problem};
use settings::field::{Either, Entries, ValueList};
use settings::input::Input;
use settings::section::section_input::SectionInput;
use settings::section::{Location, SettingsReader};

const MINUTE: Duration = Duration::from_secs(60);
const HUNDRED: NonZeroU32 = NonZeroU32::new(100).unwrap();
const TWENTY: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Limits of the admin API if the file has none of the same kind.
const CONTROL_LIMITS: [WindowLimit; 3] = [
    a_minute(Dimension::Key, LimitSubject::Everybodys, HUNDRED),
    a_minute(Dimension::Address, LimitSubject::WithoutKey, TWENTY),
    a_minute(Dimension::Address, LimitSubject::WithSession, HUNDRED),
];
/// The proxy's limit for requests without a valid key, if the file has none.
const UNAUTHENTICATED: WindowLimit = a_minute(Dimension::Address, LimitSubject::WithoutKey, HUNDRED);

/// Maximum number of limits of one kind. A request has at most two kinds, and all of their limits are checked together.
const SAME_KIND_MAX: usize = 2;

const fn a_minute(dimension: Dimension, whose: LimitSubject, limit: NonZeroU32) -> WindowLimit {
    WindowLimit { dimension, whose, limit, window: MINUTE }
}

/// Returns the file's limits, and each default whose kind the file does not limit; an empty list means no limit.
pub(super) fn control_limits(
    reader: &SettingsReader<'_>,
    entries: &mut Entries<ControlLimitInput>,
) -> Vec<WindowLimit> {
    if entries.is_given && entries.list.is_empty() {
        return Vec::new();
    }
    let mut limits: Vec<WindowLimit> = Vec::new();
    for entry in &entries.list {
        if let Some(limit) = control_limit(reader, entry)
            && has_room(reader, &entry.location, limit, &limits, SAME_KIND_MAX)
        {
            limits.push(limit);
        }
    }
    let missing = |default: &WindowLimit| limits.iter().all(|limit| kind(*limit) != kind(*default));
    for default in CONTROL_LIMITS.into_iter().filter(missing).collect::<Vec<_>>() {
        let location = Location::unset(format!("control.rate_limits[{}]", limits.len()), ControlLimitInput::SPEC);
        let condition = |whose| (default.whose == whose).then_some(Input::default(whose));
        entries.list.push(ControlLimitInput {
            location,
            dimension: Some(Input::default(default.dimension)),
            limit: Some(Input::default(default.limit.get())),
            window: Some(Input::default(default.window)),
            without: condition(LimitSubject::WithoutKey),
            with: condition(LimitSubject::WithSession),
        });
        limits.push(default);
    }
    limits
}

const fn kind(limit: WindowLimit) -> (Dimension, LimitSubject) {
    (limit.dimension, limit.whose)
}

/// Whether `limits` has room for another limit of its kind; reports a limit too many.
fn has_room(
    reader: &SettingsReader<'_>,
    location: &Location,
    limit: WindowLimit,
    limits: &[WindowLimit],
    same_kind_max: usize,
) -> bool {
    let same = || limits.iter().filter(|other| kind(**other) == kind(limit));
    let is_too_many = same().count() >= same_kind_max;
    if is_too_many || same().any(|other| other.window == limit.window) {
        let message = "one limit too many of this dimension and condition";
        let expected = match same_kind_max {
            1 => "one".to_owned(),
            most => format!("at most {most}, of different windows"),
        };
        reader.report(Problem::new(Code::Duplicate, location.at, message).expected(expected));
        return false;
    }
    true
}

fn control_limit(reader: &SettingsReader<'_>, entry: &ControlLimitInput) -> Option<WindowLimit> {
    let ControlLimitInput { location, dimension, limit, window, without, with } = entry;
    let dimension = dimension.as_ref()?.value;
    if let Some(with) = with
        && let Some(_) = without
    {
        bad(reader, location, "with", with, "`with` or `without`, not both");
        return None;
    }
    let condition = with.as_ref().or(without.as_ref());
    if let Some(condition) = condition
        && dimension == Dimension::Key
    {
        bad(reader, location, "dimension", condition, "`ip` beside `with` and `without`: every key is counted");
        return None;
    }
    let whose = condition.map_or(LimitSubject::Everybodys, |condition| condition.value);
    let limit = NonZeroU32::new(limit.as_ref()?.value)?;
    Some(WindowLimit { dimension, whose, limit, window: window.as_ref()?.value })
}

fn bad(reader: &SettingsReader<'_>, location: &Location, key: &str, input: &Input<LimitSubject>, expected: &str) {
    reader.bad(input.value_origin().unwrap_or(location.at), &location.name(key), expected);
}

/// Returns the limit of the proxy by address for requests without a valid key.
pub(super) fn unauthenticated(reader: &SettingsReader<'_>, entries: &mut Entries<LimitInput>) -> Option<WindowLimit> {
    if entries.is_given && entries.list.is_empty() {
        return None;
    }
    let mut limits: Vec<WindowLimit> = Vec::new();
    for entry in entries.list.iter().filter(|entry| entry.location.has("without")) {
        limits.extend(
            unauthenticated_limit(reader, entry).filter(|limit| has_room(reader, &entry.location, *limit, &limits, 1)),
        );
    }
    if !entries.list.iter().any(|entry| entry.location.has("without")) {
        entries.list.push(default_unauthenticated(entries.list.len()));
    }
    Some(limits.first().copied().unwrap_or(UNAUTHENTICATED))
}

/// Returns the limit of an entry with `without`, and reports keys that such a limit does not have.
fn unauthenticated_limit(reader: &SettingsReader<'_>, entry: &LimitInput) -> Option<WindowLimit> {
    let LimitInput { location, rule, without } = entry;
    for key in NOT_WITHOUT.into_iter().filter(|key| location.has(key)) {
        let message = format!("`{}` has no effect beside `without`", location.name(key));
        reader.report(Problem::new(Code::BadValue, location.at, message).expected(format!("no `{key}`")));
    }
    if !location.has("window") {
        location.missing(reader, &["window"]);
    }
    if !location.has("limit") && !location.has("tiers") {
        location.missing(reader, &["limit"]);
    }
    match rule.terms.dimension.as_slice() {
        [] => return None,
        [Either::Single(word)] if word.value == DimensionWord::Address => {}
        _ => {
            let expected = "`ip` beside `without`";
            reader.bad(location.at, &location.name("dimension"), expected);
            return None;
        }
    }
    let limit = NonZeroU32::new(rule.terms.limit.as_ref()?.value)?;
    let whose = without.as_ref()?.value;
    let window = rule.terms.window.as_ref()?.value;
    Some(WindowLimit { dimension: Dimension::Address, whose, limit, window })
}

/// Returns the entry that applies if the file has no limit of requests without a valid key.
fn default_unauthenticated(nth: usize) -> LimitInput {
    let location = Location::unset(format!("rate_limits[{nth}]"), LimitInput::SPEC);
    let terms = LimitTermsInput {
        location: Location::unset(format!("rate_limits[{nth}]"), LimitTermsInput::SPEC),
        dimension: vec![Either::Single(Input::default(DimensionWord::Address))],
        unit: Input::default(LimitUnit::Requests),
        limit: Some(Input::default(UNAUTHENTICATED.limit.get())),
        window: Some(Input::default(UNAUTHENTICATED.window)),
        algorithm: Input::default(LimitAlgorithm::SlidingWindow),
        burst: None,
        consistency: None,
    };
    let location_of_rule = Location::unset(format!("rate_limits[{nth}]"), RateLimitInput::SPEC);
    let rule = RateLimitInput { location: location_of_rule, terms, tiers: Vec::new() };
    LimitInput { location, rule, without: Some(Input::default(UNAUTHENTICATED.whose)) }
}

/// Returns the networks whose `X-Forwarded-For` is trusted. A preset has several networks.
pub(super) fn trusted_proxies(proxies: &mut ValueList<Vec<IpNet>>) -> Vec<IpNet> {
    let each =
        |proxy: &Input<Vec<IpNet>>| proxy.value.iter().map(|network| proxy.derived(vec![*network])).collect::<Vec<_>>();
    proxies.list = proxies.list.iter().flat_map(each).collect();
    proxies.list.iter().flat_map(|proxy| proxy.value.iter().copied()).collect()
}
