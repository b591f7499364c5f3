//! Errors in the targets of models.

use super::errors::check_codes;

#[test]
fn targets_that_cannot_be_tried_are_errors_at_their_place() {
    let model = |rest: &str| format!("models: [{{name: a, {rest}}}]");
    let two = "targets: [{provider: mock, model: a}, {provider: mock, model: b}]";
    let many: Vec<String> = (0..33).map(|n| format!("{{provider: mock, model: m{n:02}}}")).collect();
    for (rest, column) in [
        ("targets: [{provider: mock, model: a}, {provider: mock, model: a}]".to_owned(), 82),
        ("targets: [{provider: mock, model: a, weight: 0}, {provider: mock, model: b, weight: 0}]".to_owned(), 104),
        (format!("targets: [{}]", many.join(", ")), 990),
        (format!("{two}, strategy: quickest"), 97),
        (format!("{two}, retry: {{within: 1s, backoff: 2s}}"), 103),
        (format!("{two}, retry: {{on: [timeout, 200]}}"), 109),
        (format!("{two}, retry: {{attempts: 33}}"), 105),
        (format!("{two}, cooldown: {{failures: 0}}"), 108),
        (format!("{two}, cooldown: {{time: 1h, max: 1m}}"), 113),
        (format!("{two}, sticky: 0s"), 95),
    ] {
        check_codes(&model(&rest), &[("bad_value", 1, column)]);
    }
    check_codes(&model("targets: [{provider: mock, model: a}, {provider: moc, model: b}]"), &[("unknown_name", 1, 69)]);
}
