use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

fn snapshot() -> Snapshot {
    let environment = config::Environment::default();
    let sources = config::Sources { file: None, environment: &environment, flags: config::Flags::default() };
    config::load(sources).unwrap().snapshot
}

/// Runs a program with a script on its stdin; returns whether it succeeds, and its output.
fn ask(program: &str, words: &[&str], script: &str) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.spawn().unwrap_or_else(|error| panic!("{program}: {error} (scripts/setup.sh test brings it)"));
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let reported = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&reported).into_owned())
}

/// Texts that must not leave their quotes.
const HOSTILE: [&str; 6] = [
    "'; touch /tmp/x; '",
    "$(id) `id` ${HOME}",
    "\"\\\n\"",
    "a'b\"c$d`e\\f",
    "@BASE@ @NAME@ @PREFIX@",
    "\u{202e}Ключ 🔑 é",
];

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    for (name, agent) in Agent::ALL {
        for brand in HOSTILE.into_iter().chain(["Tollgate"]) {
            let mut snapshot = snapshot();
            brand.clone_into(&mut snapshot.process.brand.name);
            let script = script(agent, &snapshot).unwrap();
            // shellcheck warns about a `$` in single quotes, which is intended here.
            let words =
                if brand == "Tollgate" { &["--shell=sh", "-"][..] } else { &["--shell=sh", "--exclude=SC2016", "-"] };
            let (fine, reported) = ask("shellcheck", words, &script);
            assert!(fine, "{name} {brand}: {reported}");
            assert!(ask("dash", &["-n"], &script).0 && ask("bash", &["--posix", "-n"], &script).0, "{name} {brand}");
        }
    }
}

#[test]
fn configured_values_are_quoted_in_scripts() {
    for text in HOSTILE {
        let (_, printed) = ask("dash", &[], &format!("printf %s {}", shell(text)));
        assert_eq!(printed, text);
        let mut snapshot = snapshot();
        text.clone_into(&mut snapshot.process.brand.name);
        snapshot.traffic.ai.as_mut().unwrap().prefix = format!("/{text}");
        for (_, agent) in Agent::ALL {
            let script = script(agent, &snapshot).unwrap();
            let without_main = script.strip_suffix(MAIN).unwrap();
            assert!(!without_main.lines().any(|line| line.ends_with("=@NAME@")));
            let print = format!("{without_main}\nprintf '%s|%s|%s' \"$name\" \"$base\" \"$name_quoted\"\n");
            let (_, printed) = ask("dash", &[], &print);
            assert_eq!(printed, format!("{text}|http://127.0.0.1:8080/{text}|{}", quoted(text)));
        }
    }
}

#[test]
fn an_error_is_a_script_that_prints_it_and_fails() {
    for name in HOSTILE.into_iter().chain(["Tollgate"]) {
        for message in HOSTILE.into_iter().chain(["there is no script for this agent"]) {
            let script = failing(name, message);
            let (fine, reported) = ask("shellcheck", &["--shell=sh", "--exclude=SC2016,SC1110,SC1111", "-"], &script);
            assert!(fine, "{reported}: {script}");
            for shell in ["dash", "bash"] {
                let (succeeded, printed) = ask(shell, &[], &script);
                assert!(!succeeded, "{script}");
                assert_eq!(printed, format!("{name}: {message}\n"), "{shell}");
            }
        }
    }
}

#[test]
fn a_key_that_is_refused_is_reported_with_its_reason() {
    for (status, reason) in
        [("401", "does not know this key"), ("402", "not paid: sign in, and pay"), ("500", "answers 500")]
    {
        let script = script(Agent::Codex, &snapshot()).unwrap();
        let without_main = script.strip_suffix(MAIN).unwrap();
        let tries = format!("key=a_b\nhas() {{ :; }}\ncurl() {{ cat >/dev/null; printf {status}; }}\ntry\n");
        let (succeeded, printed) = ask("dash", &[], &format!("{without_main}\n{tries}"));
        assert!(!succeeded && printed.contains(reason), "{status}: {printed}");
    }
}

#[test]
fn it_bears_the_brand_alone() {
    let mut snapshot = snapshot();
    snapshot.process.brand.name = "Codexible".to_owned();
    snapshot.process.brand.key_prefix = "codexible".to_owned();
    for (_, agent) in Agent::ALL {
        let script = script(agent, &snapshot).unwrap();
        assert!(!script.to_lowercase().contains("tollgate") && script.contains("variable='CODEXIBLE_KEY'"), "{script}");
    }
}

#[test]
fn it_is_for_the_public_address_else_for_where_the_proxy_listens() {
    let base = |change: &dyn Fn(&mut Snapshot)| {
        let mut snapshot = snapshot();
        change(&mut snapshot);
        let script = script(Agent::Codex, &snapshot)?;
        Some(script.lines().find_map(|line| line.strip_prefix("base=")).unwrap().to_owned())
    };
    assert_eq!(base(&|_| {}).unwrap(), "'http://127.0.0.1:8080'");
    assert_eq!(
        base(&|s| s.process.listen[0].address = "unix:/run/t.sock".parse().unwrap()).unwrap(),
        "'http://localhost'"
    );
    assert_eq!(base(&|s| s.process.listen[0].address = "0.0.0.0:9".parse().unwrap()).unwrap(), "'http://127.0.0.1:9'");
    assert_eq!(
        base(&|s| s.process.listen[0].address = "[2001:db8::1]:9".parse().unwrap()).unwrap(),
        "'http://[2001:db8::1]:9'"
    );
    let public = |s: &mut Snapshot| s.process.public_url.proxy = Some("https://llm.example.com/x".to_owned());
    assert_eq!(base(&public).unwrap(), "'https://llm.example.com/x'");
    assert_eq!(base(&|s| s.traffic.ai = None), None);
}
