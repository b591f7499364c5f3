//! Words that readers of YAML 1.1, such as Helm and PyYAML, turn into booleans, against the schema and the loader.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{BASE_FILE, document, load_and_check};

/// The words of YAML 1.1 that are booleans.
const WORDS: [(&str, bool); 6] =
    [("on", true), ("yes", true), ("y", true), ("off", false), ("no", false), ("n", false)];

/// Each word of the schema: the key, the word, and a file with it in the mark `WORD`.
const FILES: &[(&str, &str, &str)] = &[
    (
        "retry",
        "on",
        "upstreams: [{name: u, retry: {WORD: [502]}, backends: [{url: http://h}]}]\n\
         models: [{name: m, retry: {WORD: [connect]}, targets: [{provider: mock, model: mock}]}]\n",
    ),
    ("panic", "off", "upstreams: [{name: u, health_check: {path: /h, panic: WORD}, backends: [{url: http://h}]}]\n"),
    ("keep_alive", "off", "connections: {keep_alive: WORD}\n"),
    ("sticky", "off", "models: [{name: m, sticky: WORD, targets: [{provider: mock, model: mock}]}]\n"),
    ("prompt_cache", "off", "models: [{name: m, targets: [{provider: mock, model: mock, prompt_cache: WORD}]}]\n"),
];

/// Collects the words of a schema below the key `name`; each must have its boolean beside it.
fn collect(schema: &Json, name: &str, words: &mut BTreeSet<(String, &'static str)>) {
    match schema {
        Json::Array(items) => items.iter().for_each(|item| collect(item, name, words)),
        Json::Object(members) => {
            for (word, value) in WORDS {
                let properties = members.get("properties").and_then(Json::as_object);
                if properties.is_some_and(|keys| keys.contains_key(word)) {
                    assert!(properties.unwrap().contains_key(&value.to_string()), "{name}.{word}");
                    words.insert((name.to_owned(), word));
                }
                let listed = members.get("enum").and_then(Json::as_array);
                if listed.is_some_and(|listed| listed.contains(&word.into())) {
                    assert!(listed.unwrap().contains(&value.into()), "{name}: {word}");
                    words.insert((name.to_owned(), word));
                }
                assert_ne!(members.get("const"), Some(&word.into()), "{name}: {word}");
                // The pattern of such a word would match no other text.
                if let Some(pattern) = members.get("pattern").and_then(Json::as_str) {
                    let pattern = regex::Regex::new(pattern).unwrap();
                    assert!(
                        !pattern.is_match(word) || ["qzx", "q", "qz"].iter().any(|text| pattern.is_match(text)),
                        "{name}"
                    );
                }
            }
            for (member, schema) in members {
                match (member.as_str(), schema) {
                    ("properties", Json::Object(keys)) => {
                        keys.iter().for_each(|(key, schema)| collect(schema, key, words));
                    }
                    _ => collect(schema, name, words),
                }
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn each_word_that_yaml_1_1_reads_as_a_boolean_has_both_spellings() {
    let mut words = BTreeSet::new();
    collect(&document(), "", &mut words);
    let listed: BTreeSet<_> = FILES.iter().map(|(key, word, _)| ((*key).to_owned(), *word)).collect();
    assert_eq!(words, listed, "each word has a file");
    for (key, word, file) in FILES {
        let value = WORDS.iter().find(|(known, _)| known == word).unwrap().1;
        let settings = [(*word).to_owned(), value.to_string(), format!("\"{value}\"")].map(|spelling| {
            let loaded = load_and_check(&format!("{BASE_FILE}{}", file.replace("WORD", &spelling)));
            let loaded = loaded.unwrap_or_else(|error| panic!("{key}: {spelling}: {error}"));
            loaded.settings().iter().map(|setting| format!("{}={:?}", setting.key, setting.value)).collect::<Vec<_>>()
        });
        assert_eq!(settings[0], settings[1], "{key}");
        assert_eq!(settings[0], settings[2], "{key}");
    }
}

#[test]
fn a_key_in_both_spellings_and_a_boolean_in_place_of_another_key_are_refused() {
    for (file, message) in [
        ("upstreams: [{name: u, retry: {on: [502], true: [503]}, backends: [{url: http://h}]}]\n", "occurs twice"),
        ("upstreams: [{name: u, retry: {false: [503]}, backends: [{url: http://h}]}]\n", "unknown key `false`"),
        ("true: 5\n", "unknown key `true`"),
        ("models: [{name: m, sticky: true, targets: [{provider: mock, model: mock}]}]\n", "`models[0].sticky`"),
    ] {
        let error = load_and_check(&format!("{BASE_FILE}{file}")).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(message), "{file}: {error}");
    }
}
