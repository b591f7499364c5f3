//! The response of a refusal, in the format of the requested path.

use access::{ClientProgram, Refusal, RequestId, Timestamp};
use ai::Dialect;
use bytes::Bytes;
use config::snapshot::QuotaStatus;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::refusal::problem::{ErrorFormat, Problem};

/// The response to a connection that exceeds a limit of connections. The connection is then closed.
pub(crate) const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 102\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"error\":{\"code\":\"overloaded\",\"message\":\"too many connections are open: try again soon\",\"status\":503}}";

/// The header that contains the kind of an error for Amazon's clients.
const X_AMZN_ERRORTYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The settings that determine the body and status of a refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rendering<'a> {
    /// The format of the requested endpoint; `None` is the gateway's own format.
    pub(crate) dialect: Option<Dialect>,
    /// The status for a quota or budget that is used up.
    pub(crate) quota_status: QuotaStatus,
    /// The `User-Agent` of the client, whose program may determine that status.
    pub(crate) user_agent: Option<&'a [u8]>,
    /// The brand's name for machines: the `domain` of Google's `ErrorInfo`.
    pub(crate) domain: &'a str,
    /// The current time, from which resets are counted.
    pub(crate) now: Timestamp,
}

/// The header with the advice that Codex shows beside "You've hit your usage limit".
const X_CODEX_PROMO_MESSAGE: HeaderName = HeaderName::from_static("x-codex-promo-message");
/// The status of a refused key for Codex, which repeats a call five times after 401 and 403 (0.169 and 0.171), and ends after 400.
const CODEX_STATUS: u16 = 400;

impl Rendering<'_> {
    fn is_for_codex(&self) -> bool {
        self.dialect == Some(Dialect::OpenAi) && ClientProgram::from_user_agent(self.user_agent) == ClientProgram::Codex
    }

    /// Whether the client shows `Retry-After` and does not repeat the call then (2.1.332).
    fn is_for_claude_code(&self) -> bool {
        self.dialect == Some(Dialect::Anthropic)
            && ClientProgram::from_user_agent(self.user_agent) == ClientProgram::ClaudeCode
    }
}

/// Returns a message as a sentence that Codex continues with ", or try again at".
fn codex_advice(message: &str) -> String {
    let message = message.trim_end_matches('.');
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Whether a refusal is of a key that stays invalid. A token that has expired can be renewed after 401.
fn is_of_bad_key(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::Unauthorized | Refusal::KeyMalformed | Refusal::KeyUnknown | Refusal::KeyRevoked)
}

