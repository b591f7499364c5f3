//! The program that sent a request, by its `User-Agent`: a closed list, for statistics and for responses that suit it.

/// Longest part of a `User-Agent` that is read, in bytes.
const READ_BYTES_MAX: usize = 512;
/// Maximum number of products of a `User-Agent` that are read: programs name themselves before their environment.
const PRODUCTS_READ_MAX: usize = 8;

/// A program or library that calls LLM APIs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ClientProgram {
    /// No `User-Agent`, or one that names none of the others.
    #[default]
    Unknown,
    /// OpenAI's Codex: `codex_cli_rs/0.169.0`, `codex_exec/…`.
    Codex,
    /// Anthropic's Claude Code: `claude-cli/2.1.197`.
    ClaudeCode,
    /// Google's Gemini CLI: `GeminiCLI/0.24.0/gemini-2.5-pro`.
    GeminiCli,
    /// The agent opencode: `opencode/1.0.0 ai-sdk/…`.
    Opencode,
    /// The coding agent aider: `aider/0.86.1`.
    Aider,
    /// Vercel's AI SDK: `ai/6.0.326 ai-sdk/openai/3.0.1`.
    AiSdk,
    /// LangChain's integration of Gemini: `langchain-google-genai/4.4.1`.
    LangChainGoogle,
    /// The library LiteLLM: `litellm/1.106.2`.
    LiteLlm,
    /// OpenAI's SDK for Python, also within LlamaIndex, LangChain and aider: `OpenAI/Python 3.51.0`.
    OpenAiPython,
    /// OpenAI's SDK for another language: `OpenAI/JS 7.55.0`.
    OpenAi,
    /// An SDK of Anthropic: `Anthropic/Python 2.10.0`.
    Anthropic,
    /// An SDK of Google: `google-genai-sdk/3.1.0`.
    GoogleGenAi,
    /// The agent Qwen Code: `QwenCode/0.15.10 (linux; x64)`.
    QwenCode,
    /// The agent Continue: `Continue/1.5.47`.
    Continue,
    /// The agent pi: `pi/0.30.2`. It also calls with the names of its SDKs.
    Pi,
}

/// The beginnings of product names, in lowercase. The first row that matches a product decides: agents and frameworks also
/// name the SDK that they use.
const PRODUCTS: [(&str, ClientProgram); 25] = [
    ("codex", ClientProgram::Codex),
    ("claude-cli/", ClientProgram::ClaudeCode),
    ("claude-code/", ClientProgram::ClaudeCode),
    ("geminicli", ClientProgram::GeminiCli),
    ("opencode/", ClientProgram::Opencode),
    ("aider/", ClientProgram::Aider),
    ("qwencode/", ClientProgram::QwenCode),
    ("qwen-code/", ClientProgram::QwenCode),
    ("continue/", ClientProgram::Continue),
    ("pi/", ClientProgram::Pi),
    ("pi-coding-agent/", ClientProgram::Pi),
    ("langchain-google", ClientProgram::LangChainGoogle),
    ("litellm/", ClientProgram::LiteLlm),
    ("ai-sdk/", ClientProgram::AiSdk),
    ("ai/", ClientProgram::AiSdk),
    ("openai/python", ClientProgram::OpenAiPython),
    ("asyncopenai/python", ClientProgram::OpenAiPython),
    ("azureopenai/python", ClientProgram::OpenAiPython),
    ("asyncazureopenai/python", ClientProgram::OpenAiPython),
    ("openai/", ClientProgram::OpenAi),
    ("azureopenai/", ClientProgram::OpenAi),
    ("anthropic/", ClientProgram::Anthropic),
    ("asyncanthropic/", ClientProgram::Anthropic),
    ("google-genai-sdk/", ClientProgram::GoogleGenAi),
    ("google-genai/", ClientProgram::GoogleGenAi),
];

/// The letters with which [`PRODUCTS`] begin.
const FIRST_LETTERS: [u8; 7] = *b"cgoalqp";

impl ClientProgram {
    /// Every program, in order of declaration.
    pub const ALL: [Self; 16] = [
        Self::Unknown,
        Self::Codex,
        Self::ClaudeCode,
        Self::GeminiCli,
        Self::Opencode,
        Self::Aider,
        Self::AiSdk,
        Self::LangChainGoogle,
        Self::LiteLlm,
        Self::OpenAiPython,
        Self::OpenAi,
        Self::Anthropic,
        Self::GoogleGenAi,
        Self::QwenCode,
        Self::Continue,
        Self::Pi,
    ];

    /// Returns the program that a `User-Agent` names (RFC 9110, 10.1.5); of the field, the first 8 products within
    /// the first 512 bytes are read.
    #[must_use]
    pub fn from_user_agent(user_agent: Option<&[u8]>) -> Self {
        let agent = user_agent.unwrap_or_default();
        let agent = agent.get(..READ_BYTES_MAX).unwrap_or(agent);
        let begins = |product: &[u8], name: &str| {
            product.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
        };
        // Each product is compared only with the rows before the best one, and most of their first letters differ.
        let mut rows = PRODUCTS.as_slice();
        let mut program = Self::Unknown;
        for product in agent.split(|byte| matches!(byte, b' ' | b'\t')).take(PRODUCTS_READ_MAX) {
            let is_first = product.first().is_some_and(|first| FIRST_LETTERS.contains(&first.to_ascii_lowercase()));
            if is_first && let Some(row) = rows.iter().position(|(name, _)| begins(product, name)) {
                program = rows.get(row).map_or(program, |(_, found)| *found);
                rows = rows.get(..row).unwrap_or_default();
            }
        }
        program
    }

