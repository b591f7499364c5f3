//! The ids of a translated response and of its parts.

/// The identity of one response, which is made from Tollgate's request id.
#[derive(Debug)]
pub(super) struct Identity {
    /// Tollgate's id of the request.
    pub(super) request_id: String,
    /// The time of the response, in seconds since 1970.
    pub(super) created: u64,
    /// The letters and digits of the request id.
    word: String,
}

impl Identity {
    /// Creates the identity of a response.
    pub(super) fn new(request_id: &str, created: u64) -> Self {
        let word = request_id.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { request_id: request_id.to_owned(), created, word }
    }

    /// Returns the id of the response.
    pub(super) fn response(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.word)
    }

    /// Returns the id of a part of the response.
    pub(super) fn part(&self, prefix: &str, at: usize) -> String {
        format!("{prefix}{}{at:04}", self.word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_from_the_request_id() {
        let identity = Identity::new("0199-aa", 7);
        assert_eq!((identity.response("msg_"), identity.part("fc_", 3)), ("msg_0199aa".into(), "fc_0199aa0003".into()));
    }
}
