//! Aggregated requests.

use access::{Credits, Day, LabelSet};
use meter::Counts;
use serde::{Deserialize, Serialize};

use super::charge::{fraction_field, read_fraction};
use super::origin::{self, labels_field};
use super::subject::{self, CallerPayload, SubjectPayload};
use super::wire::{InvalidPayload, NoRoom, PayloadReader, PayloadWriter};

/// The tag of a subject that is no key.
const SUBJECT: u32 = 1;
/// The tag of the labels.
const LABELS: u32 = 2;
/// The tag of the fraction of a credit.
const FRACTION: u32 = 3;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CountsPayload<'a> {
    caller: Option<CallerPayload>,
    route: &'a str,
    status_class: u8,
    minute: u32,
    day: u32,
    requests: u64,
    /// Whole credits, rounded down.
    credits: u64,
}

pub(in crate::records::record) fn write_counts(
    writer: &mut PayloadWriter<'_>,
    counts: &[Counts],
) -> Result<(), NoRoom> {
    writer.list(counts, |writer, counts| {
        let Counts { subject, route, status_class, minute, day, requests, credits, labels } = counts;
        writer.value(&CountsPayload {
            caller: CallerPayload::from_subject(subject),
            route,
            status_class: *status_class,
            minute: *minute,
            day: day.0,
            requests: *requests,
            credits: credits.rounded_down(),
        })?;
        writer.field(SUBJECT, SubjectPayload::from_subject(subject))?;
        writer.field(LABELS, labels_field(labels))?;
        writer.field(FRACTION, fraction_field(*credits))
    })
}

pub(in crate::records::record) fn read_counts(mut reader: PayloadReader<'_>) -> Result<Vec<Counts>, InvalidPayload> {
    let counts = reader.list(|mut reader| {
        let base: CountsPayload<'_> = reader.value()?;
        let mut named = None;
        let mut labels = LabelSet::NONE;
        let mut credits = Credits::whole(base.credits);
        let mut fields = reader.fields();
        while let Some(field) = fields.next()? {
            match field.tag {
                SUBJECT => named = Some(SubjectPayload::read(field)?),
                LABELS => labels = origin::labels(field, |text| reader.text(text))?,
                FRACTION => read_fraction(&mut credits, field)?,
                _ => {}
            }
        }
        Ok(Counts {
            subject: subject::subject(base.caller, named)?,
            route: reader.text(base.route),
            status_class: base.status_class,
            minute: base.minute,
            day: Day(base.day),
            requests: base.requests,
            credits,
            labels,
        })
    })?;
    reader.fields().skip()?;
    Ok(counts)
}