    /// Returns the number of the program in records and in the store, which never changes. The number 0 is never written.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Codex => 1,
            Self::ClaudeCode => 2,
            Self::GeminiCli => 3,
            Self::Opencode => 4,
            Self::Aider => 5,
            Self::AiSdk => 6,
            Self::LangChainGoogle => 7,
            Self::LiteLlm => 8,
            Self::OpenAiPython => 9,
            Self::OpenAi => 10,
            Self::Anthropic => 11,
            Self::GoogleGenAi => 12,
            Self::QwenCode => 13,
            Self::Continue => 14,
            Self::Pi => 15,
        }
    }

    /// Returns the program with this number; a number of a later release is unknown.
    #[must_use]
    pub fn of_number(number: u8) -> Self {
        Self::ALL.into_iter().find(|program| program.number() == number).unwrap_or_default()
    }

    /// Returns the name of the program, in lowercase.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Codex => "codex",
            Self::ClaudeCode => "claude-code",
            Self::GeminiCli => "gemini-cli",
            Self::Opencode => "opencode",
            Self::Aider => "aider",
            Self::AiSdk => "ai-sdk",
            Self::LangChainGoogle => "langchain-google",
            Self::LiteLlm => "litellm",
            Self::OpenAiPython => "openai-python",
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::GoogleGenAi => "google-genai",
            Self::QwenCode => "qwen-code",
            Self::Continue => "continue",
            Self::Pi => "pi",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_products() {
        for (agent, program) in [
            ("codex_exec/0.169.0 (Debian 13.0.0; x86_64) xterm-256color", "codex"),
            ("codex_cli_rs/0.169.0 (Debian 13.0.0; x86_64)", "codex"),
            ("claude-cli/2.1.197 (external, sdk-cli)", "claude-code"),
            ("GeminiCLI/0.24.0/gemini-2.5-pro (linux; x64) google-genai-sdk/1.30.0 gl-node/v22", "gemini-cli"),
            ("opencode/1.0.0 ai-sdk/provider-utils/3.0.1 runtime/bun/1.3.0", "opencode"),
            ("aider/0.86.1", "aider"),
            ("QwenCode/0.15.10 (linux; x64)", "qwen-code"),
            ("Continue/1.5.47", "continue"),
            ("pi/0.30.2 (linux)", "pi"),
            ("pip/25.0", "unknown"),
            ("ai/6.0.326 ai-sdk/openai/3.0.1 ai-sdk/provider-utils/4.0.0 runtime/node.js/22", "ai-sdk"),
            ("my-app/1.0 ai-sdk/google/3.0.1", "ai-sdk"),
            ("google-genai-sdk/1.75.0 gl-python/3.12 langchain-google-genai/4.4.1", "langchain-google"),
            ("litellm/1.106.2", "litellm"),
            ("OpenAI/Python 3.51.0", "openai-python"),
            ("AsyncAzureOpenAI/Python 1.109.1", "openai-python"),
            ("OpenAI/JS 7.55.0", "openai"),
            ("AzureOpenAI/JS 6.49.0", "openai"),
            ("Anthropic/JS 1.10.0", "anthropic"),
            ("AsyncAnthropic/Python 2.10.0", "anthropic"),
            ("google-genai-sdk/3.1.0 gl-node/v22", "google-genai"),
            ("curl/8.14.1", "unknown"),
            ("Mozilla/5.0 (X11; Linux x86_64) openaix/1", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(ClientProgram::from_user_agent(Some(agent.as_bytes())).as_str(), program, "{agent}");
        }
        assert_eq!(ClientProgram::from_user_agent(None), ClientProgram::Unknown);
    }

    #[test]
    fn a_long_user_agent_is_read_in_part() {
        let agent = format!("{}codex_exec/1", "x ".repeat(READ_BYTES_MAX));
        assert_eq!(ClientProgram::from_user_agent(Some(agent.as_bytes())), ClientProgram::Unknown);
    }

    #[test]
    fn every_name_is_unique() {
        let mut names = ClientProgram::ALL.map(ClientProgram::as_str).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ClientProgram::ALL.len());
    }

    #[test]
    fn numbers_are_frozen_and_every_product_has_a_known_first_letter() {
        for (number, program) in (0..).zip(ClientProgram::ALL) {
            assert_eq!((program.number(), ClientProgram::of_number(number)), (number, program));
        }
        assert_eq!(ClientProgram::of_number(200), ClientProgram::Unknown);
        for (name, _) in PRODUCTS {
            assert!(FIRST_LETTERS.contains(&name.as_bytes()[0]), "{name}");
        }
    }
}
