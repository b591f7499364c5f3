//! Calls of tools that the provider runs itself, as a response reports them: OpenAI's Responses, and Gemini's
//! grounding.
//!
//! OpenAI reports web searches in `tool_usage`. Other calls are items of the output, or events of a stream whose
//! response lists no items. The cost is unknown if a tool is neither counted nor free.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use meter::ToolCalls;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::paths::{ACTION, CONTAINER, CONTAINER_ID, ENVIRONMENT, GROUNDING, KIND, TOOLS};
use crate::scan::Scanner;
use crate::scan::text::unquoted;
use crate::usage::all_are_zero;
use crate::usage::lenient::{Figure, Lenient, Present, Word};

/// Maximum number of different texts of one kind that are counted; if there are more, their number is unknown.
const DISTINCT_MAX: usize = 256;
/// Actions of OpenAI's web search that are free; only searches are sold (its guide to web search, read 2026-11-21).
const NO_SEARCHES: [&[u8]; 3] = [b"open_page", b"find", b"find_in_page"];

/// The tool calls that were read so far.
#[derive(Debug, Default)]
pub(super) struct Tools {
    announced: AnnouncedCalls,
    response: ListedToolCalls,
    grounding: Grounding,
    /// Whether something was used that is sold beside tokens and not reported in figures that have a rate.
    unpriced: bool,
}

/// Calls that events of a stream announced.
#[derive(Debug, Default)]
struct AnnouncedCalls {
    searches: CallCount,
    file_searches: CallCount,
    code: CallCount,
}

/// Calls of one tool: the number that began, and whether any was announced.
#[derive(Debug, Clone, Copy, Default)]
struct CallCount {
    begun: u64,
    any: bool,
}

/// Tool calls that OpenAI's response object lists.
#[derive(Debug, Default)]
struct ListedToolCalls {
    /// The value of `tool_usage.web_search.num_requests`.
    searches_reported: Option<u64>,
    /// Searches among the web search calls; `None` if no such call exists.
    searches: Option<u64>,
    file_searches: u64,
    code: u64,
    /// Number of different containers in which code ran.
    containers_used: u64,
    /// Gigabytes of containers that were created for the response: they are sold even if no code runs
    /// (community.openai.com/t/1364328).
    gigabytes_made: u64,
}

/// The sources on which a Gemini response was grounded.
#[derive(Debug, Default)]
struct Grounding {
    searches: DistinctTexts,
    maps: bool,
    maps_queries: DistinctTexts,
}

/// A set of different texts, by their hash.
#[derive(Debug, Default)]
struct DistinctTexts(Vec<u64>);

