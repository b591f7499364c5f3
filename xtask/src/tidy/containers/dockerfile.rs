//! A Dockerfile as stages of instructions.

/// One stage of a Dockerfile.
#[derive(Debug, Default)]
pub(super) struct BuildStage<'a> {
    /// The image or stage that it extends.
    pub(super) from: &'a str,
    /// The name after `AS`; empty if it has none.
    pub(super) name: &'a str,
    /// The line of its `FROM`.
    pub(super) line: usize,
    pub(super) instructions: Vec<Instruction<'a>>,
}

/// One instruction: its name and its words, with continued lines joined.
#[derive(Debug)]
pub(super) struct Instruction<'a> {
    pub(super) name: &'a str,
    pub(super) words: Vec<&'a str>,
    pub(super) line: usize,
}

impl<'a> BuildStage<'a> {
    /// All instructions with this name.
    pub(super) fn all(&self, name: &'a str) -> impl Iterator<Item = &Instruction<'a>> {
        self.instructions.iter().filter(move |instruction| instruction.name == name)
    }

    /// The last value that `ENV` gives to `name`.
    pub(super) fn env(&self, name: &str) -> Option<&'a str> {
        let pairs = self.all("ENV").flat_map(|env| &env.words).filter_map(|word| word.split_once('='));
        pairs.filter(|(variable, _)| *variable == name).map(|(_, value)| value).last()
    }
}

impl<'a> Instruction<'a> {
    /// The value of the flag `--NAME=VALUE`.
    pub(super) fn flag(&self, name: &str) -> Option<&'a str> {
        self.words.iter().find_map(|word| word.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('='))
    }

    /// The words that are not flags.
    pub(super) fn operands(&self) -> Vec<&'a str> {
        self.words.iter().copied().filter(|word| !word.starts_with("--")).collect()
    }
}

/// The stages of a Dockerfile, in order.
pub(super) fn stages(text: &str) -> Vec<BuildStage<'_>> {
    let mut stages: Vec<BuildStage<'_>> = Vec::new();
    let mut continues = false;
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let is_continuation = std::mem::replace(&mut continues, content.ends_with('\\'));
        let mut words = content.trim_end_matches('\\').split_whitespace();
        if is_continuation {
            if let Some(instruction) = stages.last_mut().and_then(|stage| stage.instructions.last_mut()) {
                instruction.words.extend(words);
            }
            continue;
        }
        let name = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        if let "FROM" = name
            && let [from, rest @ ..] = words.as_slice()
        {
            let name = rest.get(1).copied().unwrap_or_default();
            stages.push(BuildStage { from, name, line: line_number, instructions: Vec::new() });
        } else if let Some(stage) = stages.last_mut() {
            stage.instructions.push(Instruction { name, words, line: line_number });
        }
    }
    stages
}
