//! What models refuse: flat tables, by prefix of the model's name.
//!
//! Sources: Anthropic's documentation of extended and adaptive thinking (read 2026-11-24) for `thinking` up to 5 and for
//! prefills and mid-conversation system messages since 4.6; else LiteLLM's `model_prices_and_context_window.json` (1.109.1,
//! MIT licence, © 2023 Berri AI).

use super::super::TranslationOptions;
use super::super::call::Effort;
use crate::provider::ProviderKind;

/// How a Claude thinks before it responds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thinking {
    Never,
    /// With a budget of tokens: `thinking: enabled`.
    Budget,
    /// As much as the model finds useful: `thinking: adaptive`.
    Adaptive,
    /// As `Adaptive`, and it cannot be disabled.
    Always,
}

/// What a model with the Messages API accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClaudeRules {
    pub(super) thinking: Thinking,
    /// Whether the effort `xhigh` is accepted; every model with `adaptive` accepts `max`.
    pub(super) xhigh: bool,
    /// Whether `temperature`, `top_p` and `top_k` are accepted.
    pub(super) sampling: bool,
    /// Whether both `temperature` and `top_p` are accepted.
    pub(super) both: bool,
    /// Whether the model continues an assistant's message.
    pub(super) prefill: bool,
    /// Whether the role `system` is accepted between messages.
    pub(super) mid_system: bool,
    /// Whether a call of a tool can be forced while the model thinks.
    pub(super) forced_tool: bool,
}

const CLAUDE_3: ClaudeRules = ClaudeRules {
    thinking: Thinking::Never,
    xhigh: false,
    sampling: true,
    both: true,
    prefill: true,
    mid_system: false,
    forced_tool: false,
};
/// `temperature` and `top_p` exclude each other since 4.1 (LiteLLM, `anthropic/chat/transformation.py`).
const CLAUDE_4: ClaudeRules = ClaudeRules { thinking: Thinking::Budget, both: false, ..CLAUDE_3 };
const CLAUDE_4_6: ClaudeRules =
    ClaudeRules { thinking: Thinking::Adaptive, prefill: false, forced_tool: true, ..CLAUDE_4 };
const CLAUDE_4_7: ClaudeRules = ClaudeRules { sampling: false, xhigh: true, ..CLAUDE_4_6 };
const CLAUDE_4_8: ClaudeRules = ClaudeRules { mid_system: true, ..CLAUDE_4_7 };
const ALWAYS: ClaudeRules = ClaudeRules { thinking: Thinking::Always, ..CLAUDE_4_8 };
const ALWAYS_UNFORCED: ClaudeRules = ClaudeRules { forced_tool: false, ..ALWAYS };
/// A model of another maker with the Messages API.
const OTHER: ClaudeRules = ClaudeRules { thinking: Thinking::Budget, ..CLAUDE_3 };

/// The rules of each Claude. The first row whose name begins the model's applies.
#[rustfmt::skip]
const CLAUDE: &[(&str, ClaudeRules)] = &[
    ("claude-2", CLAUDE_3),
    ("claude-instant", CLAUDE_3),
    ("claude-3-7", ClaudeRules { thinking: Thinking::Budget, ..CLAUDE_3 }),
    ("claude-3", CLAUDE_3),
    ("claude-opus-4-6", CLAUDE_4_6),
    ("claude-sonnet-4-6", CLAUDE_4_6),
    ("claude-opus-4-7", CLAUDE_4_7),
    ("claude-opus-4-8", CLAUDE_4_8),
    ("claude-haiku-4", CLAUDE_4),
    ("claude-opus-4", CLAUDE_4),
    ("claude-sonnet-4", CLAUDE_4),
    ("claude-opus-5-5", ALWAYS_UNFORCED),
    ("claude-sonnet-5-5", ALWAYS_UNFORCED),
    ("claude-fable-5-1", ALWAYS_UNFORCED),
    ("claude-mythos-5-1", ALWAYS_UNFORCED),
    ("claude-haiku-5-5", CLAUDE_4_8),
    ("claude-opus-5", CLAUDE_4_8),
    ("claude-sonnet-5", CLAUDE_4_8),
    ("claude-fable-5", ALWAYS),
    ("claude-mythos", ALWAYS),
    // A later Claude: what every recent one accepts.
    ("claude-", ClaudeRules { mid_system: false, ..ALWAYS_UNFORCED }),
];

impl ClaudeRules {
    /// Whether the model thinks as much as it finds useful.
    pub(super) fn is_adaptive(self) -> bool {
        matches!(self.thinking, Thinking::Adaptive | Thinking::Always)
    }
}

