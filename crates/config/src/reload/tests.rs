mod references;

use settings::environment::Environment;
use settings::section::section_input::SectionInput;

use super::*;
use crate::load::load_text;
use crate::schema::RootInput;
use crate::sources::flags::Flags;

const RUNNING: &str = "listen: 127.0.0.1:8080\ncontrol: {cors: {allowed_origins: [\"https://a.example\"]}}\n\
    upstreams: [{name: u, backends: [{url: \"http://127.0.0.1:1\"}]}]\n\
    routes: [{name: a, path: /a, upstreams: u}, {name: b, path: /b, upstreams: u}]\n";

fn loaded(text: &str) -> LoadedConfig {
    let environment = Environment::default();
    load_text("old.yaml", text, Sources { file: None, environment: &environment, flags: Flags::default() }).unwrap()
}

fn replace(old: &LoadedConfig, text: &str, is_posted: bool) -> Result<LoadedConfig, String> {
    let environment = Environment::from_variables([("JWT_SECRET", "S3CRET"), ("KEY", "sk-S3CRET")]);
    let running = RunningConfig {
        settings: old.settings(),
        snapshot: &old.snapshot,
        has_mock: old.snapshot.traffic.mock.on,
        started_with: old.settings(),
    };
    let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
    let accepted = [old.text.clone()];
    let text = ConfigText { name: "new.yaml", text, posted: is_posted.then_some(&accepted[..]) };
    reload(&running, text, sources).map_err(|error| error.to_string())
}

#[test]
fn a_change_of_a_listener_is_refused_with_its_line_and_column() {
    let old = loaded(RUNNING);
    let error = replace(&old, &RUNNING.replace("8080", "8081"), false).unwrap_err();
    assert_eq!(
        error,
        "error[needs_restart]: `listen` cannot change while Tollgate runs\n --> new.yaml:1:9\n  |\n1 | listen: \
         127.0.0.1:8081\n  |         ^^^^^^^^^^^^^^ expected 127.0.0.1:8080, as in the running configuration, or a restart"
    );
}

#[test]
fn a_secret_that_cannot_change_is_not_shown() {
    let old = loaded("midtrans: {server_key: a, client_key: b}\n");
    let error = replace(&old, "midtrans:\n  server_key: S3CRET\n  client_key: b\n", false).unwrap_err();
    assert!(error.contains("`midtrans.server_key` cannot change") && error.contains("new.yaml:2:15"), "{error}");
    assert!(error.contains("2 |   server_key: ***") && !error.contains("S3CRET"), "{error}");
}

#[test]
fn a_removed_key_is_reported_at_the_mapping_around_it() {
    let old = loaded("log: {level: warn, format: json}\nworkers: 3\n");
    let error = replace(&old, "log: {format: json}\n", false).unwrap_err();
    assert!(error.contains("`log.level` cannot change") && error.contains("new.yaml:1:1"), "{error}");
    assert!(error.contains("`workers` cannot change") && error.contains("new.yaml:1:1"), "{error}");
}

#[test]
fn routes_change_and_the_buffer_of_bodies_does_not() {
    let old = loaded(RUNNING);
    let new = replace(&old, &RUNNING.replace("path: /b", "path: /c"), false).unwrap();
    let (changed, more) = changes(old.settings(), new.settings());
    let [change] = &*changed else { panic!("{changed:?}") };
    assert_eq!((change.key.as_str(), more), ("routes[b].path", 0));
    let error = replace(&old, &format!("{RUNNING}sizes: {{buffered: 1MiB, body: 1MiB}}\n"), false).unwrap_err();
    assert!(error.contains("sizes.buffered") && !error.contains("sizes.body"), "{error}");
}

