//! The rule for references in texts of the API.

use std::path::Path;
use std::process::Command;

use super::*;

const VARIABLES: [(&str, &str); 3] =
    [("JWT_SECRET", "S3CRET"), ("OPENAI_API_KEY", "sk-S3CRET"), ("API_PORT", "S3CRET7")];

/// Returns the result of a text of the API that replaces the text of a file.
fn post_with(file: &str, text: &str, variables: &[(&str, &str)]) -> Result<LoadedConfig, String> {
    post_over(file, file, text, variables)
}

/// Returns the result of a text of the API that replaces `running`; `file` is the text of the file.
fn post_over(running: &str, file: &str, text: &str, variables: &[(&str, &str)]) -> Result<LoadedConfig, String> {
    let environment = Environment::from_variables(variables.iter().copied());
    let sources = || Sources { file: None, environment: &environment, flags: Flags::default() };
    let old = load_text("old.yaml", running, sources()).unwrap();
    let running = RunningConfig {
        settings: old.settings(),
        snapshot: &old.snapshot,
        has_mock: false,
        started_with: old.settings(),
    };
    let accepted = [old.text.clone(), file.into()];
    let text = ConfigText { name: "new.yaml", text, posted: Some(&accepted) };
    let result = reload(&running, text, sources()).map_err(|error| error.to_string());
    if let Err(error) = &result {
        assert!(!error.contains("S3CRET"), "{error}");
    }
    result
}

fn post(file: &str, text: &str) -> Result<LoadedConfig, String> {
    post_with(file, text, &VARIABLES)
}

fn is_forbidden(result: &Result<LoadedConfig, String>) -> bool {
    result.as_ref().is_err_and(|error| error.contains("error[forbidden_reference]"))
}

/// Returns texts that name a file by each kind of key.
fn naming(path: &Path) -> Vec<String> {
    let path = path.display();
    let tls =
        |key: &str| format!("upstreams: [{{name: u, backends: [{{url: \"https://h\"}}], tls: {{{key}: {path}}}}}]");
    vec![
        format!("prices_file: {path}"),
        format!("routes: [{{path: /a, respond: {{body: \"file:{path}\"}}}}]"),
        format!("auth: [{{name: a, type: jwt, algorithms: [RS256], public_key: \"file:{path}\"}}]"),
        tls("ca"),
        format!("upstreams: [{{name: u, backends: [{{url: \"https://h\"}}], tls: {{cert: {path}, key: {path}}}}}]"),
        format!("auth: [{{name: a, type: jwt, algorithms: [HS256], secret: \"file:{path}\"}}]"),
        format!("auth: [{{name: a, type: key, keys: [{{name: k, value: \"file:{path}\"}}]}}]"),
        format!("providers: [{{name: o, kind: openai, credential: \"file:{path}\"}}]"),
        format!("listen: [{{address: \"127.0.0.1:1\", tls: {{cert: {path}, key: {path}}}}}]"),
        format!("control: {{tls: {{cert: {path}, key: {path}}}}}"),
    ]
}

#[test]
fn the_api_names_no_file_that_the_operator_did_not_list() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("master_key");
    std::fs::write(&secret, "S3CRET-S3CRET-S3CRET-S3CRET-S3CRET\n").unwrap();
    let fifo = folder.path().join("fifo");
    // Reading it would block without an end.
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for path in [secret.as_path(), &fifo, Path::new("/proc/self/environ"), Path::new("/run/secrets/none")] {
        for text in naming(path) {
            let result = post("", &text);
            assert!(is_forbidden(&result), "{text}: {:?}", result.err());
        }
    }
    let result = post("", &format!("prices_file: {}\n", secret.display()));
    let expected = format!(
        "error[forbidden_reference]: `prices_file` refers to {0}, which the API may not use\n --> new.yaml:1:14\n  |\n1 | \
         prices_file: {0}\n  |              {1} expected a file in a folder of `control.config.files` of the configuration \
         file, or the entry as it is in force",
        secret.display(),
        "^".repeat(secret.display().to_string().len())
    );
    assert_eq!(result.unwrap_err(), expected);
}