/// Returns the rules of a model with the Messages API. Its name may have a prefix or a suffix of a cloud, such as
/// `eu.anthropic.claude-opus-4-8-v1:0`, or dots in its version.
pub(super) fn claude(model: &str) -> ClaudeRules {
    let Some(name) = model.find("claude-").and_then(|at| model.get(at..)) else { return OTHER };
    let name = name.replace('.', "-");
    let row = CLAUDE.iter().find(|(prefix, _)| name.starts_with(prefix));
    row.map_or(OTHER, |(_, rules)| *rules)
}

/// The efforts of reasoning that a model accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Efforts {
    none: bool,
    minimal: bool,
    /// The lowest effort above `minimal`.
    least: Effort,
    max: Effort,
}

const O_SERIES: Efforts = Efforts { none: false, minimal: false, least: Effort::Low, max: Effort::High };
const GPT_5: Efforts = Efforts { minimal: true, ..O_SERIES };
const GPT_5_1: Efforts = Efforts { none: true, ..O_SERIES };
const GPT_5_2: Efforts = Efforts { max: Effort::Xhigh, ..GPT_5_1 };
const GPT_5_CODEX: Efforts = Efforts { max: Effort::Xhigh, ..O_SERIES };
const GPT_6: Efforts = Efforts { max: Effort::Max, ..GPT_5_1 };
const GPT_6_THINKING: Efforts = Efforts { none: false, ..GPT_6 };

/// The efforts of each model of OpenAI that reasons. The first row whose name begins the model's applies; `None`: the model
/// has no effort.
#[rustfmt::skip]
const OPENAI: &[(&str, Option<Efforts>)] = &[
    ("o1-mini", None),
    ("o1-preview", None),
    ("o1", Some(O_SERIES)),
    ("o3", Some(O_SERIES)),
    ("o4", Some(O_SERIES)),
    ("gpt-oss", Some(O_SERIES)),
    ("gpt-5-chat", None),
    ("gpt-5-search", None),
    ("gpt-5.1-chat", None),
    ("gpt-5.2-chat", None),
    ("gpt-5.3-chat", None),
    ("gpt-5-pro", Some(Efforts { least: Effort::High, ..O_SERIES })),
    ("gpt-5.2-pro", Some(Efforts { least: Effort::Medium, ..GPT_5_CODEX })),
    ("gpt-5.4-pro", Some(Efforts { least: Effort::Medium, ..GPT_5_CODEX })),
    ("gpt-5.5-pro", Some(Efforts { least: Effort::Medium, ..GPT_5_CODEX })),
    ("gpt-5-codex", Some(O_SERIES)),
    ("gpt-5.1-codex-max", Some(GPT_5_CODEX)),
    ("gpt-5.1-codex", Some(O_SERIES)),
    ("gpt-5.1", Some(GPT_5_1)),
    ("gpt-5.2-codex", Some(GPT_5_CODEX)),
    ("gpt-5.", Some(GPT_5_2)),
    ("gpt-5", Some(GPT_5)),
    ("gpt-6-astra", Some(GPT_6_THINKING)),
    ("gpt-6-rosalind", Some(GPT_6_THINKING)),
    ("gpt-6.1-sol", Some(GPT_6_THINKING)),
    ("gpt-6", Some(GPT_6)),
];

/// Returns the efforts of reasoning that a model of OpenAI's accepts, at any host; `None` for other models: some servers
/// refuse the field for models that do not reason.
pub(super) fn efforts(model: &str) -> Option<Efforts> {
    let name = bare(model);
    OPENAI.iter().find(|(prefix, _)| name.starts_with(prefix)).and_then(|(_, efforts)| *efforts)
}

/// Whether the model is one of OpenAI's own that reasons: it takes the role `developer` and `max_completion_tokens`, and no
/// `temperature`.
pub(super) fn is_openai_reasoning(model: &str) -> bool {
    efforts(model).is_some() && !bare(model).starts_with("gpt-oss")
}

/// Whether a model at OpenAI has Chat Completions, as all but its `codex`, `pro` and research models.
pub(super) fn speaks_chat(model: &str) -> bool {
    let name = bare(model);
    let is_known = efforts(model).is_some() || name.starts_with("codex");
    let is_excluded = |word: &str| matches!(word, "codex" | "pro" | "research");
    !(is_known && name.split(['-', ':']).any(is_excluded))
}