#[test]
fn a_new_first_route_does_not_rename_those_behind_it() {
    let old = loaded(RUNNING);
    let new = RUNNING.replace("routes: [", "routes: [{name: c, path: /c, upstreams: u}, ");
    let (changed, _) = changes(old.settings(), replace(&old, &new, false).unwrap().settings());
    assert!(
        changed.iter().all(|change| change.key.starts_with("routes[c].") && change.before.is_none()),
        "{changed:?}"
    );
    let is_written = |key: &str| new.contains(key.rsplit(['.', ']']).next().unwrap_or_default());
    assert!(!changed.is_empty() && changed.iter().all(|change| is_written(&change.key)), "no defaults: {changed:?}");
    let (removed, _) = changes(replace(&old, &new, false).unwrap().settings(), old.settings());
    assert_eq!(removed.len(), changed.len(), "{removed:?}");
}

#[test]
fn a_changed_secret_is_a_change_without_its_value() {
    let with = |secret: &str| {
        format!(
            "providers: [{{name: o, kind: openai, base_url: \"https://api.openai.com/v1\", credential: {secret}}}]\n"
        )
    };
    let old = loaded(&with("sk-S3CRET-1"));
    let (changed, _) = changes(old.settings(), replace(&old, &with("sk-S3CRET-2"), false).unwrap().settings());
    assert_eq!(changed.len(), 1);
    assert!(!format!("{changed:?}").contains("S3CRET") && !serde_json::to_string(&changed).unwrap().contains("S3CRET"));
    let (changed, _) = changes(old.settings(), replace(&old, &with("sk-S3CRET-1"), false).unwrap().settings());
    assert_eq!(changed, []);
}

#[test]
fn a_stored_text_refers_to_its_secrets() {
    let list = "control: {config: {variables: [KEY, NONE]}}\n";
    let old = loaded(list);
    for (secret, is_valid) in [
        ("sk-1", false),
        ("${KEY}", true),
        ("${KEY:-}", true),
        ("${NONE:-sk-1}", false),
        ("sk-${KEY}", false),
        ("vault", true),
        ("${JWT_SECRET}", false),
        ("file:/etc/hostname", false),
    ] {
        let text = format!("{list}providers: [{{name: o, kind: openai, credential: \"{secret}\"}}]");
        let result = replace(&old, &text, true);
        assert_eq!(result.is_ok(), is_valid, "{secret}: {:?}", result.err());
        let has_literal = secret.contains("sk-");
        assert_eq!(replace(&old, &text, false).unwrap().has_literal_secrets, has_literal, "{secret}");
    }
}

/// A variable or the mock may replace the value of a text, which is stored and shown nevertheless.
#[test]
fn a_secret_of_a_text_is_found_though_it_is_not_in_effect() {
    let provider = "providers: [{name: o, kind: openai, credential: sk-S3CRET}]\n";
    let headers = "transformations: {request: {add_headers: {X.Api-Key: sk-S3CRET}}}";
    let upstream = "upstreams: [{name: u, backends: [{url: \"http://h\"}]}]\n";
    let route = format!("{upstream}routes: [{{path: /a, upstreams: u, {headers}}}]\n");
    let mocked = format!("{provider}mock: true\n");
    for (text, variable, mock) in [
        (provider, None, true),
        (provider, Some(("MOCK", "true")), false),
        (mocked.as_str(), None, false),
        (provider, Some(("TOLLGATE_PROVIDERS", "[]")), false),
        ("store: {url: \"postgres://u:S3CRET@h/d\"}\n", Some(("DATABASE_URL", "postgres://u:other@h/d")), false),
        ("redis: \"redis://:S3CRET@h\"\n", Some(("REDIS_URL", "redis://:other@h")), false),
        ("metrics: {token: S3CRET}\n", Some(("TOLLGATE_METRICS__TOKEN", "other")), false),
        (route.as_str(), None, false),
    ] {
        let environment = Environment::from_variables(variable);
        let sources = || Sources { file: None, environment: &environment, flags: Flags { mock, ..Flags::default() } };
        let new = load_text("new.yaml", text, sources()).unwrap();
        assert!(new.has_literal_secrets, "{text}");
        assert!(!crate::masked(text, new.settings()).contains("S3CRET"), "{text}");
        let old = load_text("old.yaml", "", sources()).unwrap();
        let running = RunningConfig {
            settings: old.settings(),
            snapshot: &old.snapshot,
            has_mock: true,
            started_with: old.settings(),
        };
        let posted = ConfigText { name: "new.yaml", text, posted: Some(&[]) };
        let error = reload(&running, posted, sources()).unwrap_err().to_string();
        assert!(error.starts_with("error[literal_secret]"), "{text}: {error}");
    }
}

