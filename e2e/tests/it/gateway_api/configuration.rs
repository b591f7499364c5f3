//! The configuration that serves all tests of the table: each has its own listeners, as each has its own gateway in the suite.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use e2e::Setup;
use serde_json::{Value, json};

use super::backends::ReportingBackends;
use super::table::{ConformanceTest, TestListener};

/// The place of each listener in the configuration, by test and name.
pub(super) struct ListenerPlaces(BTreeMap<(String, String), usize>);

impl ListenerPlaces {
    pub(super) fn listener(&self, test: &str, name: &str) -> usize {
        match self.0.get(&(test.to_owned(), name.to_owned())) {
            Some(place) => *place,
            None => panic!("{test} has no listener {name}"),
        }
    }
}

/// Returns the configuration of all tests and the places of their listeners. Certificates are written to `folder`.
pub(super) fn setup(tests: &[ConformanceTest], backends: &ReportingBackends, folder: &Path) -> (Setup, ListenerPlaces) {
    let mut parts = TestConfiguration { listeners: Vec::new(), upstreams: backends.upstreams(), routes: Vec::new() };
    let mut places = BTreeMap::new();
    let mut certificates: BTreeMap<String, Value> = BTreeMap::new();
    for test in tests {
        let main = ("main".to_owned(), TestListener::default());
        for (name, listener) in std::iter::once((&main.0, &main.1)).chain(&test.listeners) {
            places.insert((test.test.clone(), name.clone()), parts.listeners.len());
            let mut entry = json!({"address": "127.0.0.1:0", "name": own_name(test, name)});
            if !listener.certificates.is_empty() {
                let written = |name: &String| {
                    certificates.entry(name.clone()).or_insert_with(|| certificate(folder, name)).clone()
                };
                entry["tls"] = json!({"certificates": listener.certificates.iter().map(written).collect::<Vec<_>>()});
            }
            parts.listeners.push(entry);
        }
        parts.add(test, backends);
    }
    let section = |values: &[Value]| Value::from(values).to_string();
    // `GET /` is an LLM endpoint.
    let setup = Setup::new()
        .section("ai", "{enabled: false}")
        .section("listen", &section(&parts.listeners))
        .section("upstreams", &section(&parts.upstreams))
        .section("routes", &section(&parts.routes));
    (setup, ListenerPlaces(places))
}

struct TestConfiguration {
    listeners: Vec<Value>,
    upstreams: Vec<Value>,
    routes: Vec<Value>,
}

impl TestConfiguration {
    /// Adds the upstreams and the routes of a test. Its routes need no key, and belong to its listeners.
    fn add(&mut self, test: &ConformanceTest, backends: &ReportingBackends) {
        let names: BTreeSet<&str> = test.upstreams.iter().filter_map(|upstream| upstream["name"].as_str()).collect();
        for upstream in &test.upstreams {
            let mut upstream = backends.with_addresses(upstream);
            upstream["name"] = json!(own_name(test, &e2e::text(&upstream["name"])));
            self.upstreams.push(upstream);
        }
        for route in &test.routes {
            let mut route = route.clone();
            let listeners: Vec<String> = match route["listen"].as_array() {
                Some(listeners) => listeners.iter().map(|name| own_name(test, &e2e::text(name))).collect(),
                None => vec![own_name(test, "main")],
            };
            route["listen"] = json!(listeners);
            route["auth"] = json!("none");
            if let Some(name) = route["upstreams"].as_str().filter(|name| names.contains(name)) {
                route["upstreams"] = json!(own_name(test, name));
            }
            if let Some(fields) = route.as_object_mut() {
                fields.retain(|_, value| !value.is_null());
            }
            self.routes.push(route);
        }
    }
}

/// Returns a name that no other test has.
fn own_name(test: &ConformanceTest, name: &str) -> String {
    format!("{}-{name}", test.test.trim_start_matches("httproute-"))
}

/// Writes a certificate for this name and returns its entry in `certificates`.
fn certificate(folder: &Path, name: &str) -> Value {
    let entry = crate::route_matches::certificate(folder, name);
    match serde_saphyr::from_str(&entry) {
        Ok(entry) => entry,
        Err(error) => panic!("{entry}: {error}"),
    }
}
