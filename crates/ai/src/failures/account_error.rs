//! Errors of a provider about the operator's account. A client would take them for errors of the client's account at the
//! gateway, and their texts name the operator's organization, limits and keys.
//!
//! One function decides for statuses, bodies and events of all formats: [`HiddenError::from_error`].

use access::Refusal;

use crate::failures::account_words::AccountWords;
use crate::failures::failure::{ProviderError, ProviderErrorKind};

/// Whose account at the provider a call uses. Errors about the operator's account are not shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderAccount {
    /// The account of the user.
    Own,
    /// The operator's, which several users share.
    Shared,
    /// None: the operator has not configured a credential.
    Nobody,
}

/// The error that a client gets in place of one about the operator's account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HiddenError {
    /// The provider refuses the operator's credential.
    Credential,
    /// The operator's account has no money or quota left.
    Quota,
    /// A rate limit of the account is exceeded.
    Busy,
    /// The call alone exceeds a rate limit of the account.
    TooLarge,
    /// The account does not have the model.
    NoModel,
    /// The call exceeds the context window, and the text names the account.
    TooLong,
    /// Anything else about the account.
    Other,
}

/// The status of a refused credential. A provider without a configured one refuses the operator too.
const UNAUTHORIZED: u16 = 401;
const NOT_FOUND: u16 = 404;
const PAYLOAD_TOO_LARGE: u16 = 413;
const TOO_MANY_REQUESTS: u16 = 429;

impl HiddenError {
    /// Returns what the client gets in place of an error, whether a status, a body or an event reports it; `None` if the
    /// client gets the error itself. `names_project` is whether errors about unknown models name the operator's project.
    #[must_use]
    pub fn from_error(error: &ProviderError, account: ProviderAccount, names_project: bool) -> Option<Self> {
        let is_shared = match account {
            ProviderAccount::Own => return None,
            ProviderAccount::Shared => true,
            ProviderAccount::Nobody => false,
        };
        match error.kind {
            ProviderErrorKind::Credential if is_shared || error.status == UNAUTHORIZED => Some(Self::Credential),
            _ if !is_shared => None,
            ProviderErrorKind::Quota => Some(Self::Quota),
            _ if error.is_too_large => Some(Self::TooLarge),
            _ if error.status == PAYLOAD_TOO_LARGE && error.account_words == AccountWords::Limit => {
                Some(Self::TooLarge)
            }
            _ if error.status == TOO_MANY_REQUESTS => Some(Self::Busy),
            _ if error.status == NOT_FOUND && names_project => Some(Self::NoModel),
            // Clients shorten the conversation by the numbers of the text, which may mention tokens per minute.
            ProviderErrorKind::Context if error.account_words == AccountWords::Account => Some(Self::TooLong),
            ProviderErrorKind::Context => None,
            ProviderErrorKind::NotFound if error.account_words != AccountWords::None => Some(Self::NoModel),
            ProviderErrorKind::Status | ProviderErrorKind::Credential | ProviderErrorKind::NotFound => {
                match error.account_words {
                    AccountWords::None => None,
                    AccountWords::Limit => Some(Self::Busy),
                    AccountWords::Account => Some(Self::Other),
                }
            }
        }
    }

