//! The parts of Anthropic's API that each host of Claude takes.
//!
//! Source: LiteLLM's `anthropic_beta_headers_config.json` (1.110, MIT licence, © 2023 Berri AI), read 2026-11-30, and reports of
//! `Extra inputs are not permitted` at these hosts. Features and fields that no row names reach Anthropic alone.

/// An API with the format of Messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaudeSurface {
    /// Anthropic's own, or one that passes everything to it.
    Anthropic,
    /// Google Cloud's Vertex AI.
    Vertex,
    /// Bedrock's `runtime` endpoint, whose bodies list the features.
    BedrockRuntime,
    /// The `mantle` endpoint of Bedrock.
    BedrockMantle,
}

const VERTEX: u8 = 1;
const RUNTIME: u8 = 2;
const MANTLE: u8 = 4;
const ALL: u8 = VERTEX | RUNTIME | MANTLE;
/// Maximum number of features that are sent.
const BETAS_MAX: usize = 32;

/// The features that hosts other than Anthropic's take.
#[rustfmt::skip]
const BETAS: &[(&str, u8)] = &[
    ("claude-code-20250219", MANTLE),
    ("compact-2026-01-12", ALL),
    ("compact-2026-09-04", VERTEX),
    ("computer-use-2024-10-22", RUNTIME),
    ("computer-use-2025-01-24", ALL),
    ("computer-use-2025-11-24", ALL),
    ("context-1m-2025-08-07", ALL),
    (CONTEXT_MANAGEMENT, ALL),
    ("dangerous-tool-use-2026-09-03", ALL),
    ("dev-full-thinking-2025-05-14", RUNTIME),
    ("effort-2025-11-24", RUNTIME | MANTLE),
    (FINE_GRAINED, RUNTIME | MANTLE),
    ("interleaved-thinking-2025-05-14", ALL),
    ("mid-conversation-output-config-2026-07-01", RUNTIME),
    ("mid-conversation-tool-changes-2026-07-01", RUNTIME),
    ("output-128k-2025-02-19", RUNTIME | MANTLE),
    ("per-turn-control-2026-07-01", VERTEX | MANTLE),
    ("structured-outputs-2025-11-13", MANTLE),
    ("thinking-binding-controls-2026-08-01", ALL),
    ("thinking-display-updates-2026-08-18", ALL),
    ("token-efficient-tools-2025-02-19", RUNTIME | MANTLE),
    (TOOL_EXAMPLES, RUNTIME | MANTLE),
    (TOOL_SEARCH, ALL),
    ("web-search-2025-03-05", VERTEX | MANTLE),
];
const CONTEXT_MANAGEMENT: &str = "context-management-2025-06-27";
const FINE_GRAINED: &str = "fine-grained-tool-streaming-2025-05-14";
const MID_SYSTEM: &str = "mid-conversation-system-2026-04-07";
const TOOL_EXAMPLES: &str = "tool-examples-2025-10-29";
const TOOL_SEARCH: &str = "tool-search-tool-2025-10-19";
/// Anthropic's names of features that have another name at the other hosts.
const RENAMED: [(&str, &str); 1] = [("advanced-tool-use-2025-11-20", TOOL_SEARCH)];

/// What a host takes a field with.
#[derive(Debug, Clone, Copy)]
enum FieldRequirement {
    Nothing,
    /// This feature, which the call requests.
    Beta(&'static str),
}

/// The fields of a body that hosts other than Anthropic's take.
#[rustfmt::skip]
const BODY: &[(&str, FieldRequirement)] = &[
    ("anthropic_beta", FieldRequirement::Nothing),
    ("anthropic_version", FieldRequirement::Nothing),
    ("context_management", FieldRequirement::Beta(CONTEXT_MANAGEMENT)),
    ("max_tokens", FieldRequirement::Nothing),
    ("messages", FieldRequirement::Nothing),
    ("metadata", FieldRequirement::Nothing),
    ("model", FieldRequirement::Nothing),
    ("output_config", FieldRequirement::Nothing),
    ("output_format", FieldRequirement::Beta("structured-outputs-2025-11-13")),
    ("stop_sequences", FieldRequirement::Nothing),
    ("stream", FieldRequirement::Nothing),
    ("system", FieldRequirement::Nothing),
    ("temperature", FieldRequirement::Nothing),
    ("thinking", FieldRequirement::Nothing),
    ("tool_choice", FieldRequirement::Nothing),
    ("tools", FieldRequirement::Nothing),
    ("top_k", FieldRequirement::Nothing),
    ("top_p", FieldRequirement::Nothing),
];

/// The fields of a tool that need a feature.
#[rustfmt::skip]
const TOOLS: &[(&str, FieldRequirement)] = &[
    ("allowed_callers", FieldRequirement::Beta(TOOL_SEARCH)),
    ("defer_loading", FieldRequirement::Beta(TOOL_SEARCH)),
    ("eager_input_streaming", FieldRequirement::Beta(FINE_GRAINED)),
    ("input_examples", FieldRequirement::Beta(TOOL_EXAMPLES)),
];

impl ClaudeSurface {
    /// Whether the API takes everything that a client of Anthropic's may send.
    #[must_use]
    pub const fn takes_all(self) -> bool {
        matches!(self, Self::Anthropic)
    }

