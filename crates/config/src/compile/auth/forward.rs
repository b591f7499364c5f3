//! Compiles the entries of `auth` with the type `forward`.

use access::SubjectText;
use settings::error::{Code, Problem};
use settings::field::ValueList;
use settings::input::Input;
use settings::section::SettingsReader;

use crate::compile::{link_local, upstream_tls};
use crate::schema::traffic::AuthEntryInput;
use crate::snapshot::{Scheme, ServiceEntry};

/// Returns the service of an entry; `None` if it is invalid.
pub(super) fn forward(reader: &SettingsReader<'_>, entry: &AuthEntryInput) -> Option<ServiceEntry> {
    if !entry.location.has("url") {
        entry.location.missing(reader, &["url"]);
    }
    let name = SubjectText::parse(&entry.name.as_ref()?.value)?;
    let input = entry.url.as_ref()?;
    let mut url = input.value.clone();
    let allow = link_local::is_allowed(reader, &entry.location, &entry.allow_link_local);
    let at = input.value_origin().unwrap_or(entry.location.at);
    url.origin = link_local::checked(reader, &url.origin, allow, (at, &entry.location.name("url")))?;
    if url.origin.scheme != Scheme::Https
        && let Some(tls) = entry.tls.as_ref()
    {
        upstream_tls::report_unused(reader, tls, "`url` is not an `https` URL");
    }
    let has_subject = entry.subject.is_some() || entry.location.has("subject");
    if !has_subject && let Some(header) = entry.cache_by.list.first() {
        let message = format!("`{}` has no effect without `subject`", entry.location.name("cache_by"));
        let expected = "`subject`, the header of the response that contains the subject, or no `cache_by`";
        reader.report(Problem::new(Code::BadValue, header.value_origin(), message).expected(expected));
    }
    Some(ServiceEntry {
        name,
        url,
        headers_to_upstream: names(&entry.headers_to_upstream),
        subject: entry.subject.as_ref().map(|header| header.value.as_str().into()),
        timeout: entry.timeout.value,
        cache_by: names(&entry.cache_by),
        tls: entry.tls.as_ref().and_then(|tls| upstream_tls::load(reader, tls)),
        plan: None,
        place: entry.location.at.place(),
    })
}

fn names(list: &ValueList<String>) -> Box<[Box<str>]> {
    list.list.iter().map(|Input { value, .. }| value.as_str().into()).collect()
}
