//! The names of events in the log, which do not change with the text of their messages. `docs/logs.md` has the list of them.

/// Declares each event: its constant, its name, its level, and the meaning of its line.
macro_rules! events {
    ($($name:ident = $word:literal, $level:literal, $meaning:literal;)+) => {
        $(#[doc = concat!("The event `", $word, "`: ", $meaning, ".")]
        pub const $name: &str = $word;)+

        /// The name, the level and the meaning of every event.
        #[cfg(test)]
        const ALL: &[[&str; 3]] = &[$([$word, $level, $meaning]),+];
    };
}

events! {
    REQUEST_BEGINS = "request_begins", "debug", "the head of a request has arrived";
    REQUEST_ENDS = "request_ends", "info, warn, error", "a request has ended in another way";
    AUTHENTICATION_FAILED = "authentication_failed", "info", "the credential is missing or not accepted (401)";
    LIMIT_REFUSED = "limit_refused", "info", "a rate limit, a quota or a budget is exhausted";
    UPSTREAM_FAILED = "upstream_failed", "warn", "the upstream sent no complete response";
    BACKEND_UNREACHABLE = "backend_unreachable", "warn", "no connection to a backend; at most one line per backend and period";
    BACKEND_UNHEALTHY = "backend_unhealthy", "warn", "health checks have found a backend unhealthy";
    BACKEND_HEALTHY = "backend_healthy", "info", "health checks have found a backend healthy again";
    BACKEND_EJECTED = "backend_ejected", "warn", "a backend is ejected";
    BACKEND_RETURNED = "backend_returned", "info", "an ejected backend gets requests again";
    BREAKER_OPENED = "breaker_opened", "warn", "the circuit breaker of a backend has opened";
    BREAKER_CLOSED = "breaker_closed", "info", "the circuit breaker of a backend has closed";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the list instead of comparing it.
    const UPDATE: &str = "UPDATE_LOG_DOCS";
    const BEGIN: &str = "<!-- begin: events -->\n";
    const END: &str = "<!-- end: events -->\n";

    #[test]
    fn the_document_lists_the_events() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/logs.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (head, rest) = document.split_once(BEGIN).unwrap();
        let (_, tail) = rest.split_once(END).unwrap();
        let list: String =
            ALL.iter().map(|[name, level, meaning]| format!("- `{name}` ({level}): {meaning}\n")).collect();
        let expected = format!("{head}{BEGIN}{list}{END}{tail}");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(path, expected).unwrap();
        } else {
            assert!(document == expected, "run {UPDATE}=1 cargo test --workspace --lib the_document_lists");
        }
    }

    #[test]
    fn each_event_has_a_name_of_its_own() {
        let mut names: Vec<&str> = ALL.iter().map(|[name, ..]| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }
}
