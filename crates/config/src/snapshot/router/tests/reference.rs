//! The router against a search of all routes by the documented order of precedence.

use std::cmp::Reverse;

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::*;
use crate::snapshot::trusted_headers::FieldSource;
use crate::snapshot::{Condition, Conditions, Pattern, Segment, Template, ValueMatch};

/// The order of precedence as docs/routing.md has it; the greatest is first.
type Rank = (Option<(usize, bool)>, PathRank, Specificity, Reverse<usize>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    /// The prefix `/`, then `/{*rest}`.
    All(SegmentRank),
    /// The number of the first route with the expression.
    Regex(Reverse<usize>),
    Segments(Vec<SegmentRank>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SegmentRank {
    Prefix,
    Rest,
    Parameter,
    Literal,
    End,
}

/// Returns the rank of a host: a longer domain first, an exact host before all; of one host, the one with a port.
fn host_rank(route: &Route, requested: &str) -> Option<Option<(usize, bool)>> {
    let Some(HostMatch { name, port }) = &route.matches.host else { return Some(None) };
    // The requests have the scheme `http`.
    let (host, requested_port) = requested.split_once(':').unwrap_or((requested, "80"));
    if port.is_some_and(|port| port.to_string() != requested_port) {
        return None;
    }
    let length = match name {
        HostName::Exact(exact) => (exact == host).then_some(usize::MAX)?,
        HostName::Below(domain) => host.ends_with(&format!(".{domain}")).then_some(domain.len())?,
    };
    Some(Some((length, port.is_some())))
}

fn path_rank(routes: &[Arc<Route>], route: &Route, path: &str) -> Option<PathRank> {
    let sent: Vec<&str> = path.split('/').skip(1).collect();
    let literals = |path: &str| vec![SegmentRank::Literal; path.split('/').skip(1).count()];
    let ranks = match &route.matches.path {
        PathMatch::Exact(exact) => (exact == path).then(|| [literals(exact), vec![SegmentRank::End]].concat())?,
        PathMatch::Prefix(prefix) => {
            let rest = path.strip_prefix(prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| [literals(prefix), vec![SegmentRank::Prefix]].concat())?
        }
        PathMatch::Template(template) => template_rank(template, &sent)?,
        PathMatch::Regex(pattern) => {
            let same = |other: &Arc<Route>| {
                other.matches.path == route.matches.path && other.matches.host == route.matches.host
            };
            let first = routes.iter().position(same)?;
            return pattern.is_match(path.as_bytes()).then_some(PathRank::Regex(Reverse(first)));
        }
    };
    Some(match ranks.as_slice() {
        [end @ (SegmentRank::Prefix | SegmentRank::Rest)] => PathRank::All(*end),
        _ => PathRank::Segments(ranks),
    })
}

fn template_rank(template: &Template, sent: &[&str]) -> Option<Vec<SegmentRank>> {
    let mut ranks = Vec::new();
    for (at, segment) in template.segments().iter().enumerate() {
        ranks.push(match segment {
            Segment::Literal(text) => (sent.get(at) == Some(&&**text)).then_some(SegmentRank::Literal)?,
            Segment::Parameter(_) => sent.get(at).filter(|sent| !sent.is_empty()).map(|_| SegmentRank::Parameter)?,
            Segment::Rest(_) => {
                let rest = sent.get(at..)?.join("/");
                return (!rest.is_empty()).then(|| [ranks, vec![SegmentRank::Rest]].concat());
            }
        });
    }
    ranks.push(SegmentRank::End);
    (sent.len() == template.segments().len()).then_some(ranks)
}

/// Returns the result of a search of all routes.
fn expected(routes: &[Arc<Route>], requested: RouteRequest<'_>) -> String {
    let host = std::str::from_utf8(requested.host).unwrap();
    let ranked = routes.iter().enumerate().filter_map(|(at, route)| {
        let rank =
            (host_rank(route, host)?, path_rank(routes, route, requested.path)?, route.specificity(), Reverse(at));
        let fit = route.fit(requested);
        (fit != Fit::Unmet).then_some((rank, route, fit))
    });
    let mut ranked: Vec<(Rank, &Arc<Route>, Fit<'_>)> = ranked.collect();
    ranked.sort_by(|(a, ..), (b, ..)| b.cmp(a));
    let mut implied: Option<(&Rank, &Arc<Route>)> = None;
    let mut found = None;
    let mut disputed = None;
    let mut best = None::<&Rank>;
    for (rank, route, fit) in &ranked {
        let route: &Arc<Route> = route;
        // Among routes of the same host and path, those that list HEAD come first.
        if best.is_some_and(|best| (&rank.0, &rank.1) != (&best.0, &best.1)) {
            break;
        }
        match (route.accepts(requested.method), fit) {
            (None, _) | (Some(_), Fit::Unmet) => {}
            (
                Some(MethodMatch::Listed),
                Fit::Disputed(DisputedPart::Header(field) | DisputedPart::Parameter(field)),
            ) => {
                return format!("disputed {field}");
            }
            (
                Some(MethodMatch::AsGet | MethodMatch::All),
                Fit::Disputed(DisputedPart::Header(field) | DisputedPart::Parameter(field)),
            ) => {
                best = best.or(Some(rank));
                disputed = disputed.or(implied.is_none().then_some(field));
            }
            (Some(MethodMatch::AsGet), Fit::Met) => {
                best = best.or(Some(rank));
                implied = implied.or(Some((rank, route)));
            }
            (Some(MethodMatch::Listed), Fit::Met) => found = found.or(Some(route)),
            (Some(MethodMatch::All), Fit::Met) => implied = implied.or(Some((rank, route))),
        }
        if found.is_some() || route.accepts(requested.method) == Some(MethodMatch::All) && *fit == Fit::Met {
            break;
        }
    }
    // A route that lists HEAD is used, whatever the fields mean for those that list GET.
    if let Some(field) = disputed
        && let None = found
    {
        return format!("disputed {field}");
    }
    let ranked: Vec<_> = ranked.iter().filter(|(.., fit)| *fit == Fit::Met).map(|(_, route, _)| *route).collect();
    match found.or(implied.map(|(_, route)| route)) {
        Some(route) => route.policy.name.to_string(),
        None if ranked.is_empty() => "none".to_owned(),
        None => {
            let mut allow: Vec<&str> = Vec::new();
            for method in ranked.iter().flat_map(|route| route.accepted_methods()) {
                if !allow.contains(&method) {
                    allow.push(method);
                }
            }
            format!("allow {}", allow.join(","))
        }
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let value = prop_oneof![
        prop::sample::select(&["1", "2"][..]).prop_map(|text| ValueMatch::Exact(text.into())),
        Just(ValueMatch::Regex(Pattern::parse("^[12]$").unwrap())),
        Just(ValueMatch::Present),
        Just(ValueMatch::Absent),
    ];
    (prop::sample::select(&["x", "y"][..]), value).prop_map(|(name, value)| Condition {
        name: name.into(),
        value,
        source: FieldSource::Client,
        is_hidden: false,
    })
}

fn conditions() -> impl Strategy<Value = Vec<Condition>> {
    prop::collection::vec(condition(), 0..3).prop_map(|mut conditions| {
        conditions.sort_by(|a, b| a.name.cmp(&b.name));
        conditions.dedup_by(|a, b| a.name == b.name);
        conditions
    })
}

fn path_match() -> impl Strategy<Value = PathMatch> {
    let segments = prop::collection::vec(prop::sample::select(&["a", "b", "", "{}", "{}"][..]), 0..4);
    let expression = prop::sample::select(&["^/a", "b$", "^/[ab]/a", "."][..]);
    prop_oneof![
        4 => (segments, prop::sample::select(&["", "prefix", "rest"][..])).prop_map(|(segments, end)| {
            let named = segments.iter().enumerate();
            let text: String = named.map(|(at, text)| format!("/{}", text.replace("{}", &format!("{{p{at}}}")))).collect();
            match end {
                "rest" => PathMatch::Template(Template::parse(&format!("{text}/{{*rest}}")).unwrap()),
                _ if text.contains('{') => PathMatch::Template(Template::parse(&text).unwrap()),
                "prefix" => PathMatch::Prefix(text.trim_end_matches('/').to_owned()),
                _ if text.is_empty() => PathMatch::Exact("/".to_owned()),
                _ => PathMatch::Exact(text),
            }
        }),
        1 => expression.prop_map(|text| PathMatch::Regex(Pattern::parse(text).unwrap())),
    ]
}

fn any_route() -> impl Strategy<Value = Route> {
    let host = prop::sample::select(&["", "", "h.d.e", "*.d.e", "*.e", "h.d.e:80", "*.e:81"][..]);
    const METHODS: &[&[&str]] = &[&[], &["GET"], &["GET", "POST"], &["HEAD"]];
    let methods = prop::sample::select(METHODS);
    (host, path_match(), methods, conditions(), conditions()).prop_map(|(host, path, methods, headers, query)| {
        let plain = (*route("", path, methods)).clone();
        let conditions = Some(Box::new(Conditions { headers, query }));
        let plain = Route { matches: RouteMatches { conditions, ..plain.matches }, ..plain };
        if host.is_empty() { plain } else { (*route_at_host(host, &plain)).clone() }
    })
}

#[derive(Debug)]
struct AnyRequest {
    method: &'static str,
    host: &'static str,
    path: String,
    query: String,
    fields: Vec<(&'static str, &'static str)>,
}

fn any_request() -> impl Strategy<Value = AnyRequest> {
    let pairs = || {
        let names = prop::sample::select(&["x", "y"][..]);
        let values = prop::sample::select(&["1", "2", "3"][..]);
        prop::collection::vec((names, values), 0..3)
    };
    let path = prop::collection::vec(prop::sample::select(&["a", "b", "c", ""][..]), 1..5);
    let method = prop::sample::select(&["GET", "HEAD", "POST", "PUT"][..]);
    let host = prop::sample::select(&["h.d.e", "h.d.e:81", "i.d.e:81", "i.d.e", "e", ""][..]);
    (method, host, path, pairs(), pairs()).prop_map(|(method, host, path, query, fields)| {
        let query: Vec<String> = query.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        AnyRequest { method, host, path: format!("/{}", path.join("/")), query: query.join("&"), fields }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_router_agrees_with_a_search_of_all_routes(
        routes in prop::collection::vec(any_route(), 1..14),
        requests in prop::collection::vec(any_request(), 1..20),
    ) {
        let named = routes.into_iter().enumerate();
        let renamed = |(at, route): (usize, Route)| {
            let policy = RoutePolicy { name: format!("{at}").as_str().into(), ..(*route.policy).clone() };
            Arc::new(Route { policy: Arc::new(policy), ..route })
        };
        let routes: Vec<Arc<Route>> = named.map(renamed).collect();
        let router = Router::new(routes.clone());
        for AnyRequest { method, host, path, query, fields } in &requests {
            let parts = WrittenParts { query: Some(query), fields, ..WrittenParts::default() };
            let requested = RouteRequest { method, host: host.as_bytes(), path, listener: 0, parts: &parts };
            prop_assert_eq!(found(&router, requested), expected(&routes, requested), "{} {} {}", method, host, path);
        }
    }
}
