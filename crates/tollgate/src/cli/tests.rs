use clap::CommandFactory;

use super::*;

/// Returns every command with its full name.
fn commands() -> Vec<(String, clap::Command)> {
    fn collect(path: &str, command: &clap::Command, into: &mut Vec<(String, clap::Command)>) {
        into.push((path.to_owned(), command.clone()));
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            collect(&format!("{path} {}", inner.get_name()), inner, into);
        }
    }
    let mut all = Vec::new();
    let mut root = Cli::command();
    root.build();
    collect("tollgate", &root, &mut all);
    all
}

/// Whether a line must be shown unchanged: a command to copy, or its comment.
fn is_fixed(line: &str) -> bool {
    line.starts_with("  ")
}

#[test]
fn examples_fit_a_terminal_of_60_columns() {
    let mut examples = 0;
    for (path, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter(|line| line.trim_start().starts_with("tollgate ") || line.contains(" # ")) {
            assert!(line.chars().count() <= 60, "{path}: {line}");
            examples += 1;
        }
    }
    assert!(examples > 50, "{examples}");
}

#[test]
fn paragraphs_are_wrapped_once() {
    for (path, command) in commands() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        // Paragraphs must be one line each: a line break would remain at every width.
        let lines: Vec<&str> = help.lines().collect();
        for pair in lines.windows(2) {
            let is_text = |line: &str| !line.is_empty() && !is_fixed(line) && !line.ends_with(':');
            assert!(!(is_text(pair[0]) && is_text(pair[1])), "{path}: {pair:?}");
        }
        let paragraphs: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        for width in [60, 80, 140] {
            let shown = command.clone().term_width(width).render_help().to_string();
            // Clap wraps all lines except the usage.
            let is_usage = |line: &str| line.trim_start().starts_with("tollgate ") || line.starts_with("Usage:");
            let long = shown.lines().find(|line| line.chars().count() > width && !is_usage(line));
            assert_eq!(long, None, "{path} at {width}: {shown}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
            for paragraph in &paragraphs {
                assert!(words(&shown).contains(&words(paragraph)), "{path} at {width}: {paragraph}");
                if is_fixed(paragraph) && paragraph.chars().count() <= width {
                    assert!(shown.lines().any(|line| line == *paragraph), "{path} at {width}: {paragraph}");
                }
            }
        }
    }
}

#[test]
fn tollgate_without_words_names_no_command() {
    assert!(Cli::try_parse_from(["tollgate"]).unwrap().command.is_none());
    assert!(Cli::try_parse_from(["tollgate", "--demo"]).is_err(), "flags belong to a command");
}
