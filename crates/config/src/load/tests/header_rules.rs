//! Changes of headers and statuses.

use http::StatusCode;

use super::errors::check;
use super::*;
use crate::snapshot::{HeaderPart, RoutePolicy};

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn file(path: &str, auth: &str, transformations: &str) -> String {
    format!(
        "upstreams: [{{name: u, backends: [{{url: http://h}}]}}]\nauth: [{{name: a, type: jwt, algorithms: [HS256], secret: {KEY}}}]\n\
         routes:\n  - path: {path}\n    upstreams: u\n    auth: {{type: {auth}}}\n    transformations: {transformations}\n"
    )
}

fn policy(transformations: &str) -> RoutePolicy {
    (*snapshot(&file("'/a/{id}/{*rest}'", "jwt", transformations)).traffic.router.routes()[0].policy).clone()
}

#[test]
fn changes_of_headers_and_statuses_are_read() {
    let policy = policy(
        "{request: {remove_headers: [X-Internal], add_headers: {X-A: 'a ${path.rest} b', X-B: plain, X-C: '${claim.sub}'}}, \
         response: {append_headers: {X-D: '${header.X-Y}${latency}${request_id}'}, status: {418: 400, '500': 503}}}",
    );
    let request = policy.request_headers.unwrap();
    assert_eq!(format!("{:?}", request.replaced.added().collect::<Vec<_>>()).matches("Field").count(), 1);
    let parts: Vec<_> = request.replaced_by_values.iter().map(|template| (&*template.name, &*template.parts)).collect();
    let literal = |text: &str| HeaderPart::Literal(text.into());
    let first = [literal("a "), HeaderPart::Parameter(1), literal(" b")];
    assert!(parts == [("X-A", &first[..]), ("X-C", &[HeaderPart::Claim("sub".into())])]);
    assert!(request.path.is_some() && request.appended_values.is_empty());
    let response = policy.response.unwrap();
    let headers = response.headers.as_ref().unwrap();
    let parts = [HeaderPart::Header("x-y".into()), HeaderPart::Latency, HeaderPart::RequestId];
    assert!(*headers.appended_values[0].parts == parts && headers.path.is_none());
    for (from, to) in [(418, 400), (500, 503), (404, 404)] {
        assert_eq!(response.status(StatusCode::from_u16(from).unwrap()).as_u16(), to);
    }
    let none = snapshot(&file("/a", "key", "{request: {}, response: {}}"));
    let policy = &none.traffic.router.routes()[0].policy;
    assert!(policy.request_headers.is_none() && policy.response.is_none());
}

#[test]
fn invalid_changes_of_headers_are_reported() {
    check(
        &file("'/a/{id}'", "jwt", "{request: {add_headers: {X-A: '${path.name}'}}}"),
        "
error[unknown_name]: `${path.name}` is no value of a request
 --> t.yaml:7:52
  |
7 |     transformations: {request: {add_headers: {X-A: '${path.name}'}}}
  |                                                    ^^^^^^^^^^^^^^ expected `id`",
    );
    let codes = |path: &str, auth: &str, transformations: &str| {
        let error = read_text(&file(path, auth, transformations)).map(|_| ()).expect_err(transformations);
        error.problems.iter().map(|problem| problem.code.name()).collect::<Vec<_>>().join(" ")
    };
    for (value, expected) in [
        ("${latenzy.x}", "unknown_name"),
        ("${claim.}", "unknown_name"),
        ("${claim.sub:-x}", "unknown_name"),
        ("${header.Authorization}", "unknown_name"),
        ("${header.x_api_key}", "unknown_name"),
        ("${header.a b}", "unknown_name"),
        ("${path.id}", "unknown_name"),
        ("${request_id:-x}", "unknown_name"),
        ("${LATENCY}", "environment"),
        ("${latency", "environment"),
        ("file:nowhere", "file"),
        ("a\\nb", "bad_value"),
    ] {
        let rules = format!("{{response: {{add_headers: {{X-A: \"{value}\"}}}}}}");
        assert_eq!(codes("/a", "jwt", &rules), expected, "{value}");
    }
    assert_eq!(codes("/a", "key", "{request: {add_headers: {X-A: '${claim.sub}'}}}"), "unknown_name");
    // An invalid entry of `auth` is one problem.
    let text = file("/a", "jwt", "{request: {add_headers: {X-A: '${claim.sub}'}}}").replace(KEY, "'${JWT_HS}'");
    let problems = read_text(&text).map(|_| ()).expect_err("a variable is missing").problems;
    assert_eq!(problems.iter().map(|problem| problem.code.name()).collect::<Vec<_>>(), ["environment"]);
    for (rules, expected) in [
        ("{request: {remove_headers: [Host]}}", "bad_value"),
        ("{request: {remove_headers: [transfer_encoding]}}", "bad_value"),
        ("{request: {add_headers: {Content-Length: 1}}}", "bad_value"),
        ("{request: {append_headers: {X-Forwarded-: a}}}", "bad_value"),
        ("{response: {append_headers: {X-Request-Id: a}}}", "bad_value"),
        ("{response: {append_headers: {'a b': a}}}", "bad_value"),
        ("{request: {add_headers: {X-A: a, x-a: b}}}", "duplicate"),
        ("{response: {status: {204: 200}}}", "bad_value"),
        ("{response: {status: {200: 304}}}", "bad_value"),
        ("{response: {status: {100: 200}}}", "bad_value"),
        ("{response: {status: {200: 600}}}", "bad_value"),
    ] {
        assert_eq!(codes("/a", "key", rules), expected, "{rules}");
    }
    let many: Vec<String> = (0..25).map(|at| format!("x-{at}: a")).collect();
    let many = format!("{{response: {{add_headers: {{{}}}}}}}", many.join(", "));
    assert_eq!(codes("/a", "key", &many), "bad_value");
}

