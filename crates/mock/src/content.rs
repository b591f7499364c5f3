//! Contents of responses: texts, images and audio.

pub(crate) mod media;
pub(crate) mod text;
