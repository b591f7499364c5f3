//! Names of fields that refer to objects of an account, or that an account keeps.

/// Longest `user`, `safety_identifier` and `prompt_cache_key` of OpenAI, in characters (2026-11-20).
pub(super) const KEY_BYTES_MAX: usize = 64;
/// Longest `metadata.user_id` of Anthropic, in characters (2026-11-20).
pub(super) const USER_ID_BYTES_MAX: usize = 256;
/// Longest value of OpenAI's `metadata`, in characters (2026-11-20).
pub(super) const METADATA_BYTES_MAX: usize = 512;

/// A reference to an object, by the field that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ObjectReference {
    pub(super) noun: &'static str,
    /// The field of the request.
    pub(super) param: &'static str,
    /// Whether calls that the gateway serves can make such an object.
    pub(super) may_be_owned: bool,
}

const fn owned(noun: &'static str, param: &'static str) -> Option<ObjectReference> {
    Some(ObjectReference { noun, param, may_be_owned: true })
}

const fn foreign(noun: &'static str, param: &'static str) -> Option<ObjectReference> {
    Some(ObjectReference { noun, param, may_be_owned: false })
}

/// Returns what a string behind this key names, in any format.
pub(super) fn of_string(key: &str) -> Option<ObjectReference> {
    match key {
        "previous_response_id" => owned("Previous response", "previous_response_id"),
        "file_id" | "file_ids" => owned("File", "file_id"),
        "container_id" => owned("Container", "container_id"),
        "approval_request_id" => owned("Approval request", "approval_request_id"),
        "vector_store_id" | "vector_store_ids" => foreign("Vector store", "vector_store_ids"),
        "connector_id" => foreign("Connector", "connector_id"),
        "cachedContent" | "cached_content" => foreign("Cached content", "cachedContent"),
        "fileSearchStoreNames" | "file_search_store_names" => foreign("File search store", "fileSearchStoreNames"),
        "library_ids" => foreign("Library", "library_ids"),
        "guardrailIdentifier" | "guardrail_identifier" => foreign("Guardrail", "guardrailIdentifier"),
        _ => None,
    }
}

/// Returns what the id of an object, or a string in its place, names behind this key.
pub(super) fn of_named(key: &str) -> Option<ObjectReference> {
    match key {
        "conversation" => owned("Conversation", "conversation"),
        "container" => owned("Container", "container"),
        "audio" => owned("Audio", "audio"),
        "voice" => foreign("Voice", "voice"),
        "prompt" => foreign("Prompt", "prompt"),
        _ => None,
    }
}

/// Returns what an object or a list names whose mere presence is a reference.
pub(super) fn of_source(key: &str) -> Option<ObjectReference> {
    match key {
        "retrieval" | "vertexAiSearch" | "vertex_ai_search" | "vertexRagStore" | "vertex_rag_store" | "externalApi"
        | "external_api" => foreign("Source of a retrieval", "tools"),
        "data_sources" | "dataSources" => foreign("Data source", "data_sources"),
        _ => None,
    }
}

/// Returns what a skill is. Skills of the provider itself are not of an account.
pub(super) fn of_skill(id: &str) -> Option<ObjectReference> {
    let is_of_provider = matches!(id, "docx" | "pdf" | "pptx" | "xlsx") || id.starts_with("openai-");
    if is_of_provider { None } else { foreign("Skill", "skill_id") }
}

/// Returns what an address behind this key names, if it is of an account.
pub(super) fn of_address(key: &str, value: &str) -> Option<ObjectReference> {
    const KEYS: [&str; 4] = ["url", "uri", "arn", "identifier"];
    let ends = |end: &str| {
        let at = key.len().checked_sub(end.len());
        at.and_then(|at| key.get(at..)).is_some_and(|last| last.eq_ignore_ascii_case(end))
    };
    if !KEYS.iter().any(|end| ends(end)) {
        return None;
    }
    let value = value.trim_start();
    let begins = |start: &str| value.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    if begins("gs://") || begins("s3://") {
        return foreign("Stored object", "uri");
    }
    if begins("arn:") {
        return foreign("Resource", "arn");
    }
    // The Files API of Gemini.
    let is_file =
        begins("files/") || (begins("https://") && value.contains("googleapis.com/") && value.contains("/files/"));
    if is_file { foreign("File", "fileUri") } else { None }
}

/// Whether an object or a list is the input or output of a client's tool, or a schema, which no provider resolves.
pub(super) fn is_of_tool(key: &str, is_list: bool) -> bool {
    match key {
        // The input of the Responses API is a list.
        "input" => !is_list,
        "args"
        | "input_schema"
        | "parameters"
        | "parametersJsonSchema"
        | "parameters_json_schema"
        | "response"
        | "responseSchema"
        | "response_schema"
        | "responseJsonSchema"
        | "schema" => true,
        _ => false,
    }
}
