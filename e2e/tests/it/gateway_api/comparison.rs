//! The comparison of a response with the wanted result.

use e2e::{Answer, Head};
use serde_json::Value;

use super::table::TableRequest;

/// Compares a response, and the request that its backend reports, with the wanted result.
pub(super) fn compare(request: &TableRequest, answer: &Answer) -> Result<(), String> {
    let want = &request.want;
    if !want.status.contains(answer.status()) {
        return Err(format!("status {} {}", answer.status(), answer.text()));
    }
    for (name, values) in &want.response {
        let value = joined(&answer.head, name);
        if !values.all().iter().any(|wanted| without_blanks(wanted) == without_blanks(&value)) {
            return Err(format!("{name} of the response is {value:?}"));
        }
    }
    if let Some(name) = want.not_in_response.iter().find(|name| answer.header(name).is_some()) {
        return Err(format!("the response has {name}: {}", joined(&answer.head, name)));
    }
    if let Some(wanted) = &want.location {
        let location = resolved(request, answer.header("location").unwrap_or_default());
        if location != *wanted {
            return Err(format!("location {location}"));
        }
    }
    match (&want.backend, &want.backend_in) {
        (None, None) => Ok(()),
        _ => compare_received(request, &answer.json()),
    }
}

/// Compares the request that a backend has received.
fn compare_received(request: &TableRequest, received: &Value) -> Result<(), String> {
    let want = &request.want;
    let (method, target) = request.line();
    let head = Head { headers: headers(received), ..Head::default() };
    let text = |name: &str| received[name].as_str().unwrap_or_default().to_owned();
    let backend = text("backend");
    let own_name = want.backend_in.iter().map(|name| (name, &backend));
    for (name, wanted) in want.received.iter().chain(own_name) {
        let value = joined(&head, name);
        if value != *wanted {
            return Err(format!("{name} of the request is {value:?}"));
        }
    }
    if let Some(name) = want.not_received.iter().find(|name| head.header(name).is_some()) {
        return Err(format!("the backend received {name}"));
    }
    let wanted = [
        ("method", method.to_owned(), text("method")),
        ("target", want.target.clone().unwrap_or_else(|| target.to_owned()), text("target")),
        ("backend", want.backend.clone().unwrap_or_else(|| backend.clone()), backend.clone()),
        ("host", want.backend_host.clone().unwrap_or_else(|| joined(&head, "host")), joined(&head, "host")),
    ];
    match wanted.into_iter().find(|(_, wanted, got)| wanted != got) {
        None => Ok(()),
        Some((name, _, got)) => Err(format!("the backend's {name} is {got}")),
    }
}

fn headers(received: &Value) -> Vec<(String, String)> {
    let pair = |pair: &Value| (e2e::text(&pair[0]), e2e::text(&pair[1]));
    received["headers"].as_array().into_iter().flatten().map(pair).collect()
}

/// Returns all values of a header, joined by commas as the suite does.
fn joined(head: &Head, name: &str) -> String {
    head.all(name).join(",")
}

fn without_blanks(text: &str) -> String {
    text.replace(' ', "")
}

/// Returns a redirect's address as the client resolves it, without the port of its scheme.
fn resolved(request: &TableRequest, location: &str) -> String {
    let absolute = match location.strip_prefix('/') {
        Some(_) => format!("{}://{}{location}", request.scheme(), request.host),
        None => location.to_owned(),
    };
    for (scheme, port) in [("http://", ":80"), ("https://", ":443")] {
        if let Some(rest) = absolute.strip_prefix(scheme)
            && let Some((authority, path)) = rest.split_once('/')
            && let Some(host) = authority.strip_suffix(port)
        {
            return format!("{scheme}{host}/{path}");
        }
    }
    absolute
}