#[test]
fn a_listed_folder_opens_its_regular_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("public");
    std::fs::create_dir_all(public.join("below")).unwrap();
    std::fs::write(folder.path().join("secret"), "S3CRET").unwrap();
    std::fs::write(public.join("below/text"), "hello\n").unwrap();
    std::fs::write(public.join("large"), vec![b'x'; 5 << 20]).unwrap();
    std::os::unix::fs::symlink("../secret", public.join("out")).unwrap();
    std::os::unix::fs::symlink("below/text", public.join("in")).unwrap();
    assert!(Command::new("mkfifo").arg(public.join("fifo")).status().unwrap().success());
    let file = format!("control: {{config: {{files: [{}]}}}}\n", public.display());
    let post_path = |path: &str| {
        let path = public.join(path);
        post(&file, &format!("{file}routes: [{{path: /a, respond: {{body: \"file:{}\"}}}}]", path.display()))
    };
    for name in ["below/text", "in"] {
        assert!(post_path(name).is_ok(), "{name}");
    }
    // A folder may have the name of a variable, whose value the reader would take instead.
    std::fs::write(public.join("${HOME}"), "hello\n").unwrap();
    for name in ["../secret", "out", "below/../../secret", "${HOME}"] {
        assert!(is_forbidden(&post_path(name)), "{name}");
    }
    for (name, reason) in [("fifo", "not a regular file"), ("", "not a regular file"), ("large", "larger than")] {
        let error = post_path(name).unwrap_err();
        assert!(error.starts_with("error[file]") && error.contains(reason), "{name}: {error}");
    }
}

/// The sender of a text could otherwise read a line of any file that is no price file.
#[test]
fn lines_of_a_price_file_are_not_shown_to_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.yaml");
    std::fs::write(&path, "as_of: 2027-01-01\nsource: s\n").unwrap();
    let text = format!("prices_file: {}\n", path.display());
    for broken in ["S3CRET\n", "S3CRET: 1\nb: 2\n", "as_of: S3CRET\n", "S3CRET: [\n"] {
        let environment = Environment::default();
        let sources = || Sources { file: None, environment: &environment, flags: Flags::default() };
        std::fs::write(&path, "as_of: 2027-01-01\nsource: s\n").unwrap();
        let old = load_text("old.yaml", &text, sources()).unwrap();
        let running = RunningConfig {
            settings: old.settings(),
            snapshot: &old.snapshot,
            has_mock: false,
            started_with: old.settings(),
        };
        std::fs::write(&path, broken).unwrap();
        let accepted = [old.text.clone()];
        let posted = format!("{text}via: true\n");
        let posted = ConfigText { name: "new.yaml", text: &posted, posted: Some(&accepted) };
        let error = reload(&running, posted, sources()).unwrap_err().to_string();
        assert!(!error.contains("S3CRET") && error.contains("`prices_file` names a file with"), "{error}");
        assert!(
            load_text("t.yaml", &text, sources()).unwrap_err().to_string().contains("S3CRET"),
            "the operator sees it"
        );
    }
}

#[test]
fn the_api_reads_no_variable_that_the_operator_did_not_list() {
    let file = "control: {config: {variables: [API_PORT]}}\n";
    for (body, is_allowed) in [
        ("${API_PORT}", true),
        ("${API_PORT:-x}", true),
        ("${OPENAI_API_KEY}", false),
        ("${OPENAI_API_KEY:-x}", false),
        ("${API_PORT}${OPENAI_API_KEY}", false),
        ("${JWT_SECRET}", false),
        ("${HOME_OF_NOBODY}", false),
        ("file:${API_PORT}", false),
    ] {
        let result = post(file, &format!("{file}routes: [{{path: /a, respond: {{body: \"{body}\"}}}}]\n"));
        assert_eq!(is_forbidden(&result), !is_allowed, "{body}: {:?}", result.err());
    }
    let error = post(file, &format!("{file}routes: [{{path: /a, respond: {{body: \"${{OPENAI_API_KEY}}\"}}}}]\n"));
    let error = error.unwrap_err();
    assert!(error.contains("refers to the variable OPENAI_API_KEY, which the API may not use"), "{error}");
    assert!(
        error.contains("expected OPENAI_API_KEY in `control.config.variables` of the configuration file"),
        "{error}"
    );
}

#[test]
fn an_entry_in_force_keeps_its_references_and_a_changed_one_does_not() {
    let provider =
        |url: &str| format!("{{name: o, kind: openai, base_url: \"{url}\", credential: \"${{OPENAI_API_KEY}}\"}}");
    let own = provider("https://api.openai.com/v1");
    let other = provider("https://thief.example/v1");
    let mock = "{name: a, kind: anthropic, credential: vault}";
    let file = format!("providers: [{own}, {mock}]\nmetrics: {{token: \"${{API_PORT}}\"}}\n");
    for (text, is_allowed) in [
        (format!("{file}via: true\n"), true),
        (file.replace(&format!("{own}, {mock}"), &format!("{mock}, {own}")), true),
        (file.replace(&own, &other), false),
        (file.replace(&own, &own.replace("name: o", "name: p")), false),
        (format!("{file}routes: [{{path: /a, respond: {{body: \"${{OPENAI_API_KEY}}\"}}}}]\n"), false),
    ] {
        let result = post(&file, &text);
        assert_eq!((result.is_ok(), is_forbidden(&result)), (is_allowed, !is_allowed), "{text}: {:?}", result.err());
    }
}

