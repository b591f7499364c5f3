//! Data of a Google Cloud project that a body for Vertex AI refers to. Google reads them with the rights of the account that
//! sends the call, not with those of the client.

use super::walk::{Token, Walk};

/// Data of a project that a body refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectData {
    /// An object of Cloud Storage: `gs://…`.
    StoredObject,
    /// A prompt in the cache of the project.
    CachedContent,
    /// A data store or another source of a retrieval.
    Retrieval,
}

/// Keys of texts, which Google does not resolve.
const TEXTS: [&str; 4] = ["text", "content", "system", "arguments"];
/// Keys of the input and output of a client's tools, and of their schemas.
const OF_TOOLS: [&str; 8] = [
    "args",
    "input",
    "input_schema",
    "parameters",
    "parametersJsonSchema",
    "parameters_json_schema",
    "response",
    "schema",
];
/// Keys of a retrieval and of its sources.
const RETRIEVALS: [&str; 7] = [
    "retrieval",
    "vertexAiSearch",
    "vertex_ai_search",
    "vertexRagStore",
    "vertex_rag_store",
    "externalApi",
    "external_api",
];

impl ProjectData {
    /// Returns the first data of a project to which a body refers. The body was parsed before.
    #[must_use]
    pub fn find(body: &[u8]) -> Option<Self> {
        let mut walk = Walk::new(body);
        let mut key = String::new();
        while let Some(token) = walk.next() {
            // A key belongs to the value behind it only.
            let key = match &token {
                Token::Key(text) => {
                    key = text.resolved().into_owned();
                    continue;
                }
                Token::Open { .. } | Token::Close | Token::String(..) | Token::Word(..) => std::mem::take(&mut key),
            };
            match token {
                Token::Open { list, .. } if OF_TOOLS.contains(&&*key) => walk.pass_over(list),
                Token::Open { .. } if RETRIEVALS.contains(&&*key) => return Some(Self::Retrieval),
                Token::String(text, _) => {
                    let value = text.resolved();
                    if matches!(&*key, "cachedContent" | "cached_content") && !value.is_empty() {
                        return Some(Self::CachedContent);
                    }
                    if is_of_storage(&value) && !TEXTS.contains(&&*key) {
                        return Some(Self::StoredObject);
                    }
                }
                Token::Open { .. } | Token::Close | Token::Key(_) | Token::Word(..) => {}
            }
        }
        None
    }

    /// Returns the wording in a refusal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoredObject => "an object of Cloud Storage (`gs://`)",
            Self::CachedContent => "cached content",
            Self::Retrieval => "the source of a retrieval",
        }
    }

    /// Returns the field of a body of Gemini that refers to it.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::StoredObject => "fileUri",
            Self::CachedContent => "cachedContent",
            Self::Retrieval => "tools",
        }
    }
}

/// Whether a value is a URI of Cloud Storage.
fn is_of_storage(value: &str) -> bool {
    value.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("gs://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_of_a_project_are_found_in_every_spelling_and_not_in_texts_and_tools() {
        use ProjectData::*;
        for (body, expected) in [
            (r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://b/x.pdf"}}]}]}"#, Some(StoredObject)),
            (r#"{"contents":[{"parts":[{"file_data":{"file\u005furi":"\u0067S:\/\/b/x"}}]}]}"#, Some(StoredObject)),
            (r#"{"messages":[{"content":[{"image_url":{"url":" gs://b/x.png"}}]}]}"#, Some(StoredObject)),
            (r#"{"messages":[{"content":[{"image_url":"gs://b/x.png"}]}]}"#, Some(StoredObject)),
            (r#"{"a":[{"args":1},{"fileUri":"gs://b/x"}]}"#, Some(StoredObject)),
            (r#"{"a":[{"args":{}},{"fileUri":"gs://b/x"}]}"#, Some(StoredObject)),
            (r#"{"cachedContent":"projects/p/locations/l/cachedContents/1"}"#, Some(CachedContent)),
            (r#"{"extra_body":{"google":{"cached_content":"1"}}}"#, Some(CachedContent)),
            (r#"{"tools":[{"retrieval":{"vertexAiSearch":{"datastore":"d"}}}]}"#, Some(Retrieval)),
            (r#"{"tools":[{"vertex_rag_store":{}}]}"#, Some(Retrieval)),
            (r#"{"cachedContent":null,"tools":[{"retrieval":null}]}"#, None),
            (r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://x/y"}}]}]}"#, None),
            (r#"{"contents":[{"parts":[{"text":"gs://b/x is an object"}]}]}"#, None),
            (r#"{"messages":[{"role":"user","content":"gs://b/x"}]}"#, None),
            (r#"{"contents":[{"parts":[{"functionCall":{"args":{"url":"gs://b/x"}}}]}]}"#, None),
            (r#"{"tools":[{"functionDeclarations":[{"parameters":{"retrieval":{}}}]}]}"#, None),
        ] {
            assert_eq!(ProjectData::find(body.as_bytes()), expected, "{body}");
        }
    }
}
