//! The targets that a call skipped, as a text in the store.

use meter::{SKIPPED_TARGETS_MAX, SkippedTarget};

use crate::stored_text::clip;

/// A target that a call skipped. `reason` may be a word of a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSkip {
    /// Name of the provider.
    pub provider: String,
    /// Model that the provider would have been asked for.
    pub model: String,
    /// A word of [`meter::SkipReason`].
    pub reason: String,
    /// Number of recorded attempts that precede it.
    pub attempts_before: u8,
}

/// Returns the text of a call's skipped targets: a JSON list with a list for each target. `None` without any.
pub(crate) fn stored(skipped: &[SkippedTarget]) -> Option<String> {
    let row = |target: &SkippedTarget| {
        serde_json::json!([clip(&target.provider), clip(&target.model), target.reason.as_str(), target.attempts_before])
    };
    let rows: Vec<serde_json::Value> = skipped.iter().take(SKIPPED_TARGETS_MAX).map(row).collect();
    (!rows.is_empty()).then(|| serde_json::Value::Array(rows).to_string())
}

/// Reads a text that [`stored`] returned. Another text, such as one of a newer version, has no targets.
pub(crate) fn of_stored(text: Option<&str>) -> Vec<RequestSkip> {
    let rows: Vec<(String, String, String, u8)> =
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let skip = |(provider, model, reason, attempts_before)| RequestSkip { provider, model, reason, attempts_before };
    rows.into_iter().map(skip).collect()
}

#[cfg(test)]
mod tests {
    use meter::SkipReason;

    use super::*;

    fn target(model: &str) -> SkippedTarget {
        let reason = SkipReason::Breaker;
        SkippedTarget { provider: "openai".into(), model: model.into(), reason, attempts_before: 2 }
    }

    #[test]
    fn a_stored_text_is_read_again_and_bounded() {
        assert_eq!((stored(&[]), of_stored(None)), (None, Vec::new()));
        let text = stored(&[target("gpt \"5\"")]).unwrap();
        assert_eq!(text, r#"[["openai","gpt \"5\"","breaker",2]]"#);
        let skip = RequestSkip {
            provider: "openai".into(),
            model: "gpt \"5\"".into(),
            reason: "breaker".into(),
            attempts_before: 2,
        };
        assert_eq!(of_stored(Some(&text)), [skip]);
        let long = of_stored(stored(&vec![target(&"m\0".repeat(99)); 40]).as_deref());
        assert_eq!((long.len(), long[0].model.as_str()), (32, "m"));
        for other in ["", "{}", "[[1]]", r#"[["a","b","c",256]]"#] {
            assert_eq!(of_stored(Some(other)), []);
        }
    }
}