#[test]
fn a_stored_text_refers_to_the_secrets_of_its_health_checks() {
    let list = "control: {config: {variables: [KEY]}}\n";
    let old = loaded(list);
    for (header, is_shown, is_literal) in [
        ("Authorization: \"Bearer s3cret\"", false, true),
        ("X-Api-Key: s3cret", false, true),
        ("Authorization: \"Bearer ${KEY}\"", false, false),
        ("X-A: b", true, false),
    ] {
        let check = format!("health_check: {{path: /h, headers: {{{header}}}}}");
        let text = format!("{list}upstreams: [{{name: u, backends: [{{url: \"http://h\"}}], {check}}}]\n");
        let result = replace(&old, &text, true);
        let is_refused = result.as_ref().is_err_and(|error| error.starts_with("error[literal_secret]"));
        assert_eq!((is_refused, result.is_ok()), (is_literal, !is_literal), "{header}: {:?}", result.err());
        let new = replace(&old, &text, false).unwrap();
        let shown = new.settings().iter().find(|setting| setting.key.starts_with("upstreams[0].health_check.headers."));
        assert_eq!(shown.unwrap().value.to_string() == "***", !is_shown, "{header}");
        assert_eq!((new.has_literal_secrets, crate::masked(&text, new.settings()) == text), (is_literal, !is_literal));
    }
}

#[test]
fn a_stored_text_refers_to_the_secrets_of_its_routes() {
    let list = "control: {config: {variables: [KEY]}}\n";
    let old = loaded(list);
    let rewrite =
        |inner: &str| format!("routes: [{{path: /a, upstreams: u, transformations: {{request: {{{inner}}}}}}}]");
    for (section, is_literal) in [
        (rewrite("rewrite: {query: {add: {key: s3cret}}}"), true),
        (rewrite("rewrite: {query: {add: {key: \"${KEY}\", page: s3cret}}}"), false),
        (rewrite("body: {set: {/metadata/api_key: s3cret}}"), true),
        (rewrite("body: {set: {/metadata/author: s3cret, /max_tokens: 1000}}"), false),
        ("routes: [{path: /a, upstreams: u, headers: {X-Token: s3cret}}]".to_owned(), true),
        (
            "routes: [{path: /a, upstreams: u, headers: {X-Author: s3cret, X-Token: {regex: '^s3cret'}}}]".to_owned(),
            false,
        ),
        ("routes: [{path: /a, upstreams: u, query: {key: s3cret}}]".to_owned(), true),
        ("tests: [{request: GET /, headers: {Authorization: s3cret}, expect: {status: 404}}]".to_owned(), true),
    ] {
        let text = format!("{list}upstreams: [{{name: u, backends: [{{url: \"http://h\"}}]}}]\n{section}\n");
        let result = replace(&old, &text, true);
        let is_refused = result.as_ref().is_err_and(|error| error.starts_with("error[literal_secret]"));
        assert_eq!((is_refused, result.is_ok()), (is_literal, !is_literal), "{section}: {:?}", result.err());
        let new = replace(&old, &text, false).unwrap();
        let is_shown = new.settings().iter().any(|setting| setting.value.to_string().contains("s3cret"));
        assert_eq!(is_shown, !is_literal, "{section}");
    }
}

#[test]
fn a_file_that_the_running_process_has_read_may_be_missing_later() {
    let text = "billing: {enabled: true, webhooks_ca: /none/ca.pem}\n";
    let old = loaded(text);
    assert!(old.clone().for_server().is_err(), "a start needs it");
    let other = replace(&old, &format!("{text}plans: [{{name: pro}}]\n"), false);
    assert!(other.is_ok(), "{:?}", other.err());
}