impl Problem {
    /// Returns the response in the format of `rendering.dialect`, or in the gateway's own format.
    pub(crate) fn into_response(self, rendering: Rendering<'_>, id: RequestId) -> Response<Bytes> {
        let is_quota = matches!(self.refusal, Refusal::QuotaExceeded | Refusal::BudgetExceeded);
        let status = if is_quota {
            rendering.quota_status.for_client(ClientProgram::from_user_agent(rendering.user_agent))
        } else if is_of_bad_key(self.refusal) && rendering.is_for_codex() {
            CODEX_STATUS
        } else {
            self.refusal.status()
        };
        let request_id = id.to_string();
        let reporter = ai::Reporter { domain: rendering.domain, request_id: &request_id };
        let problem = ai::FormatProblem::new(self.refusal, &self.message, reporter);
        let problem = ai::FormatProblem { status, param: self.param.as_deref(), ..problem };
        let is_of_codex = is_quota && status == 429 && rendering.is_for_codex() && self.format.is_none();
        let (dialect, bytes) = match self.format {
            None if is_of_codex => {
                let reset_s = self.item.as_ref().and_then(|item| item.reset_s);
                let resets_at = reset_s.map(|reset_s| rendering.now.unix_seconds() + reset_s);
                (rendering.dialect, ai::error::codex_usage_limit(&self.message, resets_at))
            }
            None => (rendering.dialect, ai::error::body(rendering.dialect, &problem)),
            Some(ErrorFormat::Dialect(dialect)) => (Some(dialect), ai::error::body(Some(dialect), &problem)),
            Some(ErrorFormat::Bedrock) => (None, ai::error::bedrock_body(&problem)),
        };
        let mut response = Response::new(Bytes::from(bytes));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        for (name, value) in self.headers {
            if name == header::WWW_AUTHENTICATE {
                // A response has a challenge of each scheme that the route accepts (RFC 9110, 11.6.1).
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
        if status == 401 && !headers.contains_key(header::WWW_AUTHENTICATE) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.format == Some(ErrorFormat::Bedrock) {
            headers.insert(X_AMZN_ERRORTYPE, HeaderValue::from_static("ResourceNotFoundException"));
        }
        if dialect.is_some() && is_quota && !rendering.is_for_claude_code() {
            // With this header, LLM clients would wait until midnight and repeat the request.
            headers.remove(header::RETRY_AFTER);
        }
        if is_of_codex && let Ok(message) = HeaderValue::try_from(codex_advice(&self.message)) {
            headers.insert(X_CODEX_PROMO_MESSAGE, message);
        }
        for (name, value) in ai::error::headers(dialect, self.refusal) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

/// Returns a JSON response of the gateway.
pub(crate) fn json(bytes: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendering(dialect: Option<Dialect>, user_agent: Option<&[u8]>) -> Rendering<'_> {
        let quota_status = QuotaStatus::TooManyRequests;
        let now = access::Day(20_000).start();
        Rendering { dialect, quota_status, user_agent, domain: "tollgate", now }
    }

    /// Returns a quota of 5 credits that is used up.
    fn used_up() -> Problem {
        let budget = meter::BudgetId::credits_a_day(meter::BudgetScope::User(access::UserNo(1)));
        let period = meter::Period::containing(meter::LimitPeriod::Day, access::Day(20_000));
        let [limit, used, requested] = [5, 5, 1].map(|units| budget.measure.limit_of(units));
        let by = meter::budgets::counter::RefusalCause::Limit;
        let exceeded = meter::BudgetExceeded { budget, period, limit, used, requested, by };
        let clock = access::Clock::manual(access::Day(20_000).start());
        Problem::of_limit(&meter::AdmissionRefusal::Budget(exceeded), |_| None, &clock)
    }

    #[test]
    fn a_quota_that_is_used_up_is_shown_to_codex_in_our_words() {
        const CODEX: &[u8] = b"codex_cli_rs/0.171.0 (Debian 13.0.0; x86_64)";
        let response = used_up().into_response(rendering(Some(Dialect::OpenAi), Some(CODEX)), RequestId::NIL);
        assert_eq!(response.status(), 429);
        let advice = "The day's quota of 5 credits is used up (5 credits used): it resets at midnight UTC";
        assert_eq!(response.headers().get("x-codex-promo-message").unwrap(), advice);
        let text = |response: Response<Bytes>| String::from_utf8(response.into_body().to_vec()).unwrap();
        // 20,001 days after 1970-01-01.
        let body = text(response);
        assert!(body.contains(r#""resets_at":1728086400"#) && !body.contains("plan_type"), "{body}");
        assert!(body.contains(r#""type":"usage_limit_reached""#), "{body}");
        let other = used_up().into_response(rendering(Some(Dialect::OpenAi), None), RequestId::NIL);
        assert!(other.headers().get("x-codex-promo-message").is_none());
        assert!(text(other).contains("insufficient_quota"));
    }

    #[test]
    fn only_claude_code_learns_when_to_retry_a_quota_of_an_llm_call() {
        const CLAUDE: &[u8] = b"claude-cli/2.1.332 (external, cli)";
        for (dialect, agent, expected) in [
            (Some(Dialect::Anthropic), Some(CLAUDE), true),
            (Some(Dialect::Anthropic), None, false),
            (Some(Dialect::OpenAi), Some(CLAUDE), false),
            (None, None, true),
        ] {
            let response = used_up().into_response(rendering(dialect, agent), RequestId::NIL);
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), expected, "{dialect:?}");
        }
    }

    #[test]
    fn a_refused_key_is_400_for_codex_which_repeats_other_calls() {
        const CODEX: &[u8] = b"codex_cli_rs/0.171.0 (Debian 13.0.0; x86_64)";
        let status = |refusal, dialect, user_agent| {
            let rendering = rendering(dialect, user_agent);
            let response = Problem::new(refusal, "no").into_response(rendering, RequestId::NIL);
            let has_challenge = response.headers().contains_key(header::WWW_AUTHENTICATE);
            (response.status().as_u16(), has_challenge, String::from_utf8(response.into_body().to_vec()).unwrap())
        };
        for refusal in [Refusal::Unauthorized, Refusal::KeyMalformed, Refusal::KeyUnknown, Refusal::KeyRevoked] {
            let (of_codex, has_challenge, body) = status(refusal, Some(Dialect::OpenAi), Some(CODEX));
            assert!(of_codex == 400 && !has_challenge && body.contains("\"code\":\"invalid_api_key\""), "{body}");
            for (dialect, agent) in [(Some(Dialect::OpenAi), None), (None, Some(CODEX))] {
                assert_eq!(status(refusal, dialect, agent).0, 401, "{refusal:?}");
            }
        }
        assert_eq!(status(Refusal::TokenExpired, Some(Dialect::OpenAi), Some(CODEX)).0, 401, "it is renewed");
        assert_eq!(status(Refusal::Forbidden, Some(Dialect::OpenAi), Some(CODEX)).0, 403);
    }

    #[test]
    fn the_refusal_without_room_has_the_length_it_says() {
        let text = std::str::from_utf8(TOO_MANY_CONNECTIONS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}
