//! The words by which hosts say that a call is longer than the context window of its model.

/// Words of one meaning, of which a message contains at least one.
type Meaning = &'static [&'static str];

/// One way to say it: a message has a word of each meaning.
struct Signal {
    /// The hosts and servers that are known to say it so.
    hosts: &'static str,
    meanings: &'static [Meaning],
}

/// Codes and types of such errors.
const CODES: [&str; 9] = [
    "1261",
    "context_length_exceeded",
    "context_window_exceeded",
    "exceed_context_size_error",
    "input_too_long",
    "model_context_window_exceeded",
    "model_max_prompt_tokens_exceeded",
    "prompt_too_long",
    "tokens_limit_reached",
];

const CONTEXT: Meaning = &[
    "context length",
    "context limit",
    "context overflow",
    "context size",
    "context window",
    "context_length",
    "n_ctx",
];
const PROMPT: Meaning = &["input", "message", "prompt", "request"];
const LENGTH: Meaning = &[
    "input length",
    "length limit",
    "max length",
    "max_input",
    "max_model_len",
    "max_seq_len",
    "model length",
    "prompt length",
];
const COUNT: Meaning =
    &["input token", "number of tokens", "prompt token", "token count", "token limit", "tokens in the prompt"];
const EXCEEDS: Meaning = &[
    "at most",
    "exceed",
    "greater",
    "larger",
    "less than",
    "longer",
    "maximum",
    "no smaller",
    "not enough",
    "only",
    "over the",
    "overflow",
    "reduce",
    "requested",
    "resulted in",
    "too large",
    "too long",
    "too many",
];

/// Read 2026-11-30 in reports of their users.
#[rustfmt::skip]
const SIGNALS: &[Signal] = &[
    Signal { hosts: "OpenAI, Azure, Cloudflare, DeepSeek, llama.cpp, MiniMax, Mistral, Ollama, OpenRouter, SGLang, vLLM", meanings: &[CONTEXT, EXCEEDS] },
    Signal { hosts: "vLLM, xAI, Z.ai", meanings: &[PROMPT, LENGTH, EXCEEDS] },
    Signal { hosts: "Gemini, GitHub, Moonshot", meanings: &[PROMPT, COUNT, &["exceed", "greater", "too many"]] },
    Signal { hosts: "Anthropic, Fireworks, Vertex", meanings: &[&["prompt is too long", "prompt too long", "prompt was too long", "prompt is longer"]] },
    Signal { hosts: "Bedrock", meanings: &[&["input is too long", "input too long", "too many input tokens"]] },
    Signal { hosts: "Together, text-generation-inference", meanings: &[&["`inputs`", "inputs tokens"], &["max_new_tokens", "max_total_tokens", "must have less than", "must have at most"]] },
    Signal { hosts: "LM Studio", meanings: &[&["tokens to keep", "to keep the first"], &["context"]] },
    Signal { hosts: "Groq", meanings: &[&["reduce the length of the messages", "reduce the length of the prompt", "reduce your prompt"]] },
    Signal { hosts: "DashScope", meanings: &[&["range of input length should be"]] },
    Signal { hosts: "GitHub", meanings: &[&["body too large", "request too large"], &["max size"], &["tokens"]] },
    Signal { hosts: "Cohere", meanings: &[&["too many tokens"], &["size limit"]] },
];

/// Words of errors about tokens in a time, or about money.
const OTHERS: [&str; 10] = [
    "per day",
    "per hour",
    "per min",
    "per second",
    "please wait",
    "quota",
    "rate limit",
    "rate_limit",
    "tokens per",
    "tpm",
];

/// Whether an error in these words, in lower case, is about the length of the call.
pub(super) fn is_context(kind: &str, code: &str, message: &str) -> bool {
    let is_coded = CODES.contains(&kind) || CODES.contains(&code);
    is_coded
        || (!OTHERS.iter().any(|word| message.contains(word)) && SIGNALS.iter().any(|signal| signal.is_in(message)))
}

impl Signal {
    fn is_in(&self, message: &str) -> bool {
        debug_assert!(!self.hosts.is_empty());
        self.meanings.iter().all(|words| words.iter().any(|word| message.contains(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each host says, a row for each form.
    #[rustfmt::skip]
    const SAID: &[&str] = &[
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 131072 tokens and your request has 101000 input tokens (32000 > 131072 - 101000). None",
        "The prompt (length 40000) is longer than the maximum model length of 32768.",
        "The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "Invalid request: Your request exceeded model token limit: 131072",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 4000 `inputs` tokens and 1000 `max_new_tokens`",
        "Input validation error: `inputs` must have less than 1024 tokens. Given: 1100",
        "The estimated number of input and maximum output tokens (44000) exceeded this model context window limit (32768).",
        "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens, which is not enough.",
        "The number of tokens to keep from the initial prompt is greater than the context length.",
        "context length exceeded",
        "the request exceeds the available context size. try increasing the context size or enable context shift",
        "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        "Prompt exceeds max length",
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        "prompt too long; exceeded max context length by 4 tokens",
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "prompt token count of 120000 exceeds the limit of 64000",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length or `max_tokens` and try again",
        "Input is too long for requested model.",
        "context window exceeds limit (2013)",
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
        "Requested tokens (5000) exceed context window of 2048",
        "Please reduce the length of the messages or completion.",
        "Request body too large for gpt-4o model. Max size: 8000 tokens.",
        "too many tokens: size limit exceeded by 11326 tokens",
    ];

    #[test]
    fn hosts_say_in_many_words_that_a_call_is_too_long() {
        for message in SAID {
            assert!(is_context("", "", &message.to_ascii_lowercase()), "{message}");
        }
        for signal in SIGNALS {
            assert!(SAID.iter().any(|message| signal.is_in(&message.to_ascii_lowercase())), "{}", signal.hosts);
        }
        for code in CODES {
            assert!(is_context(code, "", "") && is_context("", code, "") && CODES.is_sorted());
        }
    }

    #[test]
    fn other_errors_about_lengths_and_tokens_are_not_about_the_context() {
        for message in [
            "",
            "Too many tokens",
            "Too many tokens, please wait before trying again.",
            "Too many input tokens, please wait before trying again.",
            "Rate limit reached for gpt-5 on tokens per min (TPM): Limit 30000, Used 20000, Requested 12000.",
            "You exceeded your current quota: input tokens per minute",
            "max_tokens is too large: 32000. This model supports at most 16384 completion tokens.",
            "max_tokens: 300000 > 200000, which is the maximum allowed number of output tokens for m",
            "Invalid 'input': string too long. Expected a string with maximum length 10485760, but got 10485761 instead.",
            "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum",
            "tools: maximum of 128 items",
            "Invalid 'metadata.a': value too long",
            "`temperature` must be less than or equal to 2",
        ] {
            assert!(!is_context("", "", &message.to_ascii_lowercase()), "{message}");
        }
    }
}
