//! Responses that nodes share through Redis for a short time. Without Redis, each node computes its own.

use std::time::Duration;

use super::Windows;

/// Maximum size of a stored response in bytes; larger ones are not stored.
pub const RESPONSE_BYTES_MAX: usize = 256 << 10;

impl Windows {
    /// Returns the response that a node has stored under a name. `None` if no response is stored, and if Redis is unavailable or does not
    /// respond in time.
    pub async fn response(&self, name: &str) -> Option<Vec<u8>> {
        let found = self.link.as_ref()?.response(name, RESPONSE_BYTES_MAX).await.ok()?;
        Some(found).filter(|found| !found.is_empty() && found.len() <= RESPONSE_BYTES_MAX)
    }

    /// Stores a response for all nodes. A failure has no effect: the response is computed again.
    pub async fn keep_response(&self, name: &str, response: &[u8], ttl: Duration) {
        let Some(link) = &self.link else { return };
        if response.is_empty() || response.len() > RESPONSE_BYTES_MAX || ttl.as_millis() == 0 {
            return;
        }
        // The link has noted the failure.
        let _ = link.keep_response(name, response, ttl).await;
    }
}