/// Whether a model at OpenAI or Azure takes no tools in Chat Completions: since gpt-5.4 while it reasons, which 5.4 alone does
/// only on request (litellm, pull request 34569).
pub(super) fn refuses_tools_in_chat(model: &str, has_effort: bool) -> bool {
    const REASONING: [&str; 6] = ["gpt-5.5", "gpt-5.6", "gpt-5.7", "gpt-5.8", "gpt-5.9", "gpt-6"];
    let name = bare(model);
    let is_of = |prefix: &&str| name.starts_with(*prefix);
    efforts(model).is_some() && (REASONING.iter().any(is_of) || (has_effort && name.starts_with("gpt-5.4")))
}

/// Whether messages of the assistant have a phase, without which the model takes its comments for final answers: gpt-5.3-codex
/// and later (the types of OpenAI's SDK for Python, 3.54).
pub(super) fn has_phases(model: &str) -> bool {
    const PREFIXES: [&str; 8] =
        ["gpt-5.3-codex", "gpt-5.4", "gpt-5.5", "gpt-5.6", "gpt-5.7", "gpt-5.8", "gpt-5.9", "gpt-6"];
    PREFIXES.iter().any(|prefix| bare(model).starts_with(prefix))
}

/// Whether a server checks messages as Mistral's tokenizer does: no message of the user follows a result directly
/// (mistral-common, issue 169), and ids of calls have a form of their own.
pub(super) fn is_mistral(model: &str, host: &str) -> bool {
    const NAMES: [&str; 7] = ["mistral", "mixtral", "ministral", "magistral", "devstral", "codestral", "pixtral"];
    let name = bare(model).to_ascii_lowercase();
    host == "api.mistral.ai" || NAMES.iter().any(|word| name.starts_with(word))
}

/// Whether the model obeys cache marks: gpt-5.6 and later.
pub(super) fn caches_at_marks(model: &str) -> bool {
    ["gpt-5.6", "gpt-5.7", "gpt-5.8", "gpt-5.9", "gpt-6"].iter().any(|prefix| bare(model).starts_with(prefix))
}

/// The name without a fine-tuning or the maker that an intermediary puts before it.
fn bare(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.strip_prefix("ft:").unwrap_or(name)
}

impl Efforts {
    /// Returns the nearest effort that the model accepts.
    pub(super) fn nearest(self, effort: Effort) -> Effort {
        let wanted = effort.min(self.max);
        match wanted {
            Effort::None if self.none => Effort::None,
            Effort::None | Effort::Minimal if self.minimal => Effort::Minimal,
            Effort::None | Effort::Minimal => self.least,
            Effort::Low | Effort::Medium => wanted.max(self.least),
            Effort::High | Effort::Xhigh | Effort::Max => wanted,
        }
    }
}

/// What a Gemini accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GeminiRules {
    /// Whether it has levels of thinking: Gemini 3 and later.
    pub(super) levels: bool,
    /// Whether it has a budget of thinking: Gemini 2.5.
    pub(super) budget: bool,
    /// Whether it accepts the level `MINIMAL`, or a budget of 0.
    pub(super) minimal: bool,
    /// Whether it accepts `temperature`, `topP` and `topK`.
    pub(super) sampling: bool,
    /// Whether it accepts penalties (vercel/ai, issue 8943).
    pub(super) penalties: bool,
}

const GEMINI_3: GeminiRules =
    GeminiRules { levels: true, budget: false, minimal: true, sampling: true, penalties: false };
/// `pro` refuses the level `MINIMAL` (vellum-assistant, issue 32687).
const GEMINI_3_PRO: GeminiRules = GeminiRules { minimal: false, ..GEMINI_3 };
const GEMINI_2_5: GeminiRules = GeminiRules { levels: false, budget: true, ..GEMINI_3 };
const WITHOUT_THINKING: GeminiRules =
    GeminiRules { levels: false, budget: false, minimal: false, sampling: true, penalties: false };
const GEMINI_2: GeminiRules = GeminiRules { penalties: true, ..WITHOUT_THINKING };

/// The rules of each Gemini. The first row whose name begins the model's applies.
#[rustfmt::skip]
const GEMINI: &[(&str, GeminiRules)] = &[
    ("gemini-1", GEMINI_2),
    ("gemini-2.0", GEMINI_2),
    ("gemini-2.5-pro", GeminiRules { minimal: false, ..GEMINI_2_5 }),
    ("gemini-2.5", GEMINI_2_5),
    ("gemini-3-pro", GEMINI_3_PRO),
    ("gemini-3.1-pro", GEMINI_3_PRO),
    ("gemini-3.5-flash-lite", GeminiRules { sampling: false, ..GEMINI_3 }),
    ("gemini-3.6-flash", GeminiRules { sampling: false, ..GEMINI_3 }),
    ("gemini-3.7", GeminiRules { sampling: false, minimal: false, ..GEMINI_3 }),
    ("gemini-3.8", GeminiRules { sampling: false, minimal: false, ..GEMINI_3 }),
    ("gemini-3", GEMINI_3),
    ("gemini-", GeminiRules { minimal: false, ..GEMINI_3 }),
];