    /// Returns the host's names of the features in a list with commas, without those that it refuses.
    #[must_use]
    pub fn betas(self, list: &str) -> Vec<&str> {
        let mut sent: Vec<&str> = Vec::new();
        for beta in list.split(',').filter_map(|beta| self.beta(beta.trim())) {
            if !sent.contains(&beta) && sent.len() < BETAS_MAX {
                sent.push(beta);
            }
        }
        sent
    }

    /// Returns the host's name of a feature; `None` if the host refuses it.
    #[must_use]
    pub fn beta(self, beta: &str) -> Option<&str> {
        if self.takes_all() {
            return Some(beta).filter(|beta| !beta.is_empty());
        }
        let renamed = RENAMED.iter().find(|(name, _)| *name == beta).map_or(beta, |(_, renamed)| renamed);
        self.takes(renamed).then_some(renamed)
    }

    /// Whether the host takes a field of a body; `betas` are the features that are sent.
    pub(crate) fn takes_field(self, name: &str, betas: &[&str]) -> bool {
        self.takes_all() || BODY.iter().any(|(field, needs)| *field == name && needs.are_in(betas))
    }

    /// Whether the host takes a field of a tool; `betas` are the features that are sent.
    pub(crate) fn takes_tool_field(self, name: &str, betas: &[&str]) -> bool {
        self.takes_all() || TOOLS.iter().all(|(field, needs)| *field != name || needs.are_in(betas))
    }

    /// Whether the host takes turns of the system between others.
    pub(crate) fn takes_system_turns(self) -> bool {
        self.takes_all() || self.takes(MID_SYSTEM)
    }

    fn takes(self, beta: &str) -> bool {
        let own = match self {
            Self::Anthropic => return true,
            Self::Vertex => VERTEX,
            Self::BedrockRuntime => RUNTIME,
            Self::BedrockMantle => MANTLE,
        };
        BETAS.iter().any(|(name, surfaces)| *name == beta && surfaces & own != 0)
    }
}

impl FieldRequirement {
    fn are_in(self, betas: &[&str]) -> bool {
        match self {
            Self::Nothing => true,
            Self::Beta(beta) => betas.contains(&beta),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Claude Code 2.1 sends, and a feature of a later one.
    const CLAUDE_CODE: &str = "claude-code-20250219, interleaved-thinking-2025-05-14,thinking-token-count-2026-05-13,\
        context-management-2025-06-27,prompt-caching-scope-2026-01-05,mid-conversation-system-2026-04-07,effort-2025-11-24,\
        advanced-tool-use-2025-11-20,later-2030-01-01,effort-2025-11-24";

    #[test]
    fn each_host_gets_the_features_that_it_takes_once() {
        let thinking = "interleaved-thinking-2025-05-14";
        let context = CONTEXT_MANAGEMENT;
        for (surface, expected) in [
            (ClaudeSurface::Vertex, vec![thinking, context, TOOL_SEARCH]),
            (ClaudeSurface::BedrockRuntime, vec![thinking, context, "effort-2025-11-24", TOOL_SEARCH]),
            (
                ClaudeSurface::BedrockMantle,
                vec!["claude-code-20250219", thinking, context, "effort-2025-11-24", TOOL_SEARCH],
            ),
        ] {
            assert_eq!(surface.betas(CLAUDE_CODE), expected, "{surface:?}");
            let long = (0..800).map(|number| format!("unknown-{number}")).collect::<Vec<_>>().join(",");
            assert!(long.len() > 8 * 1024);
            assert!(surface.betas(&long).is_empty() && surface.betas("").is_empty());
        }
        assert_eq!(ClaudeSurface::Anthropic.betas(CLAUDE_CODE).len(), 9);
    }

    #[test]
    fn a_field_is_taken_with_its_feature_alone() {
        for surface in [ClaudeSurface::Vertex, ClaudeSurface::BedrockRuntime, ClaudeSurface::BedrockMantle] {
            assert!(
                surface.takes_field("thinking", &[])
                    && surface.takes_field("context_management", &[CONTEXT_MANAGEMENT])
            );
            for field in ["context_management", "speed", "mcp_servers", "cache_control", "later"] {
                assert!(!surface.takes_field(field, &[]), "{surface:?} {field}");
            }
            assert!(surface.takes_tool_field("name", &[]) && !surface.takes_tool_field("defer_loading", &[]));
            assert!(!surface.takes_system_turns());
        }
        assert!(ClaudeSurface::Anthropic.takes_field("later", &[]) && ClaudeSurface::Anthropic.takes_system_turns());
    }

    #[test]
    fn tables_are_sorted() {
        assert!(BODY.is_sorted_by_key(|(name, _)| *name) && TOOLS.is_sorted_by_key(|(name, _)| *name));
        assert!(BETAS.is_sorted_by_key(|(name, _)| *name));
    }
}
