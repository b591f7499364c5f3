//! The list of usage columns: each class of tokens and each kind of tool calls is declared once, here.

/// Calls a macro with the list of usage columns.
///
/// A class of tokens has a name, which is its field in [`Usage`](crate::Usage) and its name in the API, a column in the
/// tables of requests, and the [`TokenTotal`](crate::usage::TokenTotal) that contains it. The column and the name of
/// tool calls are the same. Types, SQL texts, inserts, sums and comparisons are generated from this list. The called
/// macro receives the given arguments in brackets before the list.
#[macro_export]
macro_rules! usage_columns {
    ($with:ident $($args:tt)*) => {
        $with! {
            [$($args)*]
            tokens {
                /// Text that was not read from or written to a cache, and input that the provider does not assign to
                /// another class.
                input "input_tokens" Input,
                /// Input read from the provider's cache.
                cached_input "cached_input_tokens" CachedInput,
                /// Input written to a cache with the short lifetime (5 or 30 minutes).
                cache_write_short "cache_write_short_tokens" CacheWriteShort,
                /// Input written to a cache with the long lifetime (1 or 12 hours).
                cache_write_long "cache_write_long_tokens" CacheWriteLong,
                /// Text without reasoning, and output that the provider does not assign to another class.
                output "output_tokens" Output,
                /// Reasoning that the provider reports separately.
                reasoning "reasoning_tokens" Reasoning,
                /// Audio input that was not cached.
                audio_input "audio_input_tokens" Input,
                /// Image input that was not cached.
                image_input "image_input_tokens" Input,
                /// Tokens of generated audio.
                audio_output "audio_output_tokens" Output,
                /// Tokens of generated images.
                image_output "image_output_tokens" Output,
            }
            tools {
                /// Web searches; for Gemini the distinct queries.
                searches "searches",
                /// Prompts that Google Maps grounded.
                maps_prompts "maps_prompts",
                /// Queries to Google Maps; `None` if the response lists none.
                maps_queries "maps_queries",
                /// Containers of a code interpreter, in gigabytes of memory.
                containers "containers",
                /// Searches in stored files.
                file_searches "file_searches",
            }
        }
    };
}
