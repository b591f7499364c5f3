//! Runs `tests`: each request is explained by the compiled configuration, and compared with the expectation.

use std::collections::BTreeSet;
use std::fmt::Display;

use settings::error::{Code, Problem};
use settings::field::Entries;
use settings::input::Input;
use settings::section::SettingsReader;

use crate::explain::{ExplainedUpstream, Explanation, WrittenRequest};
use crate::schema::traffic::{ExpectInput, RequestTestInput};
use crate::snapshot::Snapshot;

/// Reports the tests that fail, and those that cannot pass. Tests of an invalid configuration do not run.
pub(super) fn run(reader: &SettingsReader<'_>, tests: &Entries<RequestTestInput>, snapshot: &Snapshot) {
    for test in &tests.list {
        check_names(reader, &test.expect, snapshot);
    }
    if !reader.is_valid() {
        return;
    }
    for RequestTestInput { request, headers, expect, .. } in &tests.list {
        let Some(line) = request else { continue };
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let fields: Vec<(String, String)> =
            headers.iter().map(|(name, value)| (name.clone(), text(&value.value))).collect();
        match WrittenRequest::parse(&line.value, &fields) {
            Ok(request) => compare(reader, expect, &snapshot.explain(&request)),
            Err(error) => {
                let problem = Problem::new(Code::BadValue, line.value_origin(), "the request of the test is invalid");
                reader.report(problem.expected(error.to_string()));
            }
        }
    }
}

/// Reports expectations that no configuration meets, and those of names that do not exist.
fn check_names(reader: &SettingsReader<'_>, expect: &ExpectInput, snapshot: &Snapshot) {
    let ExpectInput { location, route, upstream, .. } = expect;
    if !["route", "upstream", "target", "status"].into_iter().any(|key| location.has(key)) {
        let problem = Problem::new(Code::Missing, location.at, format!("`{}` expects nothing", location.path));
        reader.report(problem.expected("`route`, `upstream`, `target` or `status`"));
    }
    let routes = snapshot.traffic.router.routes().iter().map(|route| &*route.policy.name);
    if let Some(name) = route
        && !routes.clone().any(|known| known == name.value)
        && !ai::Endpoint::ALL.into_iter().any(|endpoint| endpoint.path() == name.value)
    {
        reader.unknown_name(name, "route", routes);
    }
    let upstreams = snapshot.traffic.upstreams.iter().map(|upstream| &*upstream.name);
    if let Some(name) = upstream
        && !upstreams.clone().any(|known| known == name.value)
    {
        reader.unknown_name(name, "upstream", upstreams);
    }
}

/// Reports each expectation that the explanation does not meet.
fn compare(reader: &SettingsReader<'_>, expect: &ExpectInput, explained: &Explanation) {
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
    if let Some(name) = &expect.route {
        let found = explained.route.as_ref().map(|route| route.name.clone());
        check(reader, name, found.as_ref() == Some(&name.value), &or_none(found.map(|name| format!("`{name}`"))));
    }
    let action = explained.action.as_ref();
    if let Some(name) = &expect.upstream {
        let found: Vec<&str> =
            action.into_iter().flat_map(|action| &action.upstreams).map(|upstream| &*upstream.name).collect();
        let names = found.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        check(reader, name, found.contains(&&*name.value), &or_none(Some(names).filter(|names| !names.is_empty())));
    }
    if let Some(target) = &expect.target {
        let of_name = |upstream: &&ExplainedUpstream| {
            expect.upstream.as_ref().is_none_or(|expected| expected.value == upstream.name)
        };
        let found: Vec<_> = action.into_iter().flat_map(|action| &action.upstreams).filter(of_name).collect();
        let is_met = found.iter().any(|upstream| upstream.sent_target.as_ref() == Some(&target.value));
        let targets: BTreeSet<String> = found.iter().map(|upstream| format!("`{}`", upstream.target)).collect();
        let targets = targets.into_iter().collect::<Vec<_>>().join(" or ");
        check(reader, target, is_met, &or_none(Some(targets).filter(|targets| !targets.is_empty())));
    }
    if let Some(status) = &expect.status {
        let found = explained.status.map(u32::from);
        let text = found.map_or_else(
            || "unknown: an upstream or the credential decides it".to_owned(),
            |status| status.to_string(),
        );
        check(reader, status, found == Some(status.value), &text);
    }
}

fn check<T: Display>(reader: &SettingsReader<'_>, expected: &Input<T>, is_met: bool, found: &str) {
    if !is_met {
        let problem =
            Problem::new(Code::Test, expected.value_origin(), format!("the test fails: the result is {found}"));
        reader.report(problem.expected(format!("{}", expected.value)).of_tests());
    }
}
