//! The numbers in an error about the length of a call, and the sentences in which the clients of a format read them.

/// The tokens that an error names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContextTokens {
    /// Those of the input, or of the whole call.
    pub input: Option<u64>,
    /// Those of the output that the call may have, if the error adds them.
    pub output: Option<u64>,
    /// The maximum of the model.
    pub limit: Option<u64>,
}

/// Longest part of a message that is read, in bytes.
const READ_BYTES_MAX: usize = 2048;
/// Numbers that are read.
const NUMBERS_MAX: usize = 16;
/// Least number that may be a length of a context.
const TOKENS_MIN: u64 = 16;
/// Bytes of a message before a number, and after it, whose words say which kind of number it is.
const BEFORE_BYTES: usize = 40;
const AFTER_BYTES: usize = 24;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Input,
    Output,
    Limit,
    Other,
}

impl ContextTokens {
    /// Reads the message of an error, in lower case. Numbers that contradict each other are left out.
    pub(super) fn read(message: &str) -> Self {
        let message = message.get(..message.floor_char_boundary(READ_BYTES_MAX)).unwrap_or(message);
        let numbers = numbers(message);
        let first = |counted| numbers.iter().find(|(_, is)| *is == counted).map(|(number, _)| *number);
        let largest = numbers.iter().filter(|(_, is)| *is == Counted::Other).map(|(number, _)| *number).max();
        let limit = first(Counted::Limit);
        let input = first(Counted::Input).or(largest);
        let output = first(Counted::Output);
        match (input, output, limit) {
            (Some(input), _, Some(limit)) if input > limit => {
                Self { input: Some(input), output: None, limit: Some(limit) }
            }
            (Some(input), Some(output), Some(limit)) if input.saturating_add(output) > limit => {
                Self { input: Some(input), output: Some(output), limit: Some(limit) }
            }
            (_, _, limit) => Self { input: None, output: None, limit },
        }
    }

    /// Returns the sentence of Anthropic, as far as the numbers are known. Claude Code shortens the conversation, or asks for
    /// less output.
    #[must_use]
    pub fn of_anthropic(self) -> Option<String> {
        let Self { input: Some(input), output, limit: Some(limit) } = self else { return None };
        Some(match output {
            Some(output) => format!(
                "input length and `max_tokens` exceed context limit: {input} + {output} > {limit}, decrease input length or \
                 `max_tokens` and try again"
            ),
            None => format!("prompt is too long: {input} tokens > {limit} maximum"),
        })
    }
}

/// Returns the numbers of a message with their kinds.
fn numbers(message: &str) -> Vec<(u64, Counted)> {
    let bytes = message.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = bytes.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let start = at + start;
        let len =
            bytes.iter().skip(start).take_while(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'_')).count();
        let end = start + len;
        at = end;
        let text = message.get(start..end).unwrap_or_default();
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_bound = start.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(is_of_name);
        let is_followed = bytes.get(end).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
        let Some(number) = digits.parse().ok().filter(|number| *number >= TOKENS_MIN && !is_bound && !is_followed)
        else {
            continue;
        };
        let before =
            message.get(message.floor_char_boundary(start.saturating_sub(BEFORE_BYTES))..start).unwrap_or_default();
        let after = message.get(end..message.floor_char_boundary(end.saturating_add(AFTER_BYTES))).unwrap_or_default();
        found.push((number, counted(before, after)));
        if found.len() == NUMBERS_MAX {
            break;
        }
    }
    found
}

fn counted(before: &str, after: &str) -> Counted {
    const LIMITS: [&str; 9] =
        ["<=", "allowed", "at most", "context length", "context size", "limit", "maximum", "only", "context window"];
    const INPUTS: [&str; 5] = ["`inputs`", "in the messages", "in the prompt", "input", "prompt"];
    const OUTPUTS: [&str; 5] = ["`max_new_tokens`", "completion", "in the completion", "max_", "output"];
    let after = after.trim_start().trim_start_matches("tokens").trim_start();
    let starts = |words: &[&str]| words.iter().any(|word| after.starts_with(word));
    // The words since the number before it.
    let before = before.replace("maximum output", "output");
    let own = before.rsplit(|letter: char| letter.is_ascii_digit()).next().unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| own.contains(word));
    if starts(&INPUTS) {
        Counted::Input
    } else if starts(&OUTPUTS) {
        Counted::Output
    } else if after.starts_with("maximum") || own.trim_end().ends_with('>') || has(&LIMITS) {
        if own.contains("exceed context limit") { Counted::Input } else { Counted::Limit }
    } else if own.trim_end().ends_with('+') || (own.contains("max_") && own.contains("too large")) {
        Counted::Output
    } else {
        Counted::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, expected: Option<&str>) {
        assert_eq!(ContextTokens::read(&message.to_ascii_lowercase()).of_anthropic().as_deref(), expected, "{message}");
    }

    #[test]
    fn the_numbers_of_a_call_and_of_its_model_are_told_apart() {
        for (message, input, limit) in [
            (
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
                9_000,
                8_192,
            ),
            ("The prompt (length 40000) is longer than the maximum model length of 32768.", 40_000, 32_768),
            ("This model's maximum prompt length is 131072 but the request contains 537812 tokens.", 537_812, 131_072),
            (
                "The estimated number of input and maximum output tokens (44000) exceeded this model context window limit (32768).",
                44_000,
                32_768,
            ),
            (
                "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only 4096 tokens",
                5_000,
                4_096,
            ),
            (
                "request (5,000 tokens) exceeds the available context size (4,096 tokens), try increasing it",
                5_000,
                4_096,
            ),
            (
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
                1_200_000,
                1_048_576,
            ),
            ("prompt token count of 120000 exceeds the limit of 64000", 120_000, 64_000),
            ("prompt is too long: 210000 tokens > 200000 maximum", 210_000, 200_000),
            (
                "Prompt contains 40000 tokens, too large for model gpt-4-32000 with 32768 maximum context length",
                40_000,
                32_768,
            ),
        ] {
            check(message, Some(&format!("prompt is too long: {input} tokens > {limit} maximum")));
        }
        for (message, sum) in [
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 131072 tokens and your request has 101000 input tokens (32000 > 131072 - 101000). None",
                "101000 + 32000 > 131072",
            ),
            (
                "`inputs` tokens + `max_new_tokens` must be <= 4097. Given: 4000 `inputs` tokens and 1000 `max_new_tokens`",
                "4000 + 1000 > 4097",
            ),
            (
                "This model's maximum context length is 4097 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).",
                "4000 + 1000 > 4097",
            ),
            (
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000, decrease input length",
                "188240 + 21333 > 200000",
            ),
        ] {
            let sentence = format!(
                "input length and `max_tokens` exceed context limit: {sum}, decrease input length or `max_tokens` and try again"
            );
            check(message, Some(&sentence));
        }
    }

    #[test]
    fn numbers_that_are_unknown_or_contradict_each_other_are_left_out() {
        for message in [
            "",
            "Your request exceeded model token limit: 131072",
            "prompt too long; exceeded max context length by 4 tokens",
            "maximum context length is 9000 tokens, you requested 800 tokens",
            "gpt-4-0613 has a context window of v2.8192",
            "99999999999999999999999999 > 99999999999999999999999998 maximum",
            &"9 ".repeat(5_000),
        ] {
            check(message, None);
        }
    }
}
