use super::*;

const PATHS: &[Path] = &[&["a"], &["b", "c"], &["l", ANY, "x"], &["b", "d", "e", "f"]];

fn scanned(json: &[u8], size: usize) -> Scanner {
    let mut scanner = Scanner::new(PATHS);
    for piece in json.chunks(size) {
        scanner.push(piece);
    }
    scanner
}

/// Scans in pieces of every size and compares the kept values.
fn check(json: &str, picked: [Option<&str>; 4]) {
    for size in 1..=json.len() {
        let scanner = scanned(json.as_bytes(), size);
        assert!(scanner.whole(), "{json} in pieces of {size}");
        for (path, expected) in (0..).zip(&picked) {
            let found = scanner.picked(path).map(|bytes| std::str::from_utf8(bytes).unwrap());
            assert_eq!(found, *expected, "path {path} of {json} in pieces of {size}");
        }
    }
}

#[test]
fn values_at_the_paths_are_stored_unchanged() {
    check(r#"{"a":1}"#, [Some("1"), None, None, None]);
    check(" { \"a\" : \"x\\\"}\" , \"b\":{\"c\": -1.5e3 }} ", [Some("\"x\\\"}\""), Some("-1.5e3"), None, None]);
    check(r#"{"a":{"z":[1,"]}",{}]},"b":{"c":[]}}"#, [Some(r#"{"z":[1,"]}",{}]}"#), Some("[]"), None, None]);
    check(r#"{"b":{"d":{"e":{"f":null,"g":1}}}}"#, [None, None, None, Some("null")]);
    check(r#"{"\u0061":true,"b":{"\u0063":"\\"}}"#, [Some("true"), Some(r#""\\""#), None, None]);
}

#[test]
fn values_at_other_paths_are_skipped() {
    check(r#"{"z":{"a":1,"b":{"c":2}},"y":[{"a":1}],"x":"\"a\":1","b":[{"c":1}],"c":3}"#, [None; 4]);
    check(r#"[{"a":1},{"b":{"c":2}}]"#, [None; 4]);
    check(r#"{"l":{"x":1},"b":"c","aa":1,"":2,"a\\":3}"#, [None; 4]);
}

#[test]
fn the_last_of_several_values_counts() {
    check(r#"{"a":1,"b":{"c":1},"a":{"q":2},"b":{"c":22}}"#, [Some(r#"{"q":2}"#), Some("22"), None, None]);
    check(r#"{"l":[{"x":1},7,{"y":[{"x":5}]},{"x":"3"},[{"x":4}]]}"#, [None, None, Some("\"3\""), None]);
}

#[test]
fn every_value_at_a_path_is_returned_unless_one_was_too_long() {
    let all = |json: &str| {
        let scanner = scanned(json.as_bytes(), 3);
        let mut all: Vec<_> = scanner.all(2)?.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect();
        all.sort();
        Some(all)
    };
    for (json, expected) in [
        (r#"{"l":[]}"#.to_owned(), Some(vec![])),
        (r#"{"l":[{"x":1},{"y":2},{"a":0,"x":"3"},{"x":{}}],"a":9}"#.to_owned(), Some(vec!["\"3\"", "1", "{}"])),
        (format!(r#"{{"l":[{{"x":1}},{{"x":"{}"}},{{"x":3}}]}}"#, "x".repeat(VALUE_BYTES_MAX)), None),
        (format!(r#"{{"l":[{}]}}"#, vec![r#"{"x":1}"#; ELEMENTS_MAX + 2].join(",")), None),
    ] {
        let expected = expected.map(|all| all.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(all(&json), expected, "{json:.100}");
    }
    let mut scanner = scanned(br#"{"l":[{"x":1},{"x":2}]}"#, 4);
    scanner.reset();
    assert_eq!(scanner.all(2).unwrap().count(), 0);
}

#[test]
fn the_elements_of_an_array_on_a_path_are_counted() {
    for (json, elements) in [
        (r#"{"l":[]}"#, Some(0)),
        (r#"{"l":[ ] ,"a":1}"#, Some(0)),
        (r#"{"l":[1]}"#, Some(1)),
        (r#"{"l":[1,{"x":2},[3,4],"5"]}"#, Some(4)),
        (r#"{"l":[{}]}"#, Some(1)),
        (r#"{"l":{}}"#, None),
        (r#"{"a":[]}"#, None),
        (r#"{"z":{"l":[]}}"#, None),
        (r#"{"l":[],"l":[1]}"#, Some(1)),
    ] {
        assert_eq!(scanned(json.as_bytes(), 2).elements(2), elements, "{json}");
    }
}

#[test]
fn an_incomplete_value_is_not_returned_as_complete() {
    for json in [r#"{"a":1"#, r#"{"a":{"b":1}"#, "{", "", r#"{"a":"x}"#, r#"{"a":"\"#] {
        assert!(!scanned(json.as_bytes(), 1).whole(), "{json}");
    }
}

#[test]
fn invalid_json_stops_the_scanner() {
    for json in ["x", "7", "\"a\"", "null", "{a:1}", "{\"a\" 1}", "{\"a\":,}", "{\"a\":<b>}", "}", "{1}"] {
        let mut scanner = scanned(json.as_bytes(), 1);
        scanner.push(br#"{"a":1}"#);
        assert!(!scanner.whole(), "{json}");
    }
}

#[test]
fn a_value_of_maximum_length_is_stored_and_a_longer_one_is_not() {
    for (extra, remaining) in [(0, true), (1, false)] {
        let text = "x".repeat(VALUE_BYTES_MAX - 2 + extra);
        let json = format!(r#"{{"b":{{"c":8}},"a":"{text}","l":[{{"x":9}}]}}"#);
        for size in [1, 1000, json.len()] {
            let scanner = scanned(json.as_bytes(), size);
            assert_eq!(scanner.picked(0).is_some(), remaining);
            assert_eq!((scanner.picked(1), scanner.picked(2)), (Some(&b"8"[..]), Some(&b"9"[..])));
        }
    }
}

#[test]
fn deep_nesting_costs_no_memory() {
    let mut scanner = Scanner::new(PATHS);
    scanner.push(b"{\"z\":");
    for _ in 0..1_000 {
        scanner.push(&[b'['; 10_000]);
    }
    for _ in 0..1_000 {
        scanner.push(&[b']'; 10_000]);
    }
    scanner.push(b",\"a\":5}");
    assert_eq!(
        (scanner.picked(0), scanner.whole(), scanner.buffered_bytes() <= VALUES_BYTES),
        (Some(&b"5"[..]), true, true)
    );
}

#[test]
fn reset_forgets_everything() {
    let mut scanner = scanned(br#"{"a":1,"l":[]"#, 3);
    scanner.reset();
    scanner.push(br#"{"b":{"c":2}}"#);
    assert_eq!((scanner.picked(0), scanner.picked(1), scanner.elements(2)), (None, Some(&b"2"[..]), None));
    assert!(scanner.whole());
}

mod property_tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Compares with `serde_json`, which parses the whole value.
        #[test]
        fn picked_values_equal_the_values_of_the_document(
            a in "[\\PC\"\\\\{}\\[\\],:]{0,12}",
            c in prop::collection::vec(any::<i32>(), 0..4),
            noise in "[\\PC\"\\\\{}\\[\\],:]{0,12}",
            size in 1_usize..20,
            pretty in any::<bool>(),
        ) {
            let value = serde_json::json!({
                "0": {&*noise: [&noise, {"a": &noise}]}, "a": a, "b": {"0": &noise, "c": c}
            });
            let json = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
            let scanner = scanned(&json, size);
            prop_assert!(scanner.whole());
            let picked = |path| serde_json::from_slice::<serde_json::Value>(scanner.picked(path).unwrap()).unwrap();
            prop_assert_eq!(picked(0), value["a"].clone());
            prop_assert_eq!(picked(1), value["b"]["c"].clone());
        }
    }
}
