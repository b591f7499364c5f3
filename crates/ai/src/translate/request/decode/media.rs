//! Parts of messages that the formats share: images, files, cache marks.

use std::borrow::Cow;

use super::super::json::{Node, Object, Outcome, refused};
use crate::translate::call::{CacheMark, File, Image, Part, Source};

const OTHER_PROVIDER: &str = "belongs to one provider, and this model is served by another: send the data itself";

/// Reads a URL, which may contain the data.
pub(super) fn url<'a>(node: &Node<'a>) -> Outcome<Source<'a>> {
    let url = node.text()?;
    let Some(rest) = url.strip_prefix("data:") else {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        return if is_web {
            Ok(Source::Url(url))
        } else {
            Err(node.refused("must be a URL that begins with https: or data:"))
        };
    };
    let (media_type, data) =
        rest.split_once(";base64,").ok_or_else(|| node.refused("must have `;base64,` and its data"))?;
    let at = url.len() - data.len();
    let media_bytes = media_type.len();
    // Parameters, such as a character set, are no part of the type.
    let plain = |text: &str| text.split(';').next().unwrap_or_default().to_owned();
    let media_type = plain(url.get(5..5 + media_bytes).unwrap_or_default()).to_ascii_lowercase();
    // A usual spelling that Anthropic refuses.
    let media_type = if media_type == "image/jpg" { "image/jpeg".to_owned() } else { media_type };
    let data = match url {
        Cow::Borrowed(url) => Cow::Borrowed(url.get(at..).unwrap_or_default()),
        Cow::Owned(url) => Cow::Owned(url.get(at..).unwrap_or_default().to_owned()),
    };
    Ok(Source::Base64 { media_type: Cow::Owned(media_type), data })
}

/// Reads an image of OpenAI's formats from the field `image_url` of `part`, or of the object in that field.
pub(super) fn image<'a>(part: &Object<'a>) -> Outcome<Part<'a>> {
    no_id(part)?;
    let node = part.required("image_url")?;
    let inner = if node.is_object() { Some(node.object()?) } else { None };
    let (node, detail) = match &inner {
        Some(inner) => (inner.required("url")?, inner.text("detail")?),
        None => (node, part.text("detail")?),
    };
    Ok(Part::Image(Box::new(Image { source: url(&node)?, detail, path: part.path.clone() })))
}

/// Reads a file of OpenAI's formats from the fields of `file`.
pub(super) fn file<'a>(file: &Object<'a>) -> Outcome<Part<'a>> {
    no_id(file)?;
    let source = match (file.get("file_data"), file.get("file_url")) {
        (Some(data), _) => {
            let text = data.text()?;
            if text.starts_with("data:") {
                url(&data)?
            } else {
                Source::Base64 { media_type: "application/pdf".into(), data: text }
            }
        }
        (None, Some(node)) => url(&node)?,
        (None, None) => return Err(refused(&file.field_path("file_data"), "is missing")),
    };
    Ok(Part::File(Box::new(File { source, name: file.text("filename")?, path: file.path.clone() })))
}

/// Reads sound, which is a file in other formats.
pub(super) fn sound<'a>(sound: &Object<'a>) -> Outcome<Part<'a>> {
    let media_type = format!("audio/{}", sound.required_text("format")?);
    let source = Source::Base64 { media_type: media_type.into(), data: sound.required_text("data")? };
    Ok(Part::File(Box::new(File { source, name: None, path: sound.path.clone() })))
}

/// Refuses a file that a provider stores.
pub(super) fn no_id(part: &Object<'_>) -> Outcome<()> {
    part.get("file_id").map_or(Ok(()), |id| Err(id.refused(OTHER_PROVIDER)))
}

/// Reads a mark of OpenAI's formats.
pub(super) fn breakpoint(part: &Object<'_>) -> Outcome<Option<CacheMark>> {
    let Some(mark) = part.object("prompt_cache_breakpoint")? else { return Ok(None) };
    Ok(Some(if mark.text("ttl")?.as_deref() == Some("12h") { CacheMark::Long } else { CacheMark::Short }))
}

/// Reads a mark of Messages.
pub(super) fn cache_control(part: &Object<'_>) -> Outcome<Option<CacheMark>> {
    let Some(mark) = part.object("cache_control")? else { return Ok(None) };
    Ok(Some(if mark.text("ttl")?.as_deref() == Some("1h") { CacheMark::Long } else { CacheMark::Short }))
}

/// Reads a mark of a client of Chat Completions: OpenAI's own, or that of Messages, which many clients write there.
pub(super) fn mark(part: &Object<'_>) -> Outcome<Option<CacheMark>> {
    Ok(breakpoint(part)?.or(cache_control(part)?))
}

/// Refuses the fields that no other format has.
pub(super) fn no_fields(body: &Object<'_>, names: &[&str]) -> Outcome<()> {
    match names.iter().find_map(|name| body.get(name)).filter(|node| !node.is_empty() && node.raw.get() != "false") {
        Some(node) => {
            Err(node.refused("is not available for this model, whose provider has another format: leave it out"))
        }
        None => Ok(()),
    }
}
