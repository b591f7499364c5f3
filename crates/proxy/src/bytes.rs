//! Bytes on their way: buffers, contents, and queues of bytes that a socket has not taken yet.

pub(crate) mod buffers;
pub(crate) mod content;
pub(crate) mod receive_buffer;
pub(crate) mod shared_content;
pub(crate) mod write_queue;