    /// Returns the code for the client.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        match self {
            Self::Credential | Self::Quota | Self::Other => Refusal::UpstreamProtocol,
            Self::Busy | Self::TooLarge => Refusal::RateLimited,
            Self::NoModel => Refusal::ModelNotFound,
            Self::TooLong => Refusal::BadRequest,
        }
    }

    /// Returns the word in the log.
    #[must_use]
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Quota => "quota",
            Self::Busy => "rate",
            Self::TooLarge => "size",
            Self::NoModel => "model",
            Self::TooLong => "length",
            Self::Other => "account",
        }
    }

    /// Returns the message for the client.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Credential => "the provider of this model refuses the gateway's credential: tell the operator",
            Self::Quota => "the provider of this model refuses the gateway's account: tell the operator",
            Self::Busy => "the provider of this model takes no more calls at the moment: try again later",
            Self::TooLarge => {
                "request too large: the provider of this model takes fewer tokens in one minute: shorten the call"
            }
            Self::NoModel => {
                "the provider does not have this model, or not for the gateway: correct its name, or tell the operator"
            }
            Self::TooLong => "prompt is too long: the call exceeds the context window of this model",
            Self::Other => {
                "the provider of this model refuses the call for a reason that concerns the gateway's account: tell the \
                 operator"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wordings of providers, with the error that a client gets.
    const WORDINGS: [(&str, HiddenError); 24] = [
        (
            r#"{"error":{"message":"Rate limit reached for gpt-5 in organization org-AbC123xyz on tokens per min (TPM): Limit 30000, Used 29000.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            HiddenError::Busy,
        ),
        (
            r#"{"error":{"message":"Rate limit reached for gpt-5 in organization org-AbC123xyz on requests per day"}}"#,
            HiddenError::Busy,
        ),
        (
            r#"{"error":{"message":"Request too large for `llama` in organization `org_01abcdefg` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 7000","code":"rate_limit_exceeded"}}"#,
            HiddenError::TooLarge,
        ),
        (
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota"}}"#,
            HiddenError::Quota,
        ),
        (
            r#"{"error":{"message":"Incorrect API key provided: sk-proj-abc***xyz","code":"invalid_api_key"}}"#,
            HiddenError::Credential,
        ),
        (
            r#"{"error":{"message":"Project `proj_abc123456` does not have access to model `gpt-5`","code":"model_not_found"}}"#,
            HiddenError::NoModel,
        ),
        (
            r#"{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error"}}"#,
            HiddenError::Other,
        ),
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 40,000 input tokens per minute"}}"#,
            HiddenError::Busy,
        ),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            HiddenError::Quota,
        ),
        (
            r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
            HiddenError::Credential,
        ),
        (
            r#"{"type":"error","error":{"type":"api_error","message":"Workspace wrkspc_01abcdefg has reached its limit"}}"#,
            HiddenError::Other,
        ),
        (
            r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_requests, limit: 20"}}"#,
            HiddenError::Busy,
        ),
        (
            r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"Permission 'aiplatform.endpoints.predict' denied on resource '//aiplatform.googleapis.com/projects/p-secret/x'"}}"#,
            HiddenError::Credential,
        ),
        (
            r#"{"error":{"code":400,"status":"FAILED_PRECONDITION","message":"Project 'p-secret' has not enabled billing"}}"#,
            HiddenError::Other,
        ),
        (
            r#"{"error":{"message":"Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your current OpenAI S0 pricing tier."}}"#,
            HiddenError::Busy,
        ),
        (
            r#"{"message":"User: arn:aws:iam::123456789012:user/x is not authorized to perform: bedrock:InvokeModel"}"#,
            HiddenError::Other,
        ),
        (r#"{"message":"Too many tokens per day, please wait before trying again."}"#, HiddenError::Busy),
        (r#"{"error":{"message":"Insufficient Balance","type":"unknown_error"}}"#, HiddenError::Other),
        (
            r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only afford 512","code":402}}"#,
            HiddenError::Quota,
        ),
        (
            r#"{"error":{"message":"Your team 12-34 has either used all available credits or reached its monthly spending limit"}}"#,
            HiddenError::Other,
        ),
        (
            r#"{"error":{"message":"Your account org-abcdef123<ak-abcdef123> request reached max organization concurrency: 3"}}"#,
            HiddenError::Busy,
        ),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached in organization org-AbC123xyz"}}}"#,
            HiddenError::Busy,
        ),
        (r#"[{"error":{"code":429,"message":"Resource exhausted: project_number:123"}}]"#, HiddenError::Busy),
        (r#"{"error":"Account 123456 is denied: your account has no access"}"#, HiddenError::Other),
    ];

    #[test]
    fn every_wording_about_the_operators_account_is_hidden_as_an_event_and_as_a_body() {
        for (json, expected) in WORDINGS {
            let event = ProviderError::of_event(json.as_bytes());
            assert_eq!(HiddenError::from_error(&event, ProviderAccount::Shared, false), Some(expected), "{json}");
            assert_eq!(HiddenError::from_error(&event, ProviderAccount::Own, true), None, "{json}");
            let body = ProviderError::of_response(event.status, json.as_bytes());
            assert_eq!(HiddenError::from_error(&body, ProviderAccount::Shared, false), Some(expected), "{json}");
        }
    }

    #[test]
    fn errors_about_the_call_or_the_provider_itself_are_shown() {
        for json in [
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            r#"{"error":{"message":"The server had an error while processing your request","type":"server_error"}}"#,
            r#"{"error":{"message":"Invalid value: 'x'. Supported values are: 'a'.","type":"invalid_request_error","param":"model"}}"#,
            r#"{"error":{"message":"Invalid schema for function 'create_project': task-force-organization","type":"invalid_request_error"}}"#,
            r#"{"error":{"code":"context_length_exceeded","message":"Your input exceeds the context window of this model."}}"#,
            r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"The model is overloaded."}}"#,
            r#"{"error":{"code":404,"status":"NOT_FOUND","message":"models/x is not found for API version v1beta"}}"#,
        ] {
            let error = ProviderError::of_event(json.as_bytes());
            assert_eq!(HiddenError::from_error(&error, ProviderAccount::Shared, false), None, "{json}");
        }
        let refused = ProviderError::of_response(401, b"{}");
        assert_eq!(HiddenError::from_error(&refused, ProviderAccount::Nobody, false), Some(HiddenError::Credential));
        let busy = ProviderError::of_response(429, b"{}");
        assert_eq!(HiddenError::from_error(&busy, ProviderAccount::Nobody, false), None);
        let unknown = ProviderError::of_response(404, b"{}");
        assert_eq!(HiddenError::from_error(&unknown, ProviderAccount::Shared, true), Some(HiddenError::NoModel));
    }

    #[test]
    fn a_message_in_place_of_another_is_hidden_as_the_same() {
        for hidden in [HiddenError::Busy, HiddenError::TooLarge] {
            let body = format!(r#"{{"error":{{"message":"{}"}}}}"#, hidden.message());
            let error = ProviderError::of_response(429, body.as_bytes());
            assert_eq!(HiddenError::from_error(&error, ProviderAccount::Shared, false), Some(hidden));
        }
    }
}
