//! The payloads of records: the spool's own structs, which are independent of the types of other modules.
//!
//! A payload is a base and a tail. The base is frozen: its fields, their order and their types never change within a
//! major version. The tail contains the optional fields that later minor versions add:
//!
//! ```text
//! base | fields
//! field: tag varint u32 | length varint u32 | value in postcard (length bytes)
//! ```
//!
//! Tags begin at 1 and ascend, so no tag occurs twice. A reader skips unknown tags; a missing tag means that the value
//! was not recorded. The tail ends with the payload, or with the entry of a list.
//!
//! ```text
//! list:  count varint u32 | entries
//! entry: length varint u32 | base | fields (length bytes together)
//! ```
//!
//! | payload | base | fields |
//! |---|---|---|
//! | open | [`open::OpenPayload`] | 1 subject without a key (1.1): [`subject::SubjectPayload`]; 2 to 6 origin (1.2); 7 and 8 origin (1.3); 9 origin (1.5); 32 money of pooled budgets (1.4); 33 windows (1.6): list of [`windows::WindowPayload`]; 34 fraction of a credit (1.7): micro-credits |
//! | close, event | [`event::EventPayload`], list of attempts | 1 refusal: string; 2 subject without a key (1.1); 3 to 7 origin (1.2); 8 and 9 origin (1.3); 10 origin (1.5); 32 money of pooled budgets (1.4); 33 windows (1.6): list of [`windows::WindowPayload`]; 34 fraction of a credit (1.7): micro-credits |
//! | attempt | [`attempt::AttemptPayload`] | 1 reason of an unknown cost: code; 2 user's own credential (1.4): flag |
//! | counts, close of a batch | list of counts | |
//! | counts of one subject | [`counts::CountsPayload`] | 1 subject without a key (1.1); 2 labels: string (1.2); 3 fraction of a credit (1.7): micro-credits |
//!
//! The fields of an [`origin`] are the labels (string), the number of the program, the number of the use of tools, the hash of
//! the session (16 bytes), the number of the use of the cache, the id of the trace (16 bytes), the skipped targets (a
//! sequence of [`origin::SkippedPayload`]), and the limit that refused the request ([`origin::RefusedLimitPayload`]). A field without content is left out.
//!
//! A charge has whole credits in its base, which releases before 1.7 read, and the fraction of a credit in a field.
//!
//! To add a field: write it behind the last one under the next tag, read it, and raise the minor version. A new token
//! class is a field of the attempt. A new variant of an enum in a base is written as an old variant in the base and in
//! full as a field. Other changes need a new major version.

mod attempt;
mod charge;
mod codes;
mod counts;
mod event;
mod open;
mod origin;
mod subject;
mod usage;
mod windows;
mod wire;

pub(super) use counts::{read_counts, write_counts};
pub(super) use event::{read_event, write_event};
pub(super) use open::{read_open, write_open};
pub(super) use wire::{InvalidPayload, PayloadReader, PayloadWriter};

#[cfg(test)]
mod origin_tests;
#[cfg(test)]
mod tests;
