//! The result of `tollgate check` as text, JSON or workflow commands of GitHub.

use std::process::ExitCode;

use config::{ConfigError, Note, Problem};
use serde_json::{Value, json};

use crate::cli::CheckFormat;

/// The exit code for a configuration with errors.
const INVALID: u8 = 2;

/// The result of a check.
pub(super) struct CheckResult {
    /// The name of the file.
    pub(super) file: String,
    pub(super) checked: Result<Findings, ConfigError>,
}

/// What a valid configuration has.
pub(super) struct Findings {
    /// Notes that are errors with `production: true`.
    pub(super) errors: Vec<Note>,
    pub(super) notes: Vec<Note>,
    /// The number of entries of each list, with their noun.
    pub(super) counts: [(&'static str, usize); 5],
    /// The number of tests, which have passed.
    pub(super) tests: usize,
}

impl CheckResult {
    /// Returns the exit code.
    pub(super) fn code(&self) -> ExitCode {
        match &self.checked {
            Ok(findings) if findings.errors.is_empty() => ExitCode::SUCCESS,
            Ok(_) | Err(_) => ExitCode::from(INVALID),
        }
    }

    /// Returns the text for stdout. Problems of a text for people are reported like those of other commands.
    pub(super) fn written(&self, format: CheckFormat) -> anyhow::Result<String> {
        Ok(match format {
            CheckFormat::Text => match &self.checked {
                Ok(found) => self.text(found),
                Err(_) => String::new(),
            },
            CheckFormat::Json => format!("{}\n", serde_json::to_string_pretty(&self.json())?),
            CheckFormat::Github => self.workflow_commands(),
        })
    }

    fn text(&self, found: &Findings) -> String {
        let mut text: String = found.errors.iter().map(|note| format!("error: {note}\n")).collect();
        text.extend(found.notes.iter().map(|note| format!("note: {note}\n")));
        let counts = found.counts.map(|(noun, count)| counted(count, noun)).join(", ");
        let tests = if found.tests == 0 { String::new() } else { format!("; {} passed", counted(found.tests, "test")) };
        let state = if found.errors.is_empty() { "is valid" } else { "is not fit for production" };
        text.push_str(&format!("{} {state}: {counts}{tests}\n", self.file));
        text
    }

    fn json(&self) -> Value {
        match &self.checked {
            Ok(found) => {
                let texts = |notes: &[Note]| notes.iter().map(ToString::to_string).collect::<Vec<_>>();
                let problems: Vec<Value> = texts(&found.errors).iter().map(|text| refusal(text)).collect();
                let counts = found.counts.iter().map(|(noun, count)| (format!("{noun}s"), json!(count)));
                json!({
                    "file": self.file,
                    "valid": found.errors.is_empty(),
                    "problems": problems,
                    "notes": texts(&found.notes),
                    "counts": Value::Object(counts.collect()),
                    "tests": found.tests,
                })
            }
            Err(error) => {
                let problems: Vec<Value> = error.problems.iter().map(problem).collect();
                json!({ "file": self.file, "valid": false, "problems": problems, "more": error.more, "notes": [] })
            }
        }
    }

    fn workflow_commands(&self) -> String {
        let of_file = format!("file={}", property(&self.file));
        match &self.checked {
            Ok(found) => {
                let command = |level: &str, note: &Note| format!("::{level} {of_file}::{}\n", data(&note.to_string()));
                let errors = found.errors.iter().map(|note| command("error", note));
                errors.chain(found.notes.iter().map(|note| command("notice", note))).collect()
            }
            Err(error) => error.problems.iter().map(|problem| annotation(problem, &of_file)).collect(),
        }
    }
}

/// Returns an error that production makes of a note.
fn refusal(text: &str) -> Value {
    json!({ "code": "refused", "message": text, "file": null, "line": null, "column": null, "text": text })
}

/// Returns a problem, as the admin API does.
fn problem(problem: &Problem) -> Value {
    json!({
        "code": problem.code.name(),
        "message": problem.message,
        "file": if problem.file.is_empty() { None } else { Some(&problem.file) },
        "line": problem.place.map(|place| place.line),
        "column": problem.place.map(|place| place.column),
        "text": problem.to_string(),
    })
}

fn annotation(problem: &Problem, of_file: &str) -> String {
    let file = if problem.file.is_empty() { of_file.to_owned() } else { format!("file={}", property(&problem.file)) };
    let place = problem.place.map(|place| format!(",line={},col={}", place.line, place.column)).unwrap_or_default();
    let expected = problem.expected.as_ref().map(|expected| format!(": expected {expected}")).unwrap_or_default();
    let message = format!("{}{expected}", problem.message);
    format!("::error {file}{place},title={}::{}\n", property(problem.code.name()), data(&message))
}

/// Escapes the message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns a number with the noun that it counts.
fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "route")), ["0 routes", "1 route", "2 routes"]);
    }

    #[test]
    fn a_workflow_command_is_one_line() {
        assert_eq!(data("100 %\r\nnext"), "100 %25%0D%0Anext");
        assert_eq!(property("a:b,c\n"), "a%3Ab%2Cc%0A");
    }
}
