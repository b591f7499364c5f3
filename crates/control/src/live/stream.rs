//! One client's stream of live messages.
//!
//! The next messages are read when the client has taken the last ones: a slow client misses figures in between, and nothing
//! waits for it. A stream wakes once a second for the check of its permission, and when another stream has read figures that
//! differ, so that a message reaches all clients at once.

use std::sync::Arc;
use std::time::Duration;

use access::Mono;
use http::request::Parts;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::topic::{LiveData, LiveMessage, LiveTopic};
use crate::day_insights::day_scope::VisibleScope;
use crate::day_insights::progress::IngestProgress;
use crate::day_insights::roles::HeldRoles;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::live_readers::{EVERY, LiveText, ScopeReader, StreamPermit};
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// The duration of a stream, below that of a connection, so that it ends between two messages. Clients connect again.
const STREAM_MAX: Duration = Duration::from_secs(540);
/// The longest time in which nothing is sent, because proxies close silent connections.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// What a client watches, and how it was permitted to.
#[derive(Debug)]
pub(crate) struct WatchedUsage {
    pub(crate) caller: Caller,
    pub(crate) visible: VisibleScope,
    pub(crate) topics: Vec<LiveTopic>,
    /// The head of the request, whose credential is checked each second.
    pub(crate) head: Parts,
}

/// The reason for which a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LiveEnd {
    /// The server shuts down.
    Server,
    /// The stream has its maximum age.
    Age,
    /// The client has signed out, or lacks a role that the stream needs.
    NotPermitted,
}

/// The messages for one client.
pub(crate) struct LiveStream {
    app: Arc<App>,
    watched: WatchedUsage,
    reader: Arc<ScopeReader>,
    usage_changes: watch::Receiver<()>,
    progress_changes: watch::Receiver<()>,
    /// The time of the next check of the permission.
    check_at: Instant,
    /// The earliest time of the next messages.
    send_at: Instant,
    /// The data that was sent last, in the order of the topics.
    sent: Vec<Option<Arc<str>>>,
    began: Mono,
    last: Mono,
    is_first: bool,
    _permit: StreamPermit,
}

impl LiveStream {
    /// Begins a stream.
    ///
    /// # Errors
    /// `overloaded` if too many are open.
    pub(crate) fn begin(app: Arc<App>, watched: WatchedUsage) -> Result<Self, Problem> {
        let permit = app.live_readers.permit(watched.caller.user)?;
        let reader = app.live_readers.of_scope(&watched.visible.scope, watched.visible.of);
        let sent = vec![None; watched.topics.len()];
        let began = app.clock.mono();
        let now = Instant::now();
        Ok(Self {
            usage_changes: reader.changes(),
            progress_changes: app.live_readers.progress_changes(),
            check_at: now + EVERY,
            send_at: now,
            app,
            watched,
            reader,
            sent,
            began,
            last: began,
            is_first: true,
            _permit: permit,
        })
    }

    /// Waits for the next messages, as JSON; without a message, the client needs a sign that the connection works. May not be
    /// cancelled: messages would be lost.
    ///
    /// # Errors
    /// [`LiveEnd`] at the end of the stream.
    pub(crate) async fn next(&mut self) -> Result<Vec<Arc<str>>, LiveEnd> {
        loop {
            if self.is_first {
                self.is_first = false;
            } else {
                self.wait().await?;
            }
            let mut messages = Vec::new();
            for (LiveText { data, message }, sent) in self.messages().await {
                messages.push(message);
                if let Some(of_topic) = self.sent.get_mut(sent) {
                    *of_topic = Some(data);
                }
            }
            let now = self.app.clock.mono();
            if !messages.is_empty() || now.since(self.last) >= SILENCE_MAX {
                self.last = now;
                self.send_at = Instant::now() + EVERY;
                return Ok(messages);
            }
        }
    }

    /// Waits until figures may have changed. At the end of each second, the permission is checked.
    async fn wait(&mut self) -> Result<(), LiveEnd> {
        let has_health = self.watched.topics.contains(&LiveTopic::Health);
        // The senders live as long as the stream.
        tokio::select! {
            () = sleep_until(self.check_at) => {}
            _ = self.usage_changes.changed() => {}
            _ = self.progress_changes.changed(), if has_health => {}
        }
        sleep_until(self.send_at).await;
        if Instant::now() >= self.check_at {
            self.check().await?;
            self.check_at = Instant::now() + EVERY;
        }
        Ok(())
    }

    /// Ends the stream after its maximum age, after sign-out, after the loss of a role that it needs, and when the server ends.
    async fn check(&self) -> Result<(), LiveEnd> {
        let app = &self.app;
        if app.live_state.draining() {
            return Err(LiveEnd::Server);
        }
        if app.clock.mono().since(self.began) >= STREAM_MAX {
            return Err(LiveEnd::Age);
        }
        if self.is_permitted().await { Ok(()) } else { Err(LiveEnd::NotPermitted) }
    }

    /// Whether the client may still see the figures. If the store does not respond, nothing has changed.
    async fn is_permitted(&self) -> bool {
        let app = &self.app;
        let caller = match Caller::authenticate(&self.watched.head, app).await {
            Ok(caller) if caller.is_unpaid || caller.require_read().is_err() => return false,
            Ok(caller) => caller,
            Err(problem) => return problem.is_ours(),
        };
        if caller.user != self.watched.caller.user || caller.role != self.watched.caller.role {
            return false;
        }
        if let Err(problem) = VisibleScope::resolve(app, &caller, Some(self.watched.visible.scope.clone())).await {
            return problem.is_ours();
        }
        if !self.watched.topics.contains(&LiveTopic::Health) {
            return true;
        }
        match HeldRoles::load(app, &caller).await {
            Ok(roles) => roles.sees_all(),
            Err(problem) => problem.is_ours(),
        }
    }

    /// Returns the messages whose data has changed, each with the index of its topic.
    async fn messages(&self) -> Vec<(LiveText, usize)> {
        let app = &self.app;
        let topics = &self.watched.topics;
        let day = match topics.iter().any(|topic| *topic != LiveTopic::Health) {
            true => app.live_readers.day(&app.ledger, &self.reader).await.ok(),
            false => None,
        };
        let progress = match topics.contains(&LiveTopic::Health) {
            true => app
                .live_readers
                .progress(&app.store)
                .await
                .ok()
                .map(|nodes| IngestProgress::new(nodes, app.clock.now())),
            false => None,
        };
        let text = |topic| match topic {
            LiveTopic::Health => progress.as_ref().and_then(|progress| {
                let at = rfc3339(app.clock.now());
                let data = LiveData::health(app, progress);
                LiveMessage { topic, at, data }.text()
            }),
            LiveTopic::Usage | LiveTopic::Spend | LiveTopic::Refusals => {
                day.as_ref().and_then(|day| LiveMessage::of_day(topic, day))
            }
        };
        let changed = topics.iter().zip(&self.sent).enumerate().filter_map(|(index, (topic, sent))| {
            let text = text(*topic).filter(|text| sent.as_ref() != Some(&text.data))?;
            Some((text, index))
        });
        changed.collect()
    }
}
