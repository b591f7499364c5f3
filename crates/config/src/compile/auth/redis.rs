//! Compiles an entry of `auth` whose keys are in Redis.

use crate::schema::traffic::AuthEntryInput;
use crate::snapshot::RedisKeyEntry;
use access::SubjectText;
use settings::error::{Code, Problem};
use settings::section::SettingsReader;

/// Returns the entry without its plan; `None` if it is invalid. `has_redis` is whether the file has a Redis.
pub(super) fn keys(reader: &SettingsReader<'_>, entry: &AuthEntryInput, has_redis: bool) -> Option<RedisKeyEntry> {
    let location = &entry.location;
    if location.has("keys") {
        let message = format!("`{}` has `keys` and `redis`", location.path);
        reader.report(Problem::new(Code::BadValue, location.at, message).expected("one of them"));
    }
    if !has_redis {
        let message = format!("`{}` has keys in Redis, and the file has no Redis", location.path);
        reader.report(Problem::new(Code::Missing, location.at, message).expected("the URL of Redis in `redis`"));
    }
    let name = SubjectText::parse(&entry.name.as_ref()?.value)?;
    let prefix = entry.redis.as_ref()?.prefix.value.as_str().into();
    Some(RedisKeyEntry { name, prefix, place: location.at.place(), plan: None })
}
