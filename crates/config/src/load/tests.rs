use std::time::Duration;

use super::*;
use crate::snapshot::{Auth, Events, PathMatch};

mod errors;

fn env(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("9000".to_owned()),
        "SECRET" => Some("S3CRET value".to_owned()),
        _ => None,
    }
}

fn read_text(source: &str) -> Result<Loaded, ConfigError> {
    load_text("t.yaml", source, Sources { file: None, env: &env, flags: Flags::default() })
}

fn snapshot(source: &str) -> Snapshot {
    read_text(source).unwrap_or_else(|error| panic!("{error}")).snapshot
}

#[test]
fn nothing_at_all_gives_the_defaults() {
    let none = |_: &str| None;
    let loaded = load(Sources { file: None, env: &none, flags: Flags::default() }).unwrap();
    let snapshot = loaded.snapshot;
    assert_eq!((snapshot.brand.name.as_str(), snapshot.brand.key_prefix.as_str()), ("Tollgate", "tollgate"));
    assert_eq!(snapshot.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(snapshot.control_listen, "127.0.0.1:8787".parse().unwrap());
    assert_eq!(snapshot.data, PathBuf::from("./tollgate-data"));
    assert_eq!(
        (snapshot.timeouts.first_byte, snapshot.timeouts.total),
        (Duration::from_secs(60), Duration::from_secs(900))
    );
    let ai = snapshot.ai.unwrap();
    assert_eq!(
        (ai.prefix.as_str(), ai.timeouts.first_byte, ai.timeouts.total),
        ("", Duration::from_secs(600), Duration::from_secs(1_800))
    );
    assert_eq!(snapshot.sizes.body_bytes_max, 32 << 20);
    let plans: Vec<_> = snapshot
        .plans
        .iter()
        .map(|plan| (plan.name.as_str(), plan.credits_per_day, plan.requests_per_minute.map(std::num::NonZeroU32::get)))
        .collect();
    let expected = [
        ("starter", Some(1_000), Some(60)),
        ("pro", Some(10_000), Some(300)),
        ("business", Some(100_000), Some(3_000)),
    ];
    assert_eq!(plans, expected);
    assert!(snapshot.mock.on && !snapshot.mock.forced && snapshot.providers.is_empty() && loaded.notes.is_empty());
}

#[test]
fn an_empty_file_and_empty_sections_are_the_defaults_too() {
    for source in ["", "# nothing\n", "\u{feff}brand:\n", "providers:\nmodels:\nroutes:\nplans:\ntimeouts: {}\n"] {
        let snapshot = snapshot(source);
        assert_eq!(
            (snapshot.brand.name.as_str(), snapshot.plans.len(), snapshot.mock.on),
            ("Tollgate", 3, true),
            "{source}"
        );
    }
    assert!(snapshot("plans: []").plans.is_empty());
}

#[test]
fn values_of_the_file_arrive() {
    let snapshot = snapshot(
        "
listen:
  - {address: '0.0.0.0:${PORT}'}
  - {address: '[::1]:9001'}
control: {listen: 127.0.0.1:0}
brand: {name: Codexible, key_prefix: codexible}
connections: {max: '5', per_address: 2}
drain: {delay: 0s, timeout: 1m}
log: {format: text, level: debug, modules: {proxy: trace, 'store::ingest': warn}}
store: {url: '', migrate: false, stale_for: 2h}
spool: {max_size: 64MiB}
timeouts: {connect: 250ms, idle: 5s}
sizes: {headers: 8KiB, body: 1GiB, buffered: 2GiB}
ai: {prefix: /llm/, timeouts: {total: 1h}}
plans: [{name: free, credits_per_day: 0}, {name: all}]
",
    );
    assert_eq!(snapshot.listen, ["0.0.0.0:9000".parse().unwrap(), "[::1]:9001".parse().unwrap()]);
    assert_eq!((snapshot.connections.max, snapshot.connections.per_address), (5, 2));
    assert_eq!((snapshot.drain.delay, snapshot.drain.timeout), (Duration::ZERO, Duration::from_secs(60)));
    assert_eq!((snapshot.log.format, snapshot.log.level.as_str()), (Some(LogFormat::Text), "debug"));
    assert_eq!(
        snapshot.log.modules,
        [("proxy".to_owned(), "trace".to_owned()), ("store::ingest".to_owned(), "warn".to_owned())]
    );
    assert!(
        !snapshot.store.migrate
            && snapshot.store.url.is_none()
            && snapshot.store.stale_for == Duration::from_secs(7_200)
    );
    assert_eq!(
        (snapshot.spool.size_bytes_max, snapshot.sizes.headers_bytes_max, snapshot.sizes.body_bytes_max),
        (64 << 20, 8_192, 1 << 30)
    );
    let ai = snapshot.ai.unwrap();
    assert_eq!(
        (ai.prefix.as_str(), ai.timeouts.connect, ai.timeouts.idle),
        ("/llm", Duration::from_millis(250), Duration::from_secs(5))
    );
    assert_eq!((ai.timeouts.first_byte, ai.timeouts.total), (Duration::from_secs(600), Duration::from_secs(3_600)));
    assert_eq!((snapshot.plans[0].credits_per_day, snapshot.plans[1].credits_per_day), (Some(0), None));
}

#[test]
fn routes_know_their_upstream_and_the_defaults() {
    let snapshot = snapshot(
        "
upstreams: [{name: users, backends: [{url: 'http://127.0.0.1:9001/base/', weight: 1}]}]
routes:
  - {path: /a, upstreams: users}
  - {name: b, path: {prefix: /b/}, methods: [GET, PURGE], auth: {type: none}, credits: 0, events: rows, upstreams: users}
  - {path: {prefix: /}, upstreams: users}
ai: {enabled: false}
",
    );
    assert!(snapshot.ai.is_none() && !snapshot.mock.on);
    let routes = snapshot.router.routes();
    assert_eq!(
        (&*routes[0].name, routes[0].auth, routes[0].credits.0, routes[0].events),
        ("/a", Auth::Key, 1, Events::Folded)
    );
    assert_eq!(routes[0].upstream.origin.path, "/base");
    assert_eq!(
        (&*routes[1].name, routes[1].auth, routes[1].credits.0, routes[1].events),
        ("b", Auth::None, 0, Events::Rows)
    );
    assert_eq!(
        (&routes[1].path, routes[1].methods.join(" ")),
        (&PathMatch::Prefix("/b".to_owned()), "GET PURGE".to_owned())
    );
    assert_eq!((&*routes[2].name, &routes[2].path), ("/", &PathMatch::Prefix(String::new())));
}

#[test]
fn flags_win_over_the_file() {
    let flags = Flags {
        data: Some("/d".into()),
        listen: Some("127.0.0.1:1".parse().unwrap()),
        addr: Some("127.0.0.1:2".parse().unwrap()),
        mock: false,
        log: Some(LogFormat::Json),
    };
    let source = "data: /e\nlisten: 127.0.0.1:3\ncontrol: {listen: 127.0.0.1:3}\nlog: {format: text}\n";
    let snapshot = load_text("t.yaml", source, Sources { file: None, env: &env, flags }).unwrap().snapshot;
    assert_eq!((snapshot.data, snapshot.log.format), (PathBuf::from("/d"), Some(LogFormat::Json)));
    assert_eq!(
        (snapshot.listen, snapshot.control_listen),
        (vec!["127.0.0.1:1".parse().unwrap()], "127.0.0.1:2".parse().unwrap())
    );
}

#[test]
fn keys_in_the_environment_switch_providers_on_where_the_file_has_none() {
    let keys = |name: &str| match name {
        "OPENAI_API_KEY" => Some("sk-S3CRET".to_owned()),
        "ANTHROPIC_API_KEY" => Some(String::new()),
        "GEMINI_API_KEY" => Some("g".to_owned()),
        _ => None,
    };
    let loaded = load_text("", "", Sources { file: None, env: &keys, flags: Flags::default() }).unwrap();
    let provider = &loaded.snapshot.providers[0];
    assert_eq!(
        (&*provider.name, provider.origin.authority.as_str(), provider.origin.path.as_str()),
        ("openai", "api.openai.com", "")
    );
    assert_eq!(provider.credential.as_ref().unwrap().expose(), "sk-S3CRET");
    assert!(loaded.snapshot.providers.len() == 1 && !loaded.snapshot.mock.on && loaded.snapshot.costs_money());
    let notes = loaded.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(
        notes,
        "OPENAI_API_KEY is set: the provider openai is on, its calls cost money\n\
         GEMINI_API_KEY is set, but this version does not support its provider yet"
    );
    assert!(!format!("{loaded:?}").contains("S3CRET"));

    let flags = Flags { mock: true, ..Flags::default() };
    let mocked = load_text("", "", Sources { file: None, env: &keys, flags }).unwrap();
    assert!(mocked.snapshot.providers.is_empty() && mocked.snapshot.mock.forced && !mocked.snapshot.costs_money());

    let source = "providers: [{name: openai, kind: openai, credential: ''}]\n";
    let loaded = load_text("", source, Sources { file: None, env: &keys, flags: Flags::default() }).unwrap();
    assert!(loaded.snapshot.providers.is_empty() && loaded.snapshot.mock.on);
    assert_eq!(loaded.notes, [Note::ProviderOff { provider: "openai".to_owned() }]);
}

#[test]
fn variables_that_no_version_reads_yet_are_noted() {
    let set = |name: &str| {
        let known = ["DATABASE_URL", "REDIS_URL", "TOLLGATE_WORKERS", "TOLLGATE_CONTROL__LISTEN", "TOLLGATE_DATA"];
        known.contains(&name).then(|| if name == "TOLLGATE_DATA" { "/d" } else { "S3CRET" }.to_owned())
    };
    let loaded =
        |source: &str| load_text("t.yaml", source, Sources { file: None, env: &set, flags: Flags::default() }).unwrap();
    let notes = |source: &str| -> Vec<String> { loaded(source).notes.iter().map(ToString::to_string).collect() };
    let note =
        |name| format!("not yet: {name} is ignored, as this version takes settings from the file and the flags only");
    let all = ["DATABASE_URL", "REDIS_URL", "TOLLGATE_DATA", "TOLLGATE_WORKERS", "TOLLGATE_CONTROL__LISTEN"];
    assert_eq!(notes(""), all.map(note));
    assert_eq!(notes("data: '${TOLLGATE_DATA}'").len(), all.len() - 1, "the file makes use of one");
    assert_eq!(loaded("").snapshot.data, PathBuf::from("./tollgate-data"));
}

#[test]
fn an_entry_whose_provider_is_off_is_left_out() {
    let source = "
providers: [{name: openai, kind: openai, credential: ''}]
models: [{name: fast, targets: [{provider: openai, model: gpt-5}]}]
";
    let loaded = read_text(source).unwrap();
    assert!(loaded.snapshot.models.is_empty());
    assert_eq!(loaded.notes[1].to_string(), "the model fast is left out, as its provider openai is off");
}