/// Returns the rules of a Gemini; other models of Google do not think.
pub(super) fn gemini(model: &str) -> GeminiRules {
    let name = model.rsplit('/').next().unwrap_or(model);
    GEMINI.iter().find(|(prefix, _)| name.starts_with(prefix)).map_or(WITHOUT_THINKING, |(_, rules)| *rules)
}

/// Returns the efforts that clients may choose for a model, from the least.
pub(super) fn chosen_efforts(model: &str) -> Vec<&'static str> {
    const ALL: [Effort; 7] =
        [Effort::None, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Xhigh, Effort::Max];
    let accepts = |effort: &Effort| match (efforts(model), model.contains("claude-")) {
        (Some(of_openai), _) => of_openai.nearest(*effort) == *effort,
        (None, true) => {
            let rules = claude(model);
            match effort {
                Effort::None | Effort::Minimal => false,
                Effort::Low | Effort::Medium | Effort::High => rules.thinking != Thinking::Never,
                Effort::Xhigh => rules.xhigh,
                Effort::Max => rules.is_adaptive(),
            }
        }
        (None, false) => {
            let rules = gemini(model);
            match effort {
                Effort::Minimal => rules.minimal && rules.levels,
                Effort::Low | Effort::Medium | Effort::High => rules.levels || rules.budget,
                Effort::None | Effort::Xhigh | Effort::Max => false,
            }
        }
    };
    ALL.into_iter().filter(accepts).map(Effort::as_str).collect()
}

/// Whether a provider is OpenAI itself, or Azure, whose models have the whole API. A deployment may have a private host.
pub(super) fn is_openai(options: &TranslationOptions<'_>) -> bool {
    is_host_of_openai(options.kind, options.host)
}

/// Whether a provider of this kind at this host is OpenAI itself, or Azure.
pub(super) fn is_host_of_openai(kind: ProviderKind, host: &str) -> bool {
    kind == ProviderKind::AzureOpenAi || host.ends_with(".openai.com") || host.ends_with(".azure.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claude_has_the_rules_of_the_longest_prefix_in_every_clouds_spelling() {
        for (model, rules) in [
            ("claude-3-5-sonnet-20241022", CLAUDE_3),
            ("claude-opus-4-20250514", CLAUDE_4),
            ("claude-haiku-4-5-20251001", CLAUDE_4),
            ("us.anthropic.claude-sonnet-4-6-v1:0", CLAUDE_4_6),
            ("anthropic/claude-opus-4.7", CLAUDE_4_7),
            ("claude-opus-4-8", CLAUDE_4_8),
            ("claude-opus-5", CLAUDE_4_8),
            ("claude-opus-5-5", ALWAYS_UNFORCED),
            ("claude-fable-5", ALWAYS),
            ("claude-fable-5-1", ALWAYS_UNFORCED),
            ("glm-5", OTHER),
        ] {
            assert_eq!(claude(model), rules, "{model}");
        }
        assert!(!claude("claude-opus-7").sampling && !claude("claude-opus-7").prefill);
    }

    #[test]
    fn an_effort_becomes_the_nearest_that_the_model_accepts() {
        for (model, effort, sent) in [
            ("gpt-5", Effort::None, Some(Effort::Minimal)),
            ("gpt-5", Effort::Max, Some(Effort::High)),
            ("gpt-5.1", Effort::Minimal, Some(Effort::Low)),
            ("gpt-5.2", Effort::Max, Some(Effort::Xhigh)),
            ("gpt-5.5-pro", Effort::Low, Some(Effort::Medium)),
            ("gpt-5-pro", Effort::Low, Some(Effort::High)),
            ("gpt-6-sol", Effort::Max, Some(Effort::Max)),
            ("gpt-6-astra", Effort::None, Some(Effort::Low)),
            ("o3-mini", Effort::None, Some(Effort::Low)),
            ("openai/gpt-oss-120b", Effort::Xhigh, Some(Effort::High)),
            ("gpt-6-sol", Effort::parse("ultra").unwrap(), Some(Effort::Max)),
            ("gpt-4o", Effort::Low, None),
            ("gpt-5-chat-latest", Effort::Low, None),
            ("qwen3", Effort::Low, None),
        ] {
            assert_eq!(efforts(model).map(|efforts| efforts.nearest(effort)), sent, "{model}");
        }
    }
}