#[test]
fn billing_changes_while_the_process_runs_except_for_its_files() {
    let old = loaded("");
    let on = "billing: {enabled: true, seller: {name: Acme}, tax: {name: PPN, rate: 12%, from: 2025-01-01}}\n";
    let new = replace(&old, on, true).unwrap();
    assert_eq!(new.snapshot.traffic.billing.seller.name, "Acme");
    let mail = "mail: {smtp: smtps://h, from: a@b.example, ca: /none/ca.pem}\n";
    let webhooks = "billing: {webhooks_ca: /none/ca.pem}\n";
    for (before, after, key) in [
        (mail.to_owned(), format!("{mail}billing: {{enabled: true}}\n"), "`mail.ca` is read at the start"),
        (webhooks.to_owned(), webhooks.replace("{", "{enabled: true, "), "`billing.webhooks_ca` is read at the start"),
        (on.to_owned(), on.replace("seller", "webhooks_ca: /a, seller"), "`billing.webhooks_ca` cannot change"),
        (on.to_owned(), format!("{on}midtrans: {{merchant_id: M1}}\n"), "`midtrans.merchant_id` cannot change"),
    ] {
        let error = replace(&loaded(&before), &after, false).unwrap_err();
        assert!(error.starts_with("error[needs_restart]") && error.contains(key), "{after}: {error}");
    }
}

#[test]
fn the_stub_takes_no_payments_beside_a_real_account_or_in_production() {
    for (rest, other) in
        [("midtrans: {server_key: k}\n", "midtrans.server_key"), ("production: true\n", "production: true")]
    {
        let text = format!("billing: {{enabled: true, stub: true}}\n{rest}");
        let environment = Environment::default();
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        let error = load_text("new.yaml", &text, sources).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("new.yaml:1:32") && error.contains(other), "{error}");
    }
}

#[test]
fn certificates_of_listeners_that_became_invalid_refuse_no_reload() {
    let client = "client: {ca: /none/ca.pem, mode: optional}";
    let text =
        format!("listen: [{{address: '127.0.0.1:1', tls: {{cert: /none/a.pem, key: /none/a.key, {client}}}}}]\n");
    let old = loaded(&text);
    assert!(old.clone().for_server().is_err(), "a start needs them");
    let other = replace(&old, &format!("{text}plans: [{{name: pro}}]\n"), false);
    assert!(other.is_ok(), "{:?}", other.err());
}

#[test]
fn no_stored_comment_contains_a_secret() {
    let old = loaded("");
    let text = "# the limits of today\nsizes: {body: 1MiB} # key: tollgate_0123456789abcdef0123456789abcdef\n";
    let error = replace(&old, text, true).unwrap_err();
    assert_eq!(
        error,
        "error[literal_secret]: a comment contains a secret: a configuration is stored with its comments
 --> new.yaml:2:21
  |
2 | sizes: {body: 1MiB} ***
  |                     ^^^ expected a comment without it"
    );
    assert!(replace(&old, text, false).unwrap().has_literal_secrets, "the text of a file is not stored");
    assert!(!replace(&old, "# the limits of today\nsizes: {body: 1MiB}\n", true).unwrap().has_literal_secrets);
}

#[test]
fn the_mock_does_not_begin_to_run() {
    let old = loaded("providers: [{name: o, kind: openai, credential: x}]");
    let error = replace(&old, "providers: [{name: o, kind: openai, credential: x}]\nmock: true\n", false).unwrap_err();
    assert!(error.contains("needs_restart") && error.contains("new.yaml:2:7"), "{error}");
}

#[test]
fn a_list_of_which_several_values_change_is_reported_once() {
    let old = loaded("");
    let limits = "control:\n  rate_limits:\n    - {dimension: ip, limit: 5, window: 1s}\n";
    let error = replace(&old, limits, false).unwrap_err();
    assert_eq!(error.matches("needs_restart").count(), 1, "{error}");
    assert!(
        error.contains("`control.rate_limits` cannot change") && error.contains("expected the same entries, as"),
        "{error}"
    );
}

