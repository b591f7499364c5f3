//! Lines of problems show no secret, in any style.

use settings::error::{Code, Problem};
use settings::section::SettingsReader;
use settings::yaml;

use super::*;
use crate::secrets::literal_secrets;

/// Secrets whose key does not name them: only a text that is YAML hides them.
const UNNAMED: [&str; 2] = ["traces.headers.proxy", "auth[5].users[0].hash"];

/// Returns the problem of the value of `key`. `is_read`: whether the secrets of the text are known.
fn problem(text: &str, key: &str, is_read: bool) -> String {
    let environment = Environment::default();
    let reader = SettingsReader::new("t.yaml".to_owned(), text, &environment);
    let root = yaml::parse(text).ok().unwrap();
    if is_read {
        reader.hide(&root, literal_secrets::of_text(text, &root).keys().map(String::as_str));
    }
    reader.report(Problem::new(Code::BadValue, root.find(key).unwrap().at, "a problem"));
    ConfigError::from_problems(reader.problems(Some(&root))).to_string()
}

/// Writes a value in block style.
fn block(value: &Json, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let line = |(name, value): (&String, &Json)| format!("\n{margin}{name}:{}", block(value, indent + 2));
    if let Some(entries) = value.as_object().filter(|entries| !entries.is_empty()) {
        return entries.iter().map(line).collect();
    }
    match value.as_array().filter(|items| !items.is_empty()) {
        Some(items) => items.iter().map(|item| format!("\n{margin}-{}", block(item, indent + 2))).collect(),
        None => format!(" {value}"),
    }
}

#[test]
fn each_secret_is_masked_in_the_line_of_a_problem() {
    for (key, set, _) in CASES.iter().filter(|(_, set, _)| set.contains("S3CRET")) {
        let mut file = FILE.clone();
        *value_at(&mut file, key) = json!(set);
        let name = key.split(['.', '[']).next().unwrap();
        let section = &file[name];
        for text in [format!("{name}: {section}\n"), format!("{name}:{}\n", block(section, 2))] {
            for is_read in [true, false].into_iter().filter(|is_read| *is_read || !UNNAMED.contains(key)) {
                let problem = problem(&text, key, is_read);
                assert!(problem.contains("***") && !problem.contains("S3CRET"), "{is_read}: {problem}");
            }
        }
    }
}

#[test]
fn an_unknown_key_beside_a_secret_does_not_show_it() {
    for text in [
        "midtrans: {server_key: S3CRET, clientkey: b}",
        "providers: [{name: a, kind: bedrock, region: b, aws: {access_key_id: S3CRET, secret_access_key: S3CRET, x: 1}}]",
        "traces: {headers: {x-team: S3CRET}, x: 1}",
        "auth: [{name: a, type: key, keys: [{name: b, value: S3CRET-S3CRET-S3CRET, x: 1}]}]",
        "upstreams: [{name: u, health_check: {path: /h, headers: {Authorization: Bearer S3CRET, X-Token: S3CRET}, x: 1}}]",
        "routes: [{path: /a, respond: {headers: {Authorization: Bearer S3CRET}, x: 1}}]",
        "routes: [{path: /a, request: {add_headers: {Cookie: S3CRET, X-Session: S3CRET, X-Sig: S3CRET}, x: 1}}]",
    ] {
        let error = settings(text, &[], Flags::default()).unwrap_err().to_string();
        assert!(error.contains("***") && !error.contains("S3CRET"), "{error}");
    }
    let broken = "routes: [{path: /a, respond: {headers: {X-Api-Key: S3CRET}, x: 1]";
    let error = settings(broken, &[], Flags::default()).unwrap_err().to_string();
    assert!(error.contains("error[yaml]") && !error.contains("S3CRET"), "{error}");
}