#[test]
fn fields_of_framing_and_statuses_without_content_are_no_part_of_a_change() {
    let check = |rules: String| {
        let error = read_text(&file("/a", "key", &rules)).map(|_| ()).expect_err(&rules);
        assert!(error.problems.iter().all(|problem| problem.code == Code::BadValue), "{error}");
        assert!(error.problems.iter().all(|problem| problem.place.is_some()), "{error}");
    };
    for status in [100, 101, 199, 204, 205, 304, 600] {
        check(format!("{{response: {{status: {{{status}: 200}}}}}}"));
        check(format!("{{response: {{status: {{200: {status}}}}}}}"));
    }
    for name in ["Connection", "content-length", "Keep-Alive", "TE", "Trailer", "Transfer_Encoding", "upgrade"] {
        for side in ["request", "response"] {
            for list in ["remove_headers: [NAME]", "add_headers: {NAME: a}", "append_headers: {NAME: a}"] {
                check(format!("{{{side}: {{{}}}}}", list.replace("NAME", name)));
            }
        }
    }
}

#[test]
fn credentials_of_the_vault_are_read_and_shown_as_references() {
    let folder = tempfile::tempdir().unwrap();
    let of_file = folder.path().join("value");
    std::fs::write(&of_file, "vault:file").unwrap();
    let rules = format!(
        "{{request: {{add_headers: {{Authorization: 'Bearer vault:team', X-File: 'file:{}'}}, \
            append_headers: {{X-Key: 'vault:the other', X-Text: see the vault:team}}}}}}",
        of_file.display()
    );
    let loaded = read_text(&file("/a", "key", &rules)).unwrap();
    let request = loaded.snapshot.traffic.router.routes()[0].policy.request_headers.clone().unwrap();
    let literal = |text: &str| HeaderPart::Literal(text.into());
    let credential = |label: &str| HeaderPart::Credential(label.into());
    assert!(*request.replaced_by_values[0].parts == [literal("Bearer "), credential("team")]);
    assert!(*request.appended_values[0].parts == [credential("the other")]);
    assert!(request.has_credentials && request.replaced_by_values.len() + request.appended_values.len() == 2);
    let shown = serde_json::to_string(&loaded.settings()).unwrap();
    assert!(shown.contains("Bearer vault:team") && !shown.contains("vault:file"), "{shown}");
    assert!(!policy("{request: {add_headers: {X-A: a}}}").request_headers.unwrap().has_credentials);
    for rules in [
        "{response: {add_headers: {X-A: 'vault:team'}}}",
        "{response: {append_headers: {X-A: 'Basic vault:team'}}}",
        "{request: {add_headers: {X-A: 'vault:'}}}",
        "{request: {add_headers: {X-A: 'vault:${claim.sub}'}}}",
    ] {
        let environment = environment();
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        // The schema sees a text only.
        let error = load_text("t.yaml", &file("/a", "jwt", rules), sources).map(|_| ()).expect_err(rules);
        assert_eq!(error.problems.iter().map(|problem| problem.code.name()).collect::<Vec<_>>(), ["bad_value"]);
    }
}

