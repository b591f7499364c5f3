//! Well-known hosts and servers with OpenAI's API: a flat table of the values of a provider of this kind.
//!
//! The differences of a host and its prices follow from the host of its URL: [`crate::hosts::host`], [`crate::price`].

use crate::format::Format;

/// The values of a provider with OpenAI's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// The name in the configuration.
    pub name: &'static str,
    /// The base URL of the API.
    pub base_url: &'static str,
    /// The formats of calls for text.
    pub formats: &'static [Format],
    /// Whether the server runs beside the gateway, and needs no credential.
    pub is_local: bool,
}

const CHAT: &[Format] = &[Format::Chat];

const fn host(name: &'static str, base_url: &'static str) -> (&'static str, Preset) {
    (name, Preset { name, base_url, formats: CHAT, is_local: false })
}

const fn local(name: &'static str, base_url: &'static str) -> (&'static str, Preset) {
    (name, Preset { name, base_url, formats: CHAT, is_local: true })
}

impl Preset {
    /// Every preset with its name: first the servers beside the gateway, then hosts.
    pub const NAMED: [(&'static str, Self); 16] = [
        local("ollama", "http://127.0.0.1:11434/v1"),
        local("vllm", "http://127.0.0.1:8000/v1"),
        local("lmstudio", "http://127.0.0.1:1234/v1"),
        host("groq", "https://api.groq.com/openai/v1"),
        host("together", "https://api.together.xyz/v1"),
        host("fireworks", "https://api.fireworks.ai/inference/v1"),
        host("mistral", "https://api.mistral.ai/v1"),
        host("deepseek", "https://api.deepseek.com/v1"),
        host("openrouter", "https://openrouter.ai/api/v1"),
        host("xai", "https://api.x.ai/v1"),
        host("cerebras", "https://api.cerebras.ai/v1"),
        host("moonshot", "https://api.moonshot.ai/v1"),
        host("zai", "https://api.z.ai/api/paas/v4"),
        host("minimax", "https://api.minimax.io/v1"),
        host("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"),
        host("perplexity", "https://api.perplexity.ai"),
    ];
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::price::Prices;
    use crate::provider::ProviderKind;

    #[test]
    fn each_preset_has_its_own_name_and_url_and_formats_of_openai() {
        let names: BTreeSet<_> = Preset::NAMED.iter().map(|(name, _)| *name).collect();
        let urls: BTreeSet<_> = Preset::NAMED.iter().map(|(_, preset)| preset.base_url).collect();
        assert_eq!((names.len(), urls.len()), (Preset::NAMED.len(), Preset::NAMED.len()));
        for (name, preset) in Preset::NAMED {
            assert_eq!(name, preset.name);
            assert_eq!(preset.is_local, preset.base_url.starts_with("http://127.0.0.1:"), "{name}");
            assert!(preset.formats.iter().all(|format| ProviderKind::OpenAi.speaks(*format)), "{name}");
        }
    }

    #[test]
    fn each_host_of_the_price_table_has_a_preset() {
        let table = Prices::builtin();
        let hosts: BTreeSet<String> = table
            .all()
            .filter_map(|(name, _)| name.split_once('/').map(|(provider, _)| provider.to_owned()))
            .filter(|provider| provider.contains('.') && !provider.ends_with(".openai.com"))
            .collect();
        assert!(hosts.len() > 5, "{hosts:?}");
        for host in hosts {
            let has = |(_, preset): &(&str, Preset)| preset.base_url.starts_with(&format!("https://{host}"));
            assert!(Preset::NAMED.iter().any(has), "{host}");
        }
    }
}