fn upstream(name: &str, host: &str) -> String {
    format!("{{name: {name}, backends: [{{url: \"http://{host}\"}}]}}")
}

/// Returns a route that sends a variable to its upstreams.
fn route_with_secret(upstreams: &str) -> String {
    let headers = "{Authorization: \"Bearer ${OPENAI_API_KEY}\", X-Path: \"${path.id}\"}";
    format!("{{path: '/{{id}}', upstreams: {upstreams}, transformations: {{request: {{add_headers: {headers}}}}}}}")
}

/// The sender of a text could otherwise let the route send its secrets to any host.
#[test]
fn a_route_keeps_its_references_while_its_upstreams_stay() {
    let a = upstream("a", "a.internal");
    let b = upstream("b", "b.internal");
    let thief = upstream("a", "thief.example");
    let respond = "{path: /own, respond: {body: \"${OPENAI_API_KEY}\"}}";
    for (upstreams, kept, lost) in [
        ("a", "via: true", "dns: {servers: [192.0.2.1]}"),
        ("[a]", "via: true", "etcd: {urls: [\"http://192.0.2.1:2379\"]}"),
        ("[{name: a, weight: 2}]", "via: true", "consul: {url: \"http://192.0.2.1:8500\"}"),
    ] {
        let file = format!("upstreams: [{a}, {b}]\nroutes: [{}, {respond}]\n", route_with_secret(upstreams));
        for (text, is_allowed) in [
            (format!("{file}{kept}\n"), true),
            (file.replace(&format!("{a}, {b}"), &format!("{b}, {a}")), true),
            (file.replace("b.internal", "c.internal"), true),
            (file.replace(&b, &format!("{b}, {}", upstream("c", "c.internal"))), true),
            (file.replace(&a, &thief), false),
            (file.replace(&format!("{a}, {b}"), &format!("{b}, {thief}")), false),
            (format!("{file}{lost}\n"), false),
        ] {
            let result = post(&file, &text);
            let is_found = (result.is_ok(), is_forbidden(&result));
            assert_eq!(is_found, (is_allowed, !is_allowed), "{text}: {:?}", result.err());
        }
    }
    let both = format!("upstreams: [{a}, {b}]\nroutes: [{}]\n", route_with_secret("[a, b]"));
    let error = post(&both, &both.replace("b.internal", "c.internal")).unwrap_err();
    assert!(error.contains("refers to the variable OPENAI_API_KEY, which the API may not use"), "{error}");
    assert!(
        error.contains(
            "expected OPENAI_API_KEY in `control.config.variables` of the configuration file, or the route, its \
             upstreams, `dns`, `etcd` and `consul` as they are in force: change these in the file"
        ),
        "{error}"
    );
}

/// Otherwise a text with the upstreams of the thief could be followed by one with the route of the file.
#[test]
fn a_route_and_its_upstreams_are_those_of_one_text() {
    let a = upstream("a", "a.internal");
    let thief = upstream("a", "thief.example");
    let routes = format!("routes: [{}]\n", route_with_secret("a"));
    let file = format!("upstreams: [{a}]\n{routes}");
    let running = format!("upstreams: [{thief}]\n");
    assert!(is_forbidden(&post_over(&running, &file, &format!("{running}{routes}"), &VARIABLES)));
    assert!(post_over(&running, &file, &file, &VARIABLES).is_ok());
}

/// The checks of an upstream may send secrets, too.
#[test]
fn an_upstream_keeps_its_references_while_the_sources_of_addresses_stay() {
    let check = "health_check: {path: /h, headers: {Authorization: \"Bearer ${OPENAI_API_KEY}\"}}";
    let file = format!("upstreams: [{{name: u, backends: [{{url: \"http://u.internal\"}}], {check}}}]\n");
    assert!(post(&file, &format!("{file}via: true\n")).is_ok());
    assert!(is_forbidden(&post(&file, &format!("{file}dns: {{servers: [192.0.2.1]}}\n"))));
}

#[test]
fn routes_of_a_variable_keep_their_references_while_their_upstreams_stay() {
    let routes = format!("[{}]", route_with_secret("a"));
    let variables = [("TOLLGATE_ROUTES", routes.as_str()), ("OPENAI_API_KEY", "sk-S3CRET")];
    let file = format!("upstreams: [{}]\n", upstream("a", "a.internal"));
    assert!(post_with(&file, &format!("{file}via: true\n"), &variables).is_ok());
    let thief = format!("upstreams: [{}]\n", upstream("a", "thief.example"));
    assert!(is_forbidden(&post_with(&file, &thief, &variables)));
}

