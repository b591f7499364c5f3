//! Files of JSON lines. A new one begins at a size and with each day (UTC); the oldest ones are removed.
//!
//! A file has whole lines only, except while one is written and after a crash; the next start of this node removes such a rest.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use access::{Day, Timestamp};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use crate::error::EventExportError;
use crate::row::EncodedRow;

const PREFIX: &str = "events-";
const SUFFIX: &str = ".jsonl";
/// Bytes that are searched for the end of the last whole line at a time.
const TAIL_BYTES: u64 = 64 * 1024;

/// The folder of the files.
#[derive(Debug, Clone)]
pub struct EventFiles(Arc<Mutex<OpenFiles>>);

#[derive(Debug)]
struct OpenFiles {
    dir: PathBuf,
    file_bytes_max: u64,
    files_max: usize,
    /// The part of a file's name that no other node has.
    node: String,
    current: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: File,
    day: Day,
    number: u32,
    bytes: u64,
}

impl EventFiles {
    /// Returns the files of a node in a folder, which the first rows create.
    #[must_use]
    pub fn new(dir: PathBuf, file_bytes_max: u64, files_max: u32, node: Uuid) -> Self {
        // The first digits of ids are their time, which two nodes may share.
        let node = format!("{:08x}", node.as_u128() & 0xffff_ffff);
        let files_max = usize::try_from(files_max).unwrap_or(usize::MAX);
        Self(Arc::new(Mutex::new(OpenFiles { dir, file_bytes_max, files_max, node, current: None })))
    }

    pub(crate) async fn append(&self, rows: Vec<EncodedRow>, now: Timestamp) -> Result<(), EventExportError> {
        let files = self.0.clone();
        let appended = spawn_blocking(move || {
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            files.append(&rows, now.day())
        });
        match appended.await {
            Ok(appended) => appended,
            Err(ended) => {
                let source = io::Error::other(ended);
                Err(EventExportError::File { action: "write into", path: PathBuf::new(), source })
            }
        }
    }
}

impl OpenFiles {
    fn append(&mut self, rows: &[EncodedRow], today: Day) -> Result<(), EventExportError> {
        let text: String = rows.iter().flat_map(|row| [&*row.json, "\n"]).collect();
        self.rotate(today)?;
        let Some(open) = &mut self.current else { return Ok(()) };
        let written = open.file.write_all(text.as_bytes()).and_then(|()| open.file.sync_data());
        if let Err(source) = written {
            let open = self.current.take();
            let path = open.as_ref().map(|open| open.path.clone()).unwrap_or_default();
            if let Some(open) = open {
                // Otherwise the next start removes the incomplete line; rows that remain are exported again.
                let _ = open.file.set_len(open.bytes);
            }
            return Err(EventExportError::File { action: "write", path, source });
        }
        open.bytes += text.len() as u64;
        Ok(())
    }

    /// Opens the file for the next rows.
    fn rotate(&mut self, today: Day) -> Result<(), EventExportError> {
        let max = self.file_bytes_max;
        if self.current.as_ref().is_some_and(|open| open.day == today && open.bytes < max && open.path.exists()) {
            return Ok(());
        }
        fs::create_dir_all(&self.dir).map_err(failed("create", &self.dir))?;
        let last = self.numbers(today)?.into_iter().max();
        let continued = match self.current.take() {
            // A start continues the last file of the day.
            None => last.map(|number| self.open(today, number)).transpose()?.filter(|open| open.bytes < max),
            Some(_) => None,
        };
        let open = match continued {
            Some(open) => open,
            None => self.open(today, last.map_or(1, |last| last.saturating_add(1)))?,
        };
        self.current = Some(open);
        self.remove_oldest()
    }

    fn path(&self, day: Day, number: u32) -> PathBuf {
        self.dir.join(format!("{PREFIX}{day}-{}-{number:06}{SUFFIX}", self.node))
    }

    fn open(&self, day: Day, number: u32) -> Result<OpenFile, EventExportError> {
        let path = self.path(day, number);
        let mut options = OpenOptions::new();
        let options = options.read(true).append(true).create(true).mode(0o640);
        let mut file = options.open(&path).map_err(failed("open", &path))?;
        let bytes = whole_lines(&mut file).map_err(failed("read", &path))?;
        file.set_len(bytes).map_err(failed("truncate", &path))?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed("sync", &self.dir))?;
        Ok(OpenFile { path, file, day, number, bytes })
    }

    /// Returns the numbers of this node's files of a day.
    fn numbers(&self, day: Day) -> Result<Vec<u32>, EventExportError> {
        let start = format!("{PREFIX}{day}-{}-", self.node);
        let number = |name: &String| name.strip_prefix(&start)?.strip_suffix(SUFFIX)?.parse().ok();
        let known = self.current.as_ref().filter(|open| open.day == day).map(|open| open.number);
        Ok(self.names()?.iter().filter_map(number).chain(known).collect())
    }

    /// Returns the names of all files, the oldest first.
    fn names(&self) -> Result<Vec<String>, EventExportError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed("list", &self.dir))? {
            let name = entry.map_err(failed("list", &self.dir))?.file_name();
            names.extend(name.into_string().ok().filter(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)));
        }
        names.sort_unstable();
        Ok(names)
    }

    fn remove_oldest(&self) -> Result<(), EventExportError> {
        let names = self.names()?;
        let surplus = names.len().saturating_sub(self.files_max);
        let is_open = |path: &Path| self.current.as_ref().is_some_and(|open| open.path == path);
        for path in names.iter().map(|name| self.dir.join(name)).filter(|path| !is_open(path)).take(surplus) {
            fs::remove_file(&path).map_err(failed("remove", &path))?;
        }
        Ok(())
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EventExportError {
    move |source| EventExportError::File { action, path: path.to_owned(), source }
}

/// Returns the length of the whole lines of a file.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let mut end = file.metadata()?.len();
    while end > 0 {
        let begin = end.saturating_sub(TAIL_BYTES);
        let mut tail = vec![0; usize::try_from(end - begin).unwrap_or(0)];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut tail)?;
        if let Some(last) = tail.iter().rposition(|byte| *byte == b'\n') {
            return Ok(begin + last as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}
