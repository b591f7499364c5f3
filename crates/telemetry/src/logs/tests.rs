use std::io;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct CapturedLog(Arc<Mutex<Vec<u8>>>);

impl io::Write for CapturedLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CapturedLog {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn options<'a>(level: &'a str, modules: &'a [(String, &'a str)]) -> LogOptions<'a> {
    LogOptions { format: None, level, modules }
}

fn module<'a>(name: &str, level: &'a str) -> Vec<(String, &'a str)> {
    vec![(name.to_owned(), level)]
}

#[test]
fn a_json_line_is_one_flat_object() {
    let lines = CapturedLog::default();
    let writer = lines.clone();
    let subscriber = json(filter(options("info", &[])).unwrap(), move || writer.clone());
    tracing::subscriber::with_default(subscriber, || {
        let _span = tracing::info_span!("request").entered();
        tracing::info!(target: "proxy::handle", request_id = "0190", status = 200_u16, "request \"done\"\nin time");
        tracing::debug!("not shown");
    });
    let text = lines.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    let line: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], "proxy::handle");
    assert_eq!(line["message"], "request \"done\"\nin time");
    assert_eq!((&line["request_id"], &line["status"]), (&Value::from("0190"), &Value::from(200)));
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(timestamp.len() >= 20 && timestamp.as_bytes()[10] == b'T' && timestamp.ends_with('Z'), "{timestamp}");
    assert_eq!(line.as_object().unwrap().len(), 6, "{text}");
}

#[test]
fn a_module_level_overrides_the_default_level() {
    let lines = CapturedLog::default();
    let writer = lines.clone();
    let modules = module("proxy", "debug");
    let subscriber = text(filter(options("warn", &modules)).unwrap(), move || writer.clone(), false);
    tracing::subscriber::with_default(subscriber, || {
        tracing::debug!(target: "proxy::forward", "seen");
        tracing::trace!(target: "proxy::forward", "too fine");
        tracing::info!(target: "control", "too low");
        tracing::warn!(target: "control", "warned");
    });
    let text = lines.text();
    assert!(text.contains("seen") && text.contains("warned") && text.lines().count() == 2, "{text}");
}

#[test]
fn an_error_names_the_invalid_word() {
    fn check(level: &str, modules: &[(String, &str)], expected: &str) {
        let error = filter(options(level, modules)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    check("loud", &[], "log level `loud` is invalid: use error, warn, info, debug or trace");
    check("INFO", &[], "log level `INFO` is invalid: use error, warn, info, debug or trace");
    let wrong = "log level `all` of module `proxy` is invalid: use error, warn, info, debug or trace";
    check("info", &module("proxy", "all"), wrong);
    for name in ["", "proxy:", "proxy::", "Proxy", "pro xy", "proxy=debug"] {
        check(
            "info",
            &module(name, "info"),
            &format!("log module `{name}` is invalid: use a path such as `proxy` or `proxy::forward`"),
        );
    }
}

#[test]
fn a_panic_is_a_log_line() {
    let lines = CapturedLog::default();
    let writer = lines.clone();
    let subscriber = json(filter(options("error", &[])).unwrap(), move || writer.clone());
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(log_panic));
    let panicked = tracing::subscriber::with_default(subscriber, || std::panic::catch_unwind(|| panic!("so be it")));
    std::panic::set_hook(usual);
    assert!(panicked.is_err());
    let line: Value = serde_json::from_str(&lines.text()).unwrap();
    let message = line["message"].as_str().unwrap();
    assert!(message.starts_with("panicked at ") && message.ends_with("so be it"), "{line}");
    assert_eq!((&line["level"], line["thread"].is_string()), (&Value::from("ERROR"), true), "{line}");
}