#[test]
fn routes_without_an_upstream_change_responses_only() {
    let file = |keys: &str| format!("routes: [{{path: /a, {keys}}}]");
    for keys in ["respond: {}", "redirect: {to: /b}"] {
        let valid = format!("{keys}, transformations: {{response: {{add_headers: {{X-A: a}}}}}}");
        assert!(snapshot(&file(&valid)).traffic.router.routes()[0].policy.response.is_some());
        for invalid in ["request: {add_headers: {X-A: a}}", "response: {status: {200: 201}}"] {
            let error = read_text(&file(&format!("{keys}, transformations: {{{invalid}}}"))).map(|_| ()).unwrap_err();
            assert_eq!(error.problems.iter().map(|problem| problem.code.name()).collect::<Vec<_>>(), ["bad_value"]);
        }
    }
}

#[test]
fn values_that_may_be_secrets_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "S3CRET").unwrap();
    let rules = format!(
        "{{request: {{add_headers: {{X-A: 'file:{}', Authorization: 'Bearer ${{SECRET}}', X-B: shown}}}}}}",
        secret.display()
    );
    let loaded = read_text(&file("/a", "key", &rules)).unwrap();
    let shown = serde_json::to_string(&loaded.settings()).unwrap();
    assert!(!shown.contains("S3CRET") && shown.contains("shown"), "{shown}");
    assert!(!format!("{:?}", loaded.snapshot.traffic.router.routes()).contains("S3CRET"));
}

#[test]
fn changes_of_bodies_are_read() {
    let policy = policy(
        "{request: {body: {set: {/a: text, /b: 5, /c: '[1.10]', /d: '\"5\"'}, remove: [/e], rename: {/f: /g}}, body_max: 2KiB}, \
         response: {body: {remove: ['/a~1b']}}}",
    );
    let request = policy.request_body.unwrap();
    let edited = request.edits.apply(br#"{"e":1,"f":2}"#).unwrap();
    assert_eq!(edited, br#"{"g":2,"a":"text","b":5,"c":[1.10],"d":"5"}"#);
    let response = policy.response_body.unwrap();
    assert_eq!((request.bytes_max, response.bytes_max), (2_048, 1 << 20));
    assert_eq!(response.edits.apply(br#"{"a/b":1}"#).unwrap(), b"{}");
    let many: Vec<String> = (0..65).map(|number| format!("/a{number}: b")).collect();
    for body in [
        "{set: {a: b}}",
        "{remove: [a]}",
        "{rename: {/a: b}}",
        "{remove: ['']}",
        &format!("{{set: {{{}}}}}", many.join(", ")),
    ] {
        let error =
            read_text(&file("/a", "key", &format!("{{request: {{body: {body}}}}}"))).map(|_| ()).expect_err(body);
        assert_eq!(error.problems[0].code.name(), "bad_value", "{error}");
    }
    let vault = "upstreams: [{name: u, backends: [{url: http://h}]}]\nroutes:\n  - path: /a\n    auth: none\n    upstreams: u\n    \
        transformations: {request: {body: {set: {/b: '\"vault:x\"', /a: 'vault:x'}}}}\n";
    let error = read_text(vault).map(|_| ()).expect_err(vault);
    let column = vault.lines().nth(5).unwrap().find("'vault:x'").unwrap() + 1;
    let places: Vec<_> = error.problems.iter().map(|problem| (problem.code.name(), problem.place.unwrap())).collect();
    let [(code, place)] = places.as_slice() else { panic!("{error}") };
    assert_eq!((*code, place.line as usize, place.column as usize), ("bad_value", 6, column), "{error}");
    let without = "routes: [{path: /a, respond: {}, transformations: {response: {body: {remove: [/a]}}}}]";
    assert_eq!(read_text(without).map(|_| ()).expect_err(without).problems[0].code.name(), "bad_value");
}