/// A container of a code interpreter, or a hosted shell's environment.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    r#type: Word,
    memory_limit: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WebSearch {
    num_requests: Figure,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct GroundingMetadata {
    web_search_queries: Option<Vec<Word>>,
    grounding_chunks: Option<Vec<Lenient<Chunk>>>,
    google_maps_widget_context_token: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk {
    web: Present,
    maps: Present,
}

impl Tools {
    /// Counts a call if the event's name announces one.
    pub(super) fn announce(&mut self, name: &[u8]) {
        let Some(name) = name.strip_prefix(b"response.") else { return };
        let Some(at) = memchr::memchr(b'.', name) else { return };
        let (tool, phase) = name.split_at(at);
        let calls = match tool {
            b"web_search_call" => &mut self.announced.searches,
            b"file_search_call" => &mut self.announced.file_searches,
            b"code_interpreter_call" => &mut self.announced.code,
            b"image_generation_call" => {
                self.unpriced = true;
                return;
            }
            _ => return,
        };
        calls.any = true;
        calls.begun = calls.begun.saturating_add(u64::from(phase == b".in_progress"));
    }

    /// Reads the tool calls of OpenAI's response object.
    pub(super) fn read_response(&mut self, scanner: &Scanner) {
        let mut response = ListedToolCalls::default();
        let is_known = response.read_tool_usage(scanner)
            & response.read_output(scanner)
            & response.read_containers(scanner, CONTAINER)
            & response.read_containers(scanner, ENVIRONMENT);
        self.unpriced |= !is_known;
        self.response = response;
    }

    /// Reads the grounding of the candidates of a Gemini response, or of one of its chunks.
    pub(super) fn read_grounding(&mut self, scanner: &Scanner) {
        let Some(all) = scanner.all(GROUNDING) else {
            self.unpriced = true;
            return;
        };
        for json in all {
            self.unpriced |= !self.grounding.read(json);
        }
    }

    /// Whether something was used whose fee is unknown.
    pub(super) const fn unpriced(&self) -> bool {
        self.unpriced
    }

    /// Records whether the usage object has unknown fees too.
    pub(super) const fn add_unpriced(&mut self, unpriced: bool) {
        self.unpriced |= unpriced;
    }

    /// Returns the number of calls per tool.
    pub(super) fn calls(&self) -> ToolCalls {
        let Self { announced, response, grounding, .. } = self;
        let searches = match (response.searches_reported, response.searches) {
            (None | Some(0), Some(listed)) => listed,
            (Some(reported), _) => reported,
            (None, None) => announced.searches.count(),
        };
        let listed_or = |listed: u64, announced: CallCount| if listed > 0 { listed } else { announced.count() };
        let ran = u64::from(listed_or(response.code, announced.code) > 0);
        let used = |count: u64| (count > 0).then_some(count);
        ToolCalls {
            searches: used(searches).or_else(|| grounding.searches.count()),
            maps_prompts: grounding.maps.then_some(1),
            maps_queries: grounding.maps_queries.count(),
            containers: used(response.gigabytes_made.max(response.containers_used).max(ran)),
            file_searches: used(listed_or(response.file_searches, announced.file_searches)),
        }
    }
}

/// Returns the larger one of each count. xAI's Responses list a call in `output[]` and count it in `usage` (docs.x.ai,
/// 2026-11-21).
pub(super) fn most(one: &ToolCalls, other: &ToolCalls) -> ToolCalls {
    let mut counts = one.counts().into_iter().zip(other.counts()).map(|(one, other)| one.max(other));
    ToolCalls::of_counts(std::array::from_fn(|_| counts.next().flatten()))
}

impl CallCount {
    fn count(self) -> u64 {
        self.begun.max(u64::from(self.any))
    }
}

impl ListedToolCalls {
    /// Whether `tool_usage` contains no fee except that of searches.
    fn read_tool_usage(&mut self, scanner: &Scanner) -> bool {
        let Some(json) = scanner.picked(TOOLS) else { return scanner.all(TOOLS).is_some() };
        let Ok(tools) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(json) else { return all_are_zero(json) };
        let mut is_known = true;
        for (tool, details) in tools {
            if tool == "web_search" {
                let usage = serde_json::from_str::<Lenient<WebSearch>>(details.get()).unwrap_or_default().0;
                self.searches_reported = usage.num_requests.0;
                is_known &= usage.num_requests.0.is_some() || all_are_zero(details.get().as_bytes());
            } else {
                is_known &= all_are_zero(details.get().as_bytes());
            }
        }
        is_known
    }

    /// Whether all items of the output are of tools that have a rate or are free.
    fn read_output(&mut self, scanner: &Scanner) -> bool {
        let Some(kinds) = scanner.all(KIND) else {
            return false;
        };
        let Some(actions) = scanner.all(ACTION) else {
            return false;
        };
        let Some(ids) = scanner.all(CONTAINER_ID) else {
            return false;
        };
        let mut searches = 0_u64;
        let mut is_known = true;
        for kind in kinds.filter_map(unquoted) {
            match kind {
                b"web_search_call" => searches += 1,
                b"file_search_call" => self.file_searches += 1,
                b"code_interpreter_call" => self.code += 1,
                // The response used the tokens of another model.
                b"image_generation_call" => is_known = false,
                b"shell_call" => is_known &= scanner.all(ENVIRONMENT).is_some_and(|mut all| all.next().is_some()),
                _ => {}
            }
        }
        let beside = actions.filter_map(unquoted).filter(|action| NO_SEARCHES.contains(action)).count();
        let beside = u64::try_from(beside).unwrap_or(u64::MAX);
        self.searches = (searches > 0).then(|| searches.saturating_sub(beside));
        let mut containers = DistinctTexts::default();
        is_known &= ids.filter(|id| id.starts_with(b"\"")).all(|id| containers.add(id));
        self.containers_used = containers.count().unwrap_or(0);
        is_known
    }

    /// Whether the fee of each container is known. Only containers that a tool of this response created are counted.
    /// One that the client created earlier is billed at its creation; code that runs in it is counted by its id.
    fn read_containers(&mut self, scanner: &Scanner, path: u8) -> bool {
        let Some(all) = scanner.all(path) else { return false };
        let mut is_known = true;
        for json in all {
            let Container { r#type, memory_limit } =
                serde_json::from_slice::<Lenient<Container>>(json).unwrap_or_default().0;
            let gigabytes = match memory_limit.0.as_deref() {
                None | Some("1g") => Some(1),
                Some("4g") => Some(4),
                Some("16g") => Some(16),
                Some("64g") => Some(64),
                Some(_) => None,
            };
            match (r#type.0.as_deref(), gigabytes) {
                (Some("auto" | "container_auto"), Some(gigabytes)) => self.gigabytes_made += gigabytes,
                (Some("auto" | "container_auto" | "container_reference"), _) => is_known = false,
                _ => {}
            }
        }
        is_known
    }
}

impl Grounding {
    /// Reads the grounding of one candidate; returns whether all of it could be read.
    fn read(&mut self, json: &[u8]) -> bool {
        let Ok(Lenient(metadata)) = serde_json::from_slice::<Lenient<GroundingMetadata>>(json) else { return false };
        let chunks = metadata.grounding_chunks.unwrap_or_default();
        let has_token = metadata.google_maps_widget_context_token.0.is_some();
        let maps = has_token || chunks.iter().any(|Lenient(chunk)| chunk.maps.0);
        self.maps |= maps;
        // If all chunks are places, the queries were sent to Maps.
        let of_maps = maps && !chunks.iter().any(|Lenient(chunk)| chunk.web.0);
        let known = if of_maps { &mut self.maps_queries } else { &mut self.searches };
        let queries = metadata.web_search_queries.unwrap_or_default();
        queries.iter().filter_map(|query| query.0.as_deref()).all(|query| known.add(query.as_bytes()))
    }
}

impl DistinctTexts {
    /// Adds a text; returns whether the set contains it afterwards.
    fn add(&mut self, text: &[u8]) -> bool {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        let is_known = self.0.contains(&hash);
        if !is_known && self.0.len() < DISTINCT_MAX {
            self.0.push(hash);
            return true;
        }
        is_known
    }

    fn count(&self) -> Option<u64> {
        u64::try_from(self.0.len()).ok().filter(|count| *count > 0)
    }
}