/// A text of the API cannot move a credential of a variable to another entry: the variable sets the whole list.
#[test]
fn a_list_of_a_variable_replaces_the_list_of_a_text() {
    let of_variable =
        "[{name: o, kind: openai, base_url: 'https://api.openai.com/v1', credential: '${OPENAI_API_KEY}'}]";
    let variables = [("TOLLGATE_PROVIDERS", of_variable), ("OPENAI_API_KEY", "sk-S3CRET")];
    let thief = "providers: [{name: o, kind: openai, base_url: 'https://thief.example/v1'}]\n";
    for text in ["via: true\n", thief] {
        let loaded = post_with("", text, &variables).unwrap();
        let provider = loaded.snapshot.traffic.providers.iter().find(|provider| &*provider.name == "o").unwrap();
        assert_eq!(&*provider.origin.host, "api.openai.com", "{text}");
    }
}

#[test]
fn the_api_allows_no_link_local_address() {
    let upstream =
        |name: &str, more: &str| format!("{{name: {name}, backends: [{{url: \"http://169.254.169.254\"}}]{more}}}");
    let allowed = |name: &str| upstream(name, ", allow_link_local: true");
    let file = format!("upstreams: [{}]\n", allowed("u"));
    assert!(post(&file, &format!("{file}via: true\n")).is_ok());
    for text in [
        format!("upstreams: [{}, {}]\n", allowed("u"), allowed("v")),
        format!("upstreams: [{}, {}]\n", allowed("u"), upstream("v", "")),
        format!("upstreams: [{}]\n", allowed("u").replace("254\"", "253\"")),
        "auth: [{name: a, type: jwt, algorithms: [RS256], jwks: \"https://h\", allow_link_local: true}]\n".to_owned(),
        "auth: [{name: a, type: forward, url: \"http://h\", allow_link_local: true}]\n".to_owned(),
        "providers: [{name: a, kind: openai, credential: vault, allow_link_local: true}]\n".to_owned(),
    ] {
        let error = post(&file, &text).err().unwrap_or_default();
        assert!(error.contains("link_local"), "{text}: {error}");
    }
}

#[test]
fn the_api_sets_no_script_of_a_check() {
    let upstream = |name: &str, script: &str| {
        format!("{{name: {name}, backends: [{{url: \"http://h\"}}], health_check: {{script: {script}}}}}")
    };
    let file = format!("upstreams: [{}]\n", upstream("u", "[/opt/check.sh, a]"));
    assert!(post(&file, &format!("{file}via: true\n")).is_ok(), "the entry is that in force");
    for script in ["[/opt/check.sh]", "[/opt/check.sh, b]", "[/bin/sh]"] {
        let error = post(&file, &format!("upstreams: [{}]\n", upstream("u", script))).err().unwrap_or_default();
        assert!(error.contains("the API cannot set"), "{script}: {error}");
    }
    let error = post(&file, &format!("upstreams: [{}]\n", upstream("v", "[/opt/check.sh, a]"))).err();
    assert!(error.unwrap_or_default().contains("the API cannot set"));
}

#[test]
fn values_of_references_are_masked() {
    let file = "control: {config: {variables: [API_PORT]}}\n";
    let text = format!("{file}routes: [{{name: a, path: /a, respond: {{body: \"${{API_PORT}}\"}}}}]\n");
    let new = post(file, &text).unwrap();
    let (changed, _) = changes(&[], new.settings());
    assert!(!serde_json::to_string(&changed).unwrap().contains("S3CRET"), "{changed:?}");
    let body = new.settings().iter().find(|setting| setting.key == "routes[0].respond.body").unwrap();
    assert_eq!((body.value.to_string(), body.without_reference().value.to_string()), ("S3CRET7".into(), "***".into()));
    let path = new.settings().iter().find(|setting| setting.key == "routes[0].path").unwrap();
    assert_eq!(path.without_reference(), *path);
    let again = post(&text, &text.replace("/a", "/b")).unwrap();
    let (changed, _) = changes(new.settings(), again.settings());
    assert_eq!(changed.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["routes[a].path"]);
}

#[test]
fn secrets_of_the_installation_cannot_be_listed() {
    for (section, is_valid) in [
        ("variables: [API_PORT, _a1]", true),
        ("variables: [JWT_SECRET]", false),
        ("variables: [MASTER_ENCRYPTION_KEY_PREVIOUS]", false),
        ("variables: [DATABASE_URL]", false),
        ("variables: [1A]", false),
        ("variables: ['A:-b']", false),
        ("files: [/etc/tollgate/public]", true),
        ("files: [/]", false),
        ("files: [public]", false),
        ("files: [/etc/tollgate/../..]", false),
    ] {
        let environment = Environment::default();
        let sources = Sources { file: None, environment: &environment, flags: Flags::default() };
        let loaded = load_text("t.yaml", &format!("control: {{config: {{{section}}}}}\n"), sources);
        assert_eq!(loaded.is_ok(), is_valid, "{section}");
    }
}
