//! Short forms of routes.

use super::errors::check;
use super::*;
use crate::snapshot::RedirectTarget;

const UPSTREAMS: &str = "upstreams: [{name: a, backends: [{url: http://a}]}, {name: b, backends: [{url: http://b}]}]\n";

#[test]
fn single_values_mean_sections_with_one_key() {
    let short = "routes: [{path: /a, auth: none, upstreams: [a, {name: b, weight: 3}]}, {path: /b, auth: key, redirect: '/c/d'}]";
    let long = "routes: [{path: /a, auth: {type: none}, upstreams: [{name: a}, {name: b, weight: 3}]}, \
        {path: /b, auth: {type: key}, redirect: {to: '/c/d'}}]";
    let [short, long] = [short, long].map(|routes| read_text(&format!("{UPSTREAMS}{routes}")).unwrap());
    let shown = |loaded: &LoadedConfig| {
        let settings = loaded.settings().iter().map(|setting| (setting.key.clone(), setting.value.clone()));
        settings.collect::<Vec<_>>()
    };
    assert_eq!(shown(&short), shown(&long));
    let routes = short.snapshot.traffic.router.routes();
    assert!(matches!(routes[0].policy.auth, Auth::None) && matches!(routes[1].policy.auth, Auth::Key));
    let Action::Split(split) = &routes[0].action else { panic!("{:?}", routes[0].action) };
    assert_eq!(split.upstreams.iter().map(|upstream| upstream.weight).collect::<Vec<_>>(), [1, 3]);
    let Action::Redirect(redirect) = &routes[1].action else { panic!("{:?}", routes[1].action) };
    assert!(matches!(&redirect.target, RedirectTarget::Address { to, .. } if to == "/c/d"));
}

#[test]
fn invalid_short_forms_are_reported_at_their_values() {
    check(
        "routes: [{path: /a, auth: nobody, respond: {}}]",
        "
error[bad_value]: `routes[0].auth.type` has an invalid value
 --> t.yaml:1:27
  |
1 | routes: [{path: /a, auth: nobody, respond: {}}]
  |                           ^^^^^^ expected `key`, `none`, `jwt`, `basic` or `forward`",
    );
    for (routes, code) in [
        ("{path: /a, redirect: nowhere}", "bad_value"),
        ("{path: /a, redirect: [/b]}", "wrong_type"),
        ("{path: /a, auth: [none], respond: {}}", "wrong_type"),
        ("{path: /a, upstreams: [a, c]}", "unknown_name"),
        ("{path: /a, upstreams: [a, a]}", "duplicate"),
        ("{path: /a, upstreams: [[a]]}", "wrong_type"),
    ] {
        let source = format!("{UPSTREAMS}routes: [{routes}]");
        let error = read_text(&source).map(|_| ()).expect_err(&source);
        assert_eq!(error.problems[0].code.name(), code, "{error}");
    }
}