#[test]
fn the_cluster_with_the_configuration_does_not_change() {
    let text = "etcd: {urls: ['https://a.internal:2379'], user: tollgate, password: '${KEY}'}\n";
    let other = [("a.internal", "b.internal"), ("user: tollgate", "user: other"), ("${KEY}", "${JWT_SECRET}")];
    let with_key = format!("{text}config: {{etcd: /tollgate/config}}\n");
    let environment = Environment::from_variables([("JWT_SECRET", "S3CRET"), ("KEY", "sk-S3CRET")]);
    let load = |text: &str| {
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        load_text("old.yaml", text, sources).unwrap()
    };
    let followed = load(&with_key);
    let members = load(text);
    assert!(replace(&followed, &with_key, false).is_ok());
    for (from, to) in other {
        let error = replace(&followed, &with_key.replace(from, to), false).unwrap_err();
        assert!(error.contains("needs_restart") && error.contains("`etcd."), "{error}");
        assert!(!error.contains("S3CRET"), "{error}");
        assert!(replace(&members, &text.replace(from, to), false).is_ok(), "members of upstreams follow {to}");
    }
    let of_key = "etcd: {urls: ['https://c.internal:2379']}\nconfig: {etcd: /tollgate/config}\n";
    assert_eq!(replace(&followed, of_key, true).err(), None, "each node has its own cluster in its file");
}

#[test]
fn every_key_of_the_process_needs_a_restart() {
    for key in ["listen", "listen[0].tls.cert", "control.rate_limits[0].limit", "store.url", "redis", "sizes.buffered"]
    {
        assert!(RootInput::SPEC.needs_restart(key), "{key}");
    }
    for key in ["routes[0].path", "sizes.body", "plans", "ai.prefix", "providers[0].name"] {
        assert!(!RootInput::SPEC.needs_restart(key), "{key}");
    }
}

#[test]
fn providers_and_upstreams_whose_requests_reach_other_servers_are_found() {
    let text = "upstreams: [{name: u, backends: [{url: \"http://127.0.0.1:1\"}]}, {name: v, backends: [{url: \"http://127.0.0.1:2\"}]}]\n\
        routes: [{name: a, path: /a, upstreams: u}, {name: b, path: /b, upstreams: v}]\n";
    let own = "providers: [{name: openai, kind: openai, base_url: \"https://a.example/v1\", credential: k}]\n";
    let check = |old: &str, new: &str, expected: &[&str]| {
        let old = loaded(old);
        let new = loaded(new);
        let running = RunningConfig {
            settings: old.settings(),
            snapshot: &old.snapshot,
            has_mock: old.snapshot.traffic.mock.on,
            started_with: old.settings(),
        };
        let found = redirected(&running, &new);
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    };
    check(text, text, &[]);
    check(text, &text.replace("path: /a", "path: /c"), &[]);
    check(text, &text.replace("{name: u, ", "{name: u, slow_start: 3s, "), &[]);
    check(text, &text.replace("127.0.0.1:2", "127.0.0.1:3"), &["v"]);
    check(text, &text.replace("name: v", "name: w").replace("upstreams: v", "upstreams: w"), &["v", "w"]);
    let discovering = text.replace("{name: u, ", "{name: u, discover: {dns: \"a.example:80\"}, ");
    check(text, &discovering, &["u"]);
    check(&discovering, &discovering.replace("a.example", "b.example"), &["u"]);
    check(text, &format!("{text}dns: {{refresh_max: 5s}}\n"), &["u", "v"]);
    // Without `providers`, OpenAI has its public address.
    check(text, &format!("{text}providers: [{{name: openai, kind: openai, credential: k}}]\n"), &[]);
    check(text, &format!("{text}{own}"), &["openai"]);
    check(&format!("{text}{own}"), &format!("{text}{}", own.replace("credential: k", "credential: vault")), &[]);
    check(&format!("{text}{own}"), &format!("{text}{}", own.replace("a.example", "b.example")), &["openai"]);
    check(
        &format!("{text}{own}"),
        &format!("{text}{}", own.replace("name: openai", "name: other")),
        &["openai", "other"],
    );
}
