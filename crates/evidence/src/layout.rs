//! The fixed parts of the zip (APPNOTE.TXT 6.3.10): no extra fields, and the same time for all files.

/// The signature of a file's local header.
pub(crate) const LOCAL: u32 = 0x0403_4b50;
/// The signature of the sizes that follow a file's data.
pub(crate) const DESCRIPTOR: u32 = 0x0807_4b50;
/// The signature of an entry of the central directory.
pub(crate) const CENTRAL: u32 = 0x0201_4b50;
/// The signature of the end of the central directory.
pub(crate) const END: u32 = 0x0605_4b50;
/// The version of the format that a reader needs.
pub(crate) const VERSION: u16 = 20;
/// The sizes follow the data, and names are UTF-8.
pub(crate) const FLAGS: u16 = 0x0808;
/// The compression of all files: deflate.
pub(crate) const DEFLATE: u16 = 8;
/// Midnight of 1980-01-01, the first time that the format has.
pub(crate) const TIME: u16 = 0;
/// The day of [`TIME`].
pub(crate) const DATE: u16 = 0x21;
/// The length of the end of the central directory without its comment.
pub(crate) const END_BYTES: usize = 22;
/// The length of an entry of the central directory without its name.
pub(crate) const CENTRAL_BYTES: usize = 46;
/// The length of a local header without its name.
pub(crate) const LOCAL_BYTES: usize = 30;
/// The first bytes of every file that this crate writes.
pub(crate) const BEGIN: [u8; 14] = [b'P', b'K', 3, 4, 20, 0, 8, 8, 8, 0, 0, 0, 0x21, 0];
/// The beginning of the comment; the hex digits of the signature follow.
pub(crate) const COMMENT: &[u8] = b"tollgate-signature-1:";
/// The length of an Ed25519 signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;
/// The length of the comment.
pub(crate) const COMMENT_BYTES: usize = COMMENT.len() + 2 * SIGNATURE_BYTES;
/// The name of the manifest, which is the last file.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The maximum number of files.
pub(crate) const FILES_MAX: usize = 10_000;
/// The maximum length of a file's name.
pub(crate) const NAME_BYTES_MAX: usize = 255;
